"""Checkpoints that others published: reading their files, fitting their names to ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.models.base import Normalize, Normalized
from radii.models.weights import load_strictly

WRAPPERS = ("module.", "1.", "model.", "net.", "body.")
STATES = ("state_dict", "net", "model")  # where dictionaries of training have it
NORMALIZATIONS = (("0.means", "0.sds"), ("normalize.mean", "normalize.std"))


def load_published(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads a state dict of the common published form into a module built here.

    Names may carry the prefixes of wrappers (`module.` of data parallelism, `1.` of a
    `Sequential(normalisation, network)`, `model.`, `net.`) if all of them do. Buffers of a
    normalisation layer (`0.means`, `0.sds`) are not loaded but compared with the module's own. Many
    files have none: then the module's normalisation must be the one of the training code. Step
    counts of batch norms may be missing, as in old files. Everything else must fit exactly; if it
    does not, nothing is loaded.

    Args:
        module: What `Architecture.build` returned, or a bare network without normalisation.
        state: Names to tensors, for example from `read_state`.

    Raises:
        BaseClassifierError: If names, shapes or the normalisation differ.
    """
    body = module.body if isinstance(module, Normalized) else module
    own = body.state_dict()
    state = dict(state)
    while state:
        for names in NORMALIZATIONS:
            if all(name in state and name not in own for name in names):
                mean, std = (state.pop(name) for name in names)
                _compare(module, mean, std, names)
        prefix = next((p for p in WRAPPERS if all(name.startswith(p) for name in state)), None)
        if prefix is None or any(name in own for name in state):
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    load_strictly(body, state)


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a file: safetensors, or what `torch.save` wrote.

    A file of `torch.save` may hold the state dict itself or a dictionary that has it under
    `state_dict`, `net` or `model`. Such files are pickles; only tensors and plain containers are
    read from them, since unpickling anything else could run code of whoever made the file.

    Raises:
        BaseClassifierError: If the file is missing, of another kind, or holds more than that.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise BaseClassifierError(f"there is no file {str(path)!r}; give the path of a checkpoint")
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except Exception as error:  # its header may say anything
            why = " ".join(str(error).split())[:200]
            raise BaseClassifierError(f"{str(path)!r} cannot be read: {why}") from error
    if path.suffix not in (".pt", ".pth", ".tar"):
        raise BaseClassifierError(
            f"a checkpoint must be a .safetensors, .pt, .pth or .tar file, got {str(path)!r}"
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make it raise almost anything
        raise BaseClassifierError(
            f"{str(path)!r} cannot be read as tensors in plain containers, and other objects are "
            f"never unpickled, because that can run code; where you trust it, load it yourself and "
            f"save its state_dict() as safetensors"
        ) from error
    if isinstance(loaded, Mapping):
        inside = (loaded.get(key) for key in STATES)
        loaded = next((state for state in inside if isinstance(state, Mapping)), loaded)
    if not isinstance(loaded, Mapping) or not loaded:
        raise BaseClassifierError(
            f"{str(path)!r} must hold a state dict, got {type(loaded).__name__}; "
            f"save the module's state_dict()"
        )
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BaseClassifierError(
                f"{str(path)!r} must map names to tensors, got {type(value).__name__} "
                f"under {name!r}; put the state dict under 'state_dict'"
            )
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise BaseClassifierError(
                f"{str(path)!r} must hold dense tensors, got {value.layout} under {name!r}; "
                f"save it as value.to_dense()"
            )
    return dict(loaded)


def _compare(module: nn.Module, mean: Tensor, std: Tensor, names: tuple[str, str]) -> None:
    own = module.normalize if isinstance(module, Normalized) else Normalize()
    for name, theirs, ours in zip(names, (mean, std), (own.mean, own.std), strict=True):
        theirs = theirs.to(ours).flatten()
        if not (len(ours) in (1, len(theirs)) and bool((theirs == ours).all())):
            raise BaseClassifierError(
                f"{name!r} must be the module's own normalisation {ours.tolist()}, got "
                f"{theirs.tolist()}; build the module with that mean and std"
            )
