"""What the user writes to name a base classifier, and what it stands for."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError, did_you_mean
from radii.models.base import ARCHITECTURES
from radii.models.checkpoint import read_base
from radii.models.compiled import Compiled
from radii.models.precision import InPrecision
from radii.models.weights import weights_sha256

FORMS = "a directory written by training, FILE.py:name, or package.module:name"


@dataclass(frozen=True)
class Base:
    """A base classifier that was loaded from a reference.

    Attributes:
        module: Inputs `(batch, *input_shape)` to scores `(batch, num_classes)` or labels
            `(batch,)`. If it is an `nn.Module` it is in evaluation mode.
        reference: What the user wrote.
        sha256: Of the weights; of the source file, for a function and for a module that has none.
        num_classes: How many classes it tells apart, where that is written down.
        input_shape: The shape of one input, where that is written down.
        class_names: The names of the classes, where they are written down.
        details: The content of `model.json`; empty for Python objects.
    """

    module: Callable[[Tensor], Tensor]
    reference: str
    sha256: str
    num_classes: int | None
    input_shape: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    details: dict[str, object]

    def prepared(
        self,
        device: torch.device,
        precision: Literal["float32", "bfloat16"],
        *,
        compiled: bool = False,
    ) -> Callable[[Tensor], Tensor]:
        """The base classifier on a device, in a precision; a function is left as it is.

        Raises:
            ValueError: If bfloat16 or compilation is asked of a function.
        """
        if not isinstance(self.module, nn.Module):
            if precision != "float32":
                raise ValueError(
                    f"precision must be float32 for {self.reference!r}, which is a function and "
                    f"not an nn.Module, got {precision!r}"
                )
            if compiled:
                raise ValueError(
                    f"{self.reference!r} is a function and not an nn.Module, and cannot be "
                    f"compiled; leave compilation off"
                )
            return self.module
        module = self.module.to(device)
        if precision != "float32":
            module = InPrecision(module).eval()
        return Compiled(module) if compiled else module


def load_base(reference: str) -> Base:
    """The base classifier that a reference names.

    A reference is a directory written by training, `FILE.py:name` or `package.module:name`; the
    name stands for an `nn.Module`, which is put into evaluation mode, or for a function on batches.
    The Python file or package is imported, so its code runs: refer to code that you trust.

    Raises:
        BaseClassifierError: If the reference has another form, or what it names cannot be used.
    """
    place, colon, name = reference.rpartition(":")
    if colon and place.endswith(".py") and name.isidentifier():
        return _from_python(reference, _import_file(Path(place)), name)
    if Path(reference).is_dir():
        module, details, sha256 = read_base(reference)
        names = details["class_names"]
        return Base(
            module=module,
            reference=reference,
            sha256=sha256,
            num_classes=details["num_classes"],
            input_shape=tuple(details["input_shape"]),
            class_names=None if names is None else tuple(names),
            details=details,
        )
    if colon and name.isidentifier() and all(map(str.isidentifier, place.split("."))):
        return _from_python(reference, _import_package(place), name)
    raise BaseClassifierError(
        f"a base classifier must be {FORMS}, got {reference!r}" + _advice(reference)
    )


def _advice(reference: str) -> str:
    if reference.endswith(".py"):
        return f"; add the name of a module or function in it: {reference}:NAME"
    try:
        ARCHITECTURES.build(reference)
    except ValueError:
        return "; check that the path exists"
    return "; this is an architecture, which has no weights yet: train it first"


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
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
    except Exception as error:
        del sys.modules[name]
        raise BaseClassifierError(
            f"{str(path)!r} cannot be run: {type(error).__name__}: {error}"
        ) from error
    return module


def _import_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BaseClassifierError(
            f"the Python module {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _from_python(reference: str, source: ModuleType, name: str) -> Base:
    if not hasattr(source, name):
        raise BaseClassifierError(
            f"{reference!r} names nothing: there is no {name!r} in it."
            + did_you_mean(name, vars(source))
        )
    found = getattr(source, name)
    if isinstance(found, type):
        raise BaseClassifierError(
            f"a base classifier must be an nn.Module or a function on batches, but {reference!r} "
            f"is a class; make an object of it there and refer to that"
        )
    if not callable(found):
        raise BaseClassifierError(
            f"a base classifier must be an nn.Module or a function on batches, but {reference!r} "
            f"is of type {type(found).__name__}"
        )
    if isinstance(found, nn.Module):
        found.eval()
    return Base(found, reference, _hash(found, source, reference), None, None, None, {})


def _hash(found: object, source: ModuleType, reference: str) -> str:
    if isinstance(found, nn.Module) and found.state_dict():
        return weights_sha256(found)
    file = getattr(source, "__file__", None)
    if file is None:
        raise BaseClassifierError(
            f"{reference!r} has no weights and no source file to hash; define it in a .py file"
        )
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
