"""The l1 ball: nearest points of it, and points drawn from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def into_l1_ball(delta: Tensor, epsilon: float | Tensor, room: Tensor | None = None) -> Tensor:
    """The nearest points, in l2, with an l1 norm of at most `epsilon`.

    Each magnitude is lowered by one number `t` for its row, and then cut off at its room:
    `sign(delta) * min(max(|delta| - t, 0), room)`.

    Args:
        delta: `(batch, *shape)` floating point.
        epsilon: Not negative; or `(batch, 1, ..., 1)` of them.
        room: `(batch, *shape)`, not negative. The largest magnitude of each coordinate, in the
            direction of its sign; None leaves them without bounds.

    Returns:
        `(batch, *shape)`. The norm is at most `epsilon` up to the rounding of a sum.

    Reference:
        Duchi et al. 2008, "Efficient projections onto the l1-ball for learning in high dimensions";
        with bounds on coordinates, Croce and Hein 2021, arXiv:2103.01208.

    Example:
        >>> delta = torch.tensor([[3.0, -2.0, 0.5]])
        >>> into_l1_ball(delta, 2.0)
        tensor([[ 1.5000, -0.5000,  0.0000]])
        >>> into_l1_ball(delta, 2.0, room=torch.tensor([[1.0, 5.0, 5.0]]))
        tensor([[ 1., -1.,  0.]])
    """
    radius = epsilon.reshape(-1, 1) if isinstance(epsilon, Tensor) else epsilon
    size = delta.flatten(1).abs()
    most = None if room is None else room.flatten(1)
    kept = (size - _threshold(size, most, radius)).clamp(min=0)
    if most is not None:
        kept = torch.minimum(kept, most)
    norms = kept.sum(1, keepdim=True)
    kept = kept * torch.where(norms > radius, radius / norms, 1.0)
    return kept.reshape(delta.shape) * delta.sign()


def _threshold(size: Tensor, room: Tensor | None, radius: float | Tensor) -> Tensor:
    """`(batch, 1)`. The `t` of `into_l1_ball`; 0 where the norm is at most the radius as it is.

    The norm is piecewise linear in `t`: each coordinate lowers it between its magnitude, where it
    is 0, and its magnitude less its room, where it is cut off. Sorted from the largest, these bends
    are gone through until the norm is the radius.
    """
    if not size.numel():
        return size.new_zeros(len(size), 1)
    bends, slopes = size, torch.ones_like(size)
    if room is not None:
        bends = torch.cat([size, size - room], dim=1)
        slopes = torch.cat([slopes, -slopes], dim=1)
    bends, order = bends.sort(dim=1, descending=True)
    slopes = slopes.gather(1, order)
    slope, offset = slopes.cumsum(1), (slopes * bends).cumsum(1)
    norms = offset - bends * slope  # with t at each bend; they only grow
    last = ((norms <= radius).sum(1, keepdim=True) - 1).clamp(min=0)
    return ((offset.gather(1, last) - radius) / slope.gather(1, last).clamp(min=1)).clamp(min=0)


def uniform_in_l1_ball(x: Tensor, generator: torch.Generator) -> Tensor:
    """Points drawn uniformly from the l1 ball of radius 1, of the shape of `x`.

    Of d + 1 independent exponential numbers divided by their sum, d are uniform on the simplex.
    """
    count = math.prod(x.shape[1:])
    shares = x.new_empty(len(x), count + 1).exponential_(generator=generator)
    shares = shares[:, :count] / shares.sum(1, keepdim=True)
    signs = torch.empty_like(shares).uniform_(-1, 1, generator=generator).sign()
    return (shares * signs).reshape(x.shape)
