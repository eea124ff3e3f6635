"""Uniform numbers of either sign, the raw material of noises with independent coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radii._torch import torch

if TYPE_CHECKING:
    from torch import Tensor


LEAST = 2.0**-31  # the smallest size that is drawn


def signed_uniform(out: Tensor, generator: torch.Generator) -> Tensor:
    """Fills `out` with numbers whose size is uniform in (0, 1] and whose sign is fair.

    The sizes are the odd multiples of 2^-31, rounded to float32: small ones keep all their digits,
    so that `-ln(size)` reaches 21.4, and none is 0. `uniform_` alone would give 2^-24 steps and 0.

    Args:
        out: float32, contiguous. Is overwritten and returned.
        generator: Where the randomness comes from.
    """
    # The integers are drawn into the memory of `out`: 31 random bits each, which is cheaper than
    # any range that must be named.
    bits = out.view(torch.int32).random_(generator=generator).sub_(2**30)
    return torch.mul(bits.float().add_(0.5), 2.0**-30, out=out)
