"""What the user writes to name a base classifier, and what it stands for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from torch import nn

from radii.errors import BaseClassifierError
from radii.models.adapters.base import ADAPTERS, Adapter
from radii.models.base import ARCHITECTURES, Architecture
from radii.models.checkpoint import read_base
from radii.models.estimators import ScikitLearn, is_estimator
from radii.models.loaded import Base
from radii.models.python import FromPython
from radii.models.source import found_in_python, names_python
from radii.models.weights import weights_sha256

FORMS = (
    "a directory written by training, FILE.py:name[@DIRECTORY], package.module:name, FILE.onnx, or "
    "what an adapter takes"
)


def load_base(reference: str) -> Base:
    """The base classifier that a reference names.

    A reference is a directory written by training, `FILE.py:name` or `package.module:name`; the
    name stands for an `nn.Module`, which is put into evaluation mode, or for a function on batches.
    `FILE.py:name@DIRECTORY` is the network that was trained into the directory and that this code
    makes. The Python file or package is imported, so its code runs: refer to code that you trust.
    A directory alone never makes code run. A fitted estimator with the methods of scikit-learn is
    wrapped. `FILE.onnx` is `onnx:FILE.onnx`, and every other spec of an adapter is taken, too.

    Raises:
        RadiiError: If an extra is needed and not installed.
        BaseClassifierError: If the reference has another form, or what it names cannot be used.
    """
    if os.path.isdir(reference):
        return _from_directory(reference, reference)
    if reference.partition(":")[0] in ADAPTERS.names():
        return replace(_adapter(reference).load(), reference=reference)
    if reference.endswith(".onnx"):
        onnx = ADAPTERS.build({"name": "onnx", "path": reference})
        return replace(onnx.load(), reference=reference)
    code, at, directory = reference.partition("@")
    if at and names_python(code):
        return _from_directory(reference, directory, FromPython(code))
    if names_python(reference):
        return _from_python(reference)
    raise BaseClassifierError(
        f"a base classifier must be {FORMS} "
        f"({', '.join(f'{name}:...' for name in ADAPTERS.names())}), "
        f"got {reference!r}" + _advice(reference)
    )


load = load_base  # its name in `radii` itself


def _adapter(reference: str) -> Adapter:
    try:
        return ADAPTERS.build(reference)
    except ValueError as error:
        raise BaseClassifierError(str(error)) from None


def _advice(reference: str) -> str:
    if reference.endswith(".py"):
        return f"; add the name of a module or function in it: {reference}:NAME"
    try:
        ARCHITECTURES.build(reference)
    except ValueError:
        return "; check that the path exists"
    return "; this is an architecture, which has no weights yet: train it first"


def architecture_of(reference: str | Mapping[str, object]) -> Architecture:
    """The architecture that training starts from: a registered one, or what Python code makes.

    Args:
        reference: A spec, `FILE.py:name` or `package.module:name`.

    Raises:
        UnknownNameError: If it is neither.
        ValueError: If a value in the spec does not fit.
    """
    if isinstance(reference, str) and names_python(reference):
        return FromPython(reference)
    return ARCHITECTURES.build(reference)


def _from_directory(reference: str, directory: str, code: FromPython | None = None) -> Base:
    module, details, sha256 = read_base(directory, code)
    architecture = ARCHITECTURES.build(details["architecture"])
    if code is not None and not isinstance(architecture, FromPython):
        raise BaseClassifierError(
            f"the network in {directory!r} is {ARCHITECTURES.spec_of(architecture)!r} and not made "
            f"by {code.reference!r}; refer to {directory!r} alone."
        )
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


def _from_python(reference: str) -> Base:
    found, source = found_in_python(reference)
    if isinstance(found, type):
        raise BaseClassifierError(
            f"a base classifier must be an nn.Module or a function on batches, but {reference!r} "
            f"is a class; make an object of it there and refer to that"
        )
    if is_estimator(found):
        estimator = ScikitLearn(found)
        return Base(
            module=estimator,
            reference=reference,
            sha256=_hash(found, source, reference),
            num_classes=estimator.num_classes,
            input_shape=None,
            class_names=estimator.class_names,
            details={},
        )
    if not callable(found):
        raise BaseClassifierError(
            f"a base classifier must be an nn.Module, a function on batches or a fitted estimator, "
            f"but {reference!r} is of type {type(found).__name__}"
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
