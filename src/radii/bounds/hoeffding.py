"""Hoeffding's bound for a fixed number of draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.bounds._scores import ScoreBound
from radii.bounds.base import BOUNDS, check
from radii.records import ClassBounds, FloatArray, IntArray

_MARGIN = 2.0**-50  # more than four roundings of numbers of at most 1 or of the half-width


@BOUNDS.register("hoeffding")
@dataclass(frozen=True)
class Hoeffding(ScoreBound):
    """`k/n` less `sqrt(log(1/alpha) / 2n)`, whatever p is.

    It asks only for independent draws in [0, 1], so it is the usual bound on the mean of soft
    scores. On votes it is here to compare with: `clopper_pearson` is never looser. It can certify
    nothing from fewer than `2 log(1/alpha)` draws. Both sides are moved outwards by a share of
    2^-50 and by 2^-50, more than their roundings.

    Reference:
        Hoeffding 1963, Theorem 1, (2.3).

    Example:
        >>> Hoeffding().lower(np.array([0, 990, 1000]), 1000, alpha=0.001).round(4)
        array([0.    , 0.9312, 0.9412])
    """

    anytime: ClassVar[bool] = False

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds for this n only."""
        k, n = check(k, n, alpha)
        return np.maximum(k / n - _half_width(n, alpha), 0.0)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds for this n only."""
        k, n = check(k, n, alpha)
        return np.minimum(k / n + _half_width(n, alpha), 1.0)

    def mean_bounds(
        self, sums: FloatArray, squares: FloatArray, n: IntArray, alpha: float
    ) -> ClassBounds:
        """Bounds from scores; see `ScoreBound.mean_bounds`. The squares are not used."""
        width = _half_width(n, alpha)
        return ClassBounds(
            np.maximum(sums / n - width, 0.0), np.minimum((n - sums) / n + width, 1.0)
        )


def _half_width(n: IntArray, alpha: float) -> FloatArray:
    """`sqrt(log(1/alpha) / 2n)`, a little more."""
    return np.asarray(np.sqrt(-math.log(alpha) / (2 * n)) * (1 + _MARGIN) + _MARGIN)
