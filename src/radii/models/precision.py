"""A base classifier that computes in fewer bits."""

from __future__ import annotations

import copy
import time
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class InPrecision(nn.Module):
    """A copy of a module that computes in bfloat16 inside, float32 outside.

    The input is cast on entry, after the noise was added in float32, and the scores are cast
    back. This is another base classifier than the float32 one: near a decision boundary it gives
    other labels, so its votes, its predictions and its certificates are its own. What is
    certified with it must be served with it.

    Args:
        module: The float32 module; it is copied and left as it is.
        dtype: The type of its weights and of the computation inside.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        if not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating point type, got {dtype}")
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"only an nn.Module can be converted to {dtype}, got {type(module).__name__}; "
                f"cast inside that function, or use float32"
            )
        self.dtype = dtype
        self.module = copy.deepcopy(module).to(dtype)
        self.training = module.training

    @property
    def input_dtype(self) -> torch.dtype:
        """What inputs are rounded to before anything else; those of that type already stay."""
        return self.dtype

    def forward(self, x: Tensor) -> Tensor:
        """Scores as float32; labels, which are not floating point, unchanged."""
        scores = cast(Tensor, self.module(x.to(self.dtype)))
        return scores.float() if scores.is_floating_point() else scores


def bfloat16_slowdown(device: torch.device) -> float:
    """How many times as long a convolution takes in bfloat16 as in float32, measured.

    Below 1 where the processor has instructions for bfloat16, and many times 1 where it has none.

    Args:
        device: Where; the answer is 0 for any but the CPU, without a measurement.
    """
    if device.type != "cpu":
        return 0.0
    x, weight = torch.ones(16, 16, 14, 14), torch.ones(32, 16, 3, 3)
    seconds = {}
    for dtype in (torch.bfloat16, torch.float32):
        given, kernel = x.to(dtype), weight.to(dtype)
        best = float("inf")
        for _ in range(4):  # the first one prepares
            started = time.perf_counter()
            functional.conv2d(given, kernel)
            best = min(best, time.perf_counter() - started)
        seconds[dtype] = best
    return seconds[torch.bfloat16] / seconds[torch.float32]
