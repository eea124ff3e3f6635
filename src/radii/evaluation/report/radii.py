"""Radii at which accuracies are tabulated."""

from __future__ import annotations

import math

from radii.evaluation.metrics import grid_to

_STEP = 0.25
_FEWEST_RADII = 6


def fine_grid(largest: float) -> tuple[float, ...]:
    """Radii in steps of 0.25, or 0.1, 0.05, 0.025, 0.01 and so on where these are needed.

    Example:
        >>> fine_grid(0.5)
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    """
    if largest <= 0 or largest / _STEP >= _FEWEST_RADII - 1:
        return grid_to(largest)
    power = math.floor(math.log10(largest / (_FEWEST_RADII - 1)))
    steps = [_STEP, *(float(f"{lead}e{power}") for lead in ("10", "5", "2.5", "1"))]
    step = next(each for each in steps if largest / each >= _FEWEST_RADII - 1)
    return tuple(float(f"{step * k:.12g}") for k in range(math.floor(largest / step) + 1))
