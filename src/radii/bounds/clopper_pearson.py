"""The exact binomial bound for a fixed number of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    betaln,
    expit,
    xlog1py,
    xlogy,
)

from radii.bounds.base import BOUNDS, Bound, check
from radii.records import FloatArray, IntArray

# After `_polished`, the relative error against exact tail sums was at most 3e-14, over 300 random
# points a side with n up to 1e6 (tests/reference); this is 30 times it. At n = 1e9 the error
# reaches 4e-12: beyond 1e7 draws the margin grows with n.
_MARGIN = 2.0**-40
_MARGIN_TO = 10_000_000


@BOUNDS.register("clopper_pearson")
@dataclass(frozen=True)
class ClopperPearson(Bound):
    """The exact binomial bound: the p at which k or more successes have probability alpha.

    Both sides are moved outwards by a share of 2^-40, and of n / 1e7 times as much where n is
    larger than that, more than the error of the functions they are computed with.

    Reference:
        Clopper and Pearson 1934; Cohen et al. 2019, arXiv:1902.02918, Algorithm 1.

    Example:
        >>> ClopperPearson().lower(np.array([0, 99, 100]), 100, alpha=0.001).round(4)
        array([0.    , 0.9114, 0.9333])
    """

    anytime: ClassVar[bool] = False

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds for this n only."""
        k, n = check(k, n, alpha)
        a = np.maximum(k, 1)
        b = n - a + 1
        p = _polished(betaincinv(a, b, alpha), betainc, a, b, alpha)
        return np.where(k == 0, 0.0, p * (1 - margin(n)))

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds for this n only."""
        k, n = check(k, n, alpha)
        a = np.minimum(k, n - 1) + 1
        b = n - a + 1
        p = _polished(betainccinv(a, b, alpha), betaincc, a, b, alpha)
        return np.where(k == n, 1.0, np.minimum(p * (1 + margin(n)), 1.0))


def margin(n: IntArray) -> FloatArray:
    """The share by which bounds are moved outwards."""
    return np.asarray(_MARGIN * np.maximum(n / _MARGIN_TO, 1))


def beta_tail(
    tail: Callable[..., FloatArray], a: IntArray, b: IntArray, p: FloatArray
) -> FloatArray:
    """`tail(a, b, p)`; above one half it is the complement of the other tail.

    There SciPy's function is off by up to 3e-10 of itself (1.17, a = 2, n = 8,679,866,
    p = 2.4e-7).

    Args:
        tail: The distribution function of Beta(a, b), `betainc`, or its complement, `betaincc`.
        a: First parameter.
        b: Second parameter.
        p: Where.
    """
    value = np.asarray(tail(a, b, p))
    large = value > 0.5
    if large.any():
        other = betaincc if tail is betainc else betainc
        value = np.where(large, 1 - other(a, b, p), value)
    return value


def _polished(
    p: FloatArray, tail: Callable[..., FloatArray], a: IntArray, b: IntArray, alpha: float
) -> FloatArray:
    """The root of `tail(a, b, p) = alpha`: `p` after one step of Newton's method, or by bisection.

    SciPy's inverses are off by up to 5e-11 where one of a and b is small and the other large, and
    now and then by far: 1.17 gives 0.7499 for `betaincinv(9121, 1000, 1e-5)`, which is 0.8881.

    Args:
        p: What SciPy's inverse gives, in (0, 1).
        tail: The distribution function of Beta(a, b), `betainc`, or its complement, `betaincc`.
        a: First parameter.
        b: Second parameter.
        alpha: The value of `tail` at the root.
    """
    excess = beta_tail(tail, a, b, p) - alpha
    log_density = xlogy(a - 1, p) + xlog1py(b - 1, -p) - betaln(a, b)
    step = excess * np.exp(np.minimum(-log_density, 700)) * (1 if tail is betainc else -1)
    # Newton's method leaves about this share of its step: the relative error that tail had.
    missed = np.abs(step * excess) > 2.0**-44 * p * alpha
    if missed.any():
        p, step = np.array(p), np.where(missed, 0.0, step)
        p[missed] = _bisected(tail, a[missed], b[missed], alpha)
    return np.asarray(p - step)


def _bisected(
    tail: Callable[..., FloatArray], a: IntArray, b: IntArray, alpha: float
) -> FloatArray:
    """The root of `tail(a, b, p) = alpha`, by bisection of its logit."""
    low, high = np.full(a.shape, -745.0), np.full(a.shape, 37.0)  # of all floats in (0, 1)
    for _ in range(64):
        middle = (low + high) / 2
        left = (beta_tail(tail, a, b, expit(middle)) < alpha) == (tail is betainc)
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return np.asarray(expit(low))
