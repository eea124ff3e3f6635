"""What a module answers everywhere in a box: bounds of its scores, and a certificate in linf."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from radii.attacks.base import check_bounds, check_inputs
from radii.errors import BaseClassifierError
from radii.objectives._interval import Interval
from radii.objectives._interval_rules import propagated, worst_differences


def interval_bounds(
    module: Callable[[Any], Any], low: Tensor, high: Tensor, *, outward: bool = False
) -> tuple[Tensor, Tensor]:
    """Bounds of a module's scores over all inputs between two.

    Linear layers, convolutions, batch norm and dropout in evaluation mode, ReLU, pooling, sums and
    concatenations are known, in modules of any structure. The bounds are attained where there is
    one affine layer, and wider than need be where there are more.

    Args:
        module: From `(batch, *shape)` to scores `(batch, num_classes)`.
        low: `(batch, *shape)` floating point.
        high: `(batch, *shape)` floating point, nowhere below `low`.
        outward: Move the bounds outwards by at least what rounding can do, here and in the module
            itself when it is used in the type of its parameters, with sums of products in any
            order. Underflow is left out, and so are TF32 and algorithms that do not add up
            products, such as Winograd's. Then the bounds are computed in float64.

    Returns:
        Lower and upper bounds `(batch, num_classes)`, differentiable.

    Raises:
        ValueError: If `low` and `high` do not enclose inputs.
        BaseClassifierError: If the module does what there is no rule for, which is named.

    Example:
        >>> from torch import nn
        >>> module = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.constant_(module.weight, 3.0)
        >>> low, high = interval_bounds(module, torch.tensor([[-1.0, 0.0]]), torch.ones(1, 2))
        >>> low.item(), high.item()
        (-3.0, 6.0)
    """
    if low.shape != high.shape or not bool((low <= high).all()):
        raise ValueError(
            f"low must have the shape of high and be nowhere above it, "
            f"got shapes {tuple(low.shape)} and {tuple(high.shape)}"
        )
    if not outward:
        scores = propagated(module, Interval(low, high))
    else:
        scores = propagated(module, Interval(low.double(), high.double(), _roundoff(module)))
    return scores.low, scores.high


@torch.no_grad()
def ibp_certified(
    module: Callable[[Any], Any],
    x: Tensor,
    y: Tensor,
    epsilon: float,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    """Where a module provably gives the label to every input within `epsilon` in linf.

    Computed in float64, with rounding against the claim; see `outward` of `interval_bounds`.

    Args:
        module: In evaluation mode. From `(batch, *shape)` to scores `(batch, num_classes)`.
        x: `(batch, *shape)` floating point.
        y: `(batch,)` int64. Labels.
        epsilon: Radius of the closed ball.
        low: The smallest value that a coordinate can have, or None; `high` comes with it.
        high: The largest value that a coordinate can have, or None.

    Returns:
        `(batch,)` bool. False says nothing; its mean is the certified accuracy.

    Raises:
        ValueError: If an argument is off.
        BaseClassifierError: If the module is in training mode or does what there is no rule for.
    """
    check_epsilon(epsilon)
    check_bounds(low, high)
    if isinstance(module, nn.Module) and any(part.training for part in module.modules()):
        raise BaseClassifierError(
            "the base classifier must be in evaluation mode, got training mode; "
            "call base.eval() first."
        )
    box = ball(x.double(), y, epsilon, low=low, high=high, roundoff=_roundoff(module))
    scores = propagated(module, box)
    others = torch.ones_like(scores.low, dtype=torch.bool).scatter(1, y[:, None], False)
    return ((worst_differences(scores, y) < 0) | ~others).all(1)


def ball(
    x: Tensor,
    y: Tensor,
    epsilon: float,
    *,
    low: float | None,
    high: float | None,
    roundoff: float = 0.0,
) -> Interval:
    """The linf ball, cut off at `low` and `high` where these are given."""
    check_inputs(x, y, low, high)
    least, most = x - epsilon, x + epsilon
    if roundoff:
        least = torch.nextafter(least, torch.full_like(x, -math.inf))
        most = torch.nextafter(most, torch.full_like(x, math.inf))
    if low is not None:
        least, most = least.clamp(low, high), most.clamp(low, high)
    return Interval(least, most, roundoff)


def check_epsilon(epsilon: float) -> None:
    """Refuses what is no radius."""
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon must be at least 0 and finite, got {epsilon!r}")


def _roundoff(module: Callable[[Any], Any]) -> float:
    """Machine epsilon of the coarsest type among a module's parameters; of float32 without any."""
    parameters = module.parameters() if isinstance(module, nn.Module) else ()
    types = {each.dtype for each in parameters if each.is_floating_point()} or {torch.float32}
    return max(torch.finfo(each).eps for each in types)
