"""The directory that training leaves behind: `model.safetensors` and `model.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models.base import ARCHITECTURES, Architecture, Normalize, Normalized, initialise
from radii.models.published import read_state
from radii.models.python import FromPython
from radii.models.weights import check_size, load_strictly, weights_sha256

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
KEYS = ("architecture", "input_shape", "num_classes", "class_names", "mean", "std")


def _are(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(type(each) in kinds for each in value)


_TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "input_shape": (lambda v: _are(v, (int,)), "a list of whole numbers"),
    "num_classes": (lambda v: type(v) is int, "a whole number"),
    "class_names": (lambda v: v is None or _are(v, (str,)), "a list of texts or null"),
    "mean": (lambda v: _are(v, (int, float)), "a list of numbers"),
    "std": (lambda v: _are(v, (int, float)), "a list of numbers"),
}


def save_base(directory: str | Path, module: nn.Module, description: Mapping[str, object]) -> None:
    """Writes a base classifier so that `load_base(directory)` reads it back.

    Each file appears whole or not at all, the description last. It also gets the hash of the
    weights, under `sha256`, so that two files that do not belong together are noticed.

    Args:
        directory: Made if it is missing; files of an earlier save are replaced.
        module: What `Architecture.build` returned.
        description: JSON values: `architecture` (a spec), `input_shape`, `num_classes`,
            `class_names` (or None), `mean`, `std`, and whatever else is worth keeping.

    Raises:
        ValueError: If the description lacks one of these keys or holds what JSON cannot, or if
            the weights are not float32.
    """
    missing = [key for key in KEYS if key not in description]
    if missing:
        raise ValueError(f"the description of a base classifier lacks {', '.join(missing)}")
    for name, value in module.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ValueError(
                f"the weights of a base classifier must be float32, got {value.dtype} under "
                f"{name!r}; save module.float()"
            )
    state = {  # none may share memory with another, as tied weights do
        name: value.cpu().contiguous().clone() for name, value in module.state_dict().items()
    }
    text = json.dumps({**description, "sha256": weights_sha256(module)}, indent=2, allow_nan=False)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    replace_file(directory / WEIGHTS, safetensors.torch.save(state))
    replace_file(directory / DESCRIPTION, f"{text}\n".encode())


def read_base(
    directory: str | Path, code: FromPython | None = None
) -> tuple[Normalized, dict[str, Any], str]:
    """The module, the description and the weights' hash that `save_base` wrote.

    Where the network is made by a user's Python code, that code must be named by the caller: no
    file in a directory decides what code runs.

    The module is in evaluation mode and, if it has convolutions, in channels-last layout, in which
    they run faster on a CPU (LeNet about twice, ResNets by a tenth). The last bits of its scores
    can differ from those of the saved module in another layout.

    Args:
        directory: What training wrote.
        code: Makes the network, if Python code of the user's made the one that was trained.

    Raises:
        BaseClassifierError: If a file is missing or damaged, the two do not belong together, or
            the network is made by Python code that the caller did not name.
    """
    directory = Path(directory)
    description = _read_description(directory / DESCRIPTION)
    try:
        architecture = ARCHITECTURES.build(_spec(description))
        if isinstance(architecture, FromPython) and code is None:
            raise BaseClassifierError(
                f"the network in {str(directory)!r} is made by Python code, which runs only if you "
                f"name it: write FILE.py:name@{directory} (it was {architecture.reference})."
            )
        if isinstance(architecture, FromPython) and code is not None:
            architecture = code
        state = read_state(directory / WEIGHTS)
        if "python" not in ARCHITECTURES.spec_of(architecture):  # whose code is trusted
            check_size(lambda: _built(description, architecture), state)
        module = _untrained(description, architecture)
    except (TypeError, ValueError) as error:
        raise BaseClassifierError(
            f"{str(directory / DESCRIPTION)!r} describes no base classifier: {error}"
        ) from error
    told = module.normalize
    stated = Normalize(description["mean"], description["std"])
    load_strictly(module, state)
    if not (torch.equal(told.mean, stated.mean) and torch.equal(told.std, stated.std)):
        raise BaseClassifierError(
            f"{str(directory / DESCRIPTION)!r} must state the normalisation of the weights, mean "
            f"{told.mean.tolist()} and std {told.std.tolist()}, got mean {stated.mean.tolist()} "
            f"and std {stated.std.tolist()}"
        )
    sha256 = weights_sha256(module)
    if description.get("sha256", sha256) != sha256:
        raise BaseClassifierError(
            f"the weights in {str(directory)!r} must have the SHA-256 {description['sha256']}, got "
            f"{sha256}; saving was interrupted or a file was changed: train or copy it again"
        )
    if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval(), description, sha256


def architecture_in(directory: str | Path) -> Architecture:
    """The architecture of the base classifier in a directory.

    Raises:
        BaseClassifierError: If there is no description of one.
    """
    path = Path(directory) / DESCRIPTION
    try:
        return ARCHITECTURES.build(_spec(_read_description(path)))
    except (TypeError, ValueError) as error:
        raise BaseClassifierError(f"{str(path)!r} describes no base classifier: {error}") from error


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BaseClassifierError(
            f"{str(path.parent)!r} holds no {DESCRIPTION}; give the directory that training wrote"
        ) from None
    except (OSError, RecursionError, ValueError) as error:
        raise BaseClassifierError(f"{str(path)!r} cannot be read: {error}") from error
    missing = [key for key in KEYS if not isinstance(description, dict) or key not in description]
    if missing:
        raise BaseClassifierError(
            f"{str(path)!r} must hold {', '.join(KEYS)}; it lacks {', '.join(missing)}"
        )
    for key, (fits, said) in _TYPES.items():
        if not fits(description[key]):
            shown = repr(description[key])[:60]
            raise BaseClassifierError(
                f"{str(path)!r} describes no base classifier: {key} must be {said}, got {shown}"
            )
    return dict(description)


def _spec(description: dict[str, Any]) -> str | dict[str, object]:
    spec = description["architecture"]
    if not isinstance(spec, str | dict):
        raise TypeError(f"architecture must be a spec, got {spec!r}")
    return spec


def _built(description: dict[str, Any], architecture: Architecture) -> Normalized:
    shape, classes = tuple(description["input_shape"]), description["num_classes"]
    return architecture.build(shape, classes)


def _untrained(description: dict[str, Any], architecture: Architecture) -> Normalized:
    names = description["class_names"]
    if names is not None and len(names) != description["num_classes"]:
        raise ValueError(
            f"class_names must be {description['num_classes']} names, got {len(names)}"
        )
    return initialise(
        architecture,
        tuple(description["input_shape"]),
        description["num_classes"],
        mean=description["mean"],
        std=description["std"],
        seed=0,  # the weights are replaced, but the global generator must not be drawn from
    )


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file so that whoever reads finds the old content or the new one, each whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last through a power loss, where the system can do so."""
    try:
        there = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(there)
    except OSError:  # nor does every file system
        pass
    finally:
        os.close(there)
