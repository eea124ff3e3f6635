"""The empirical Bernstein bound for a fixed number of draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.bounds._scores import ScoreBound
from radii.bounds.base import BOUNDS, check
from radii.records import ClassBounds, FloatArray, IntArray

_MARGIN = 2.0**-50  # more than the roundings of numbers of at most 1, or of the half-width


@BOUNDS.register("empirical_bernstein")
@dataclass(frozen=True)
class EmpiricalBernstein(ScoreBound):
    """The mean less `sqrt(2 V log(2/alpha) / n) + 7 log(2/alpha) / (3 (n - 1))`; V is estimated.

    It holds for independent draws in [0, 1], so for soft scores too. V is their sample variance,
    with `n - 1` below; on votes it is `k (n - k) / (n (n - 1))`. Where it is small, the bound is
    far better than `hoeffding`, and where it is near 1/4, a little worse. The last term leaves
    nothing of fewer than `7/3 log(2/alpha)` draws. On votes `clopper_pearson` is better.

    The theorem bounds one side, and log(2/alpha) is its own: half of alpha is for V. The other side
    is the same for `1 - X`. V is raised by 2^-50 of the mean square where it is a difference of
    sums, and both sides are moved outwards by a share of 2^-50 and by 2^-50, more than their
    roundings.

    Reference:
        Maurer and Pontil 2009, arXiv:0907.3740, Theorem 4.

    Example:
        >>> EmpiricalBernstein().lower(np.array([0, 990, 1000]), 1000, alpha=0.001).round(4)
        array([0.    , 0.96  , 0.9822])
    """

    anytime: ClassVar[bool] = False

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds for this n only."""
        k, n = check(k, n, alpha)
        return np.maximum(k / n - _half_width(_of_votes(k, n), n, alpha), 0.0)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds for this n only."""
        k, n = check(k, n, alpha)
        return np.minimum(k / n + _half_width(_of_votes(k, n), n, alpha), 1.0)

    def mean_bounds(
        self, sums: FloatArray, squares: FloatArray, n: IntArray, alpha: float
    ) -> ClassBounds:
        """Bounds from scores; see `ScoreBound.mean_bounds`."""
        spread = np.maximum(squares - sums * (sums / n), 0.0) + _MARGIN * squares
        width = _half_width(spread / np.maximum(n - 1, 1), n, alpha)
        return ClassBounds(
            np.maximum(sums / n - width, 0.0), np.minimum((n - sums) / n + width, 1.0)
        )


def _of_votes(k: IntArray, n: IntArray) -> FloatArray:
    """The sample variance of k ones and n - k zeros."""
    return np.asarray(k / n * ((n - k) / np.maximum(n - 1, 1)))


def _half_width(variance: FloatArray, n: IntArray, alpha: float) -> FloatArray:
    """What the theorem takes from the mean, a little more; all of it for one draw."""
    log = math.log(2) - math.log(alpha)
    width = np.sqrt(2 * variance * log / n) + 7 * log / (3 * np.maximum(n - 1, 1))
    return np.where(n == 1, 1.0, width * (1 + _MARGIN) + _MARGIN)
