"""Max pooling two by two on a CPU, in a fraction of the time where no gradient is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_POOLS = (functional.max_pool2d, torch.max_pool2d)
_TYPES = (torch.float32, torch.float64, torch.bfloat16)


class SlicedPooling(TorchFunctionMode):
    """While a thread is inside, its max pooling takes maxima of slices, many numbers at a time.

    The numbers are those of torch, which goes from window to window and notes where the largest
    was found. It applies to windows of 2 x 2 that do not overlap, on a CPU and without gradients;
    everything else runs as it always does, but each call of torch takes some microseconds longer.

    Attributes:
        served: Whether there was anything to pool so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.served = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """What torch calls in place of `func`."""
        kwargs = kwargs or {}
        if func in _POOLS and (pooled := _sliced(*args, **kwargs)) is not None:
            self.served = True
            return pooled
        return func(*args, **kwargs)


def _sliced(
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """What max pooling with these arguments gives, or None where slices do not serve."""
    if (
        type(input) is not Tensor
        or input.ndim != 4
        or input.device.type != "cpu"
        or input.dtype not in _TYPES
        or (input.requires_grad and torch.is_grad_enabled())
        or ceil_mode
        or return_indices
        or not _is(2, kernel_size)
        or not (stride is None or stride == () or stride == [] or _is(2, stride))
        or not _is(0, padding)
        or not _is(1, dilation)
    ):
        return None
    height, width = (size // 2 * 2 for size in input.shape[2:])
    if not height or not width:
        return None  # torch refuses it
    rows = torch.maximum(input[:, :, 0:height:2], input[:, :, 1:height:2])
    return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


def _is(size: int, given: object) -> bool:
    """Whether an argument, one number or one for each axis, is this; unusual types are not."""
    sizes = given if isinstance(given, tuple | list) else [given]
    return all(isinstance(each, int) and each == size for each in sizes)
