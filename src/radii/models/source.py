"""Python files and packages of the user's, and what is in them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from radii.errors import BaseClassifierError, did_you_mean


def names_python(reference: str) -> bool:
    """Whether a reference has the form `FILE.py:name` or `package.module:name`."""
    place, colon, name = reference.rpartition(":")
    if not colon or not name.isidentifier() or ":" in place[2:]:  # a drive may be first
        return False
    return place.endswith(".py") or all(map(str.isidentifier, place.split(".")))


def found_in_python(reference: str) -> tuple[object, ModuleType]:
    """What a reference names, and the Python module that it is in.

    A file is run anew each time; a package is imported once. Its code runs either way.

    Args:
        reference: `FILE.py:name` or `package.module:name`; see `names_python`.

    Raises:
        BaseClassifierError: If there is no such file, package or name, or its code fails.
    """
    place, _, name = reference.rpartition(":")
    source = _import_file(Path(place)) if place.endswith(".py") else _import_package(place)
    if not hasattr(source, name):
        raise BaseClassifierError(
            f"{reference!r} names nothing: there is no {name!r} in it."
            + did_you_mean(name, vars(source))
        )
    return getattr(source, name), source


def _import_file(path: Path) -> ModuleType:
    if not os.path.isfile(path):
        raise BaseClassifierError(f"there is no file {str(path)!r}")
    path = path.resolve()
    # A name of its own for each path, so that files of the same name do not replace each other.
    name = f"radii_base_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up here
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BaseClassifierError(f"{str(path)!r} cannot be run: {_why(error)}") from error
    return module


def _import_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise BaseClassifierError(
            f"the Python module {name!r} cannot be imported: {_why(error)}"
        ) from error


def _why(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            "it ends Python where it is imported; put what it does as a script under "
            "`if __name__ == '__main__':`"
        )
    return f"{type(error).__name__}: {error}"
