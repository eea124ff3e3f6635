"""The weights of a module: their hash, and loading them strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError

COUNTER = "num_batches_tracked"  # a batch norm's step count: old files lack it, scores ignore it


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 (hex) of a module's parameters and buffers.

    Hashed are, in the order of the sorted names: the name, the dtype and the shape as text, each
    ended by a zero byte, then the elements in row-major order as they lie in memory. Device, memory
    layout and order of registration make no difference; the code of the module is not covered.

    Raises:
        BaseClassifierError: If the state dict holds something that is not a tensor.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, Tensor):
            raise BaseClassifierError(
                f"the weights of a base classifier must be tensors, got {type(value).__name__} "
                f"under {name!r}; wrap the module in a function and refer to that"
            )
        dtype = str(value.dtype).removeprefix("torch.")
        shape = ",".join(map(str, value.shape))
        digest.update(f"{name}\0{dtype}\0{shape}\0".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_size(build: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> None:
    """Refuses a network with more numbers than the file of its weights has bytes.

    It is built without memory for its weights: a small file can describe a network of any size.

    Args:
        build: Makes the network.
        state: What the file holds.

    Raises:
        BaseClassifierError: If the weights cannot be its own.
        ValueError: If there is no such network.
        TypeError: The same.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            module = build()
        except (OverflowError, RuntimeError) as error:  # a size that torch cannot count
            why = " ".join(str(error).split())[:200]
            raise ValueError(f"there is no network of this size ({why})") from None
    wanted = sum(value.numel() for value in module.state_dict().values())
    there = {value.untyped_storage().data_ptr(): value for value in state.values()}
    held = sum(value.untyped_storage().nbytes() for value in there.values())
    if wanted > held:
        raise BaseClassifierError(
            f"the weights do not fit the architecture: it has {wanted:,} numbers, and the file "
            f"{held:,} bytes; check architecture, input shape and number of classes"
        )


def load_strictly(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copies `state` into `module`, all of it or nothing.

    Raises:
        BaseClassifierError: If a name is missing or left over, or a shape differs.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(COUNTER)]
    left_over = [name for name in state if name not in own]
    problems = []
    if missing:
        problems.append(f"missing {_first(missing)}")
    if left_over:
        problems.append(f"unexpected {_first(left_over)}")
    for name, value in state.items():
        if name in own and value.shape != own[name].shape:
            problems.append(
                f"{name!r} must have shape {tuple(own[name].shape)}, got {tuple(value.shape)}"
            )
            break
    if problems:
        raise BaseClassifierError(
            f"the weights do not fit the architecture: {'; '.join(problems)}; "
            f"check architecture, input shape and number of classes"
        )
    module.load_state_dict({**own, **state})


def _first(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(map(repr, listed[:3])) + more
