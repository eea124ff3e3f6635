"""The l1 radius of Laplace smoothing by Renyi divergences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._search import BoolArray, bisect, maximise
from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.laplace_l1_pixeldp import log_ratio
from radii.certificates.laplace_l1_teng import minus_log_rest
from radii.noise.laplace import Laplace
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12
_LEAST = 1e-6  # of 1/order; the limit at 0 has a closed form
_MOST = 1 - 1e-6


@CERTIFICATES.register("laplace_l1_renyi")
@dataclass(frozen=True)
class LaplaceL1Renyi(Certificate):
    """The supremum over orders a > 1 of the root R of `D_a(R) = -ln(1 - pA - pB + 2 M_a)`.

    `M_a = ((pA^(1-a) + pB^(1-a)) / 2)^(1/(1-a))`, and `D_a` is the Renyi divergence of Laplace
    noise from itself after a shift by t in l1,

        D_a(t) = 1/(a-1) ln( a/(2a-1) exp((a-1) t/b) + (a-1)/(2a-1) exp(-a t/b) )

    which is convex and 0 at 0, so that a shift of one coordinate is the worst one. Ever larger
    orders give `-b ln(1 - pA + pB)`, the best where `pB = 1 - pA`. Every order gives a radius, so
    an order that is not quite the best errs low. Divergence and right side are moved against the
    radius by shares of 1e-12. A `pB_upper` below 2.2e-308 counts as that.

    Reference:
        Li, Chen, Wang and Carin 2019, arXiv:1809.03113, Theorem 1 and section 5 on l1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> LaplaceL1Renyi(Laplace(b=1.0)).radius(bounds).round(4)
        array([1.6094, 0.6471])
    """

    noise: Laplace
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        raised = np.maximum(bounds.pB_upper, np.finfo(np.float64).tiny)
        leads = bounds.pA_lower > raised
        given = ClassBounds(np.where(leads, bounds.pA_lower, 0.6), np.where(leads, raised, 0.4))
        share = maximise(
            lambda share: _root(1 / share, _reach(1 / share, given)), _LEAST, _MOST, steps=28
        )
        order = 1 / share
        reach = _reach(order, given) * (1 - _MARGIN)

        def holds(t: FloatArray) -> BoolArray:
            return np.asarray(_divergence(order, t) * (1 + _MARGIN) <= reach)

        # t + ln(a / (2a-1)) / (a-1) <= D_a(t) <= t
        unit = bisect(holds, reach, reach + np.log1p((order - 1) / order) / (order - 1))
        best = np.maximum(unit, minus_log_rest(given) * (1 - _MARGIN))
        return np.where(leads, self.noise.b * best * (1 - _MARGIN), 0.0)


def _reach(order: FloatArray, bounds: ClassBounds) -> FloatArray:
    """`-ln(1 - pA - pB + 2M)` for pA > pB > 0, to nearly all digits.

    With g and h such that `pA = g exp(h)`, `pB = g exp(-h)`, M is `g cosh((a-1) h)^(-1/(a-1))`.
    """
    pA, pB = bounds.pA_lower, bounds.pB_upper
    h = log_ratio(bounds) / 2
    below_h = _log_cosh((order - 1) * h) / (order - 1)
    lead = 4 * np.sinh(h / 2) ** 2 - 2 * np.expm1(-below_h)
    lost = np.sqrt(pA) * np.sqrt(pB) * lead  # pA + pB - 2M
    beyond = pB * np.expm1(h - below_h)  # M - pB
    rest = (1 - pA) + 2 * beyond + pB
    small = lost < 0.5
    return -np.where(small, np.log1p(-np.where(small, lost, 0)), np.log(np.minimum(rest, 1)))


def _root(order: FloatArray, reach: FloatArray) -> FloatArray:
    """About the t with `D_a(t) = reach`: Newton's method for the square root, which is concave."""
    t = np.maximum(reach, np.sqrt(2 * reach / order))  # D_a(t) is at most t and at most a t^2 / 2
    for _ in range(4):
        now = _divergence(order, t)
        decay = (1 - 2 * order) * t
        slope = -order * np.expm1(decay) / (order + (order - 1) * np.exp(decay))
        t = t + 2 * (np.sqrt(reach) * np.sqrt(now) - now) / np.maximum(slope, 1e-300)
    return t


def _divergence(order: FloatArray, t: FloatArray) -> FloatArray:
    """`D_a(t)` for b = 1, without loss of digits for small t or overflow for large t."""
    rise = (order - 1) * t
    near = np.minimum(rise, 1.0)
    excess = order * _expm2(near) + (order - 1) * _expm2(-order * near / (order - 1))
    small = np.log1p(excess / (2 * order - 1)) / (order - 1)
    tail = (order - 1) / order * np.exp((1 - 2 * order) * t)
    large = t + (np.log1p(tail) - np.log1p((order - 1) / order)) / (order - 1)
    return np.where(rise < 1, small, large)


def _expm2(x: FloatArray) -> FloatArray:
    """`exp(x) - 1 - x`."""
    near = np.clip(x, -0.5, 0.5)
    series = np.zeros_like(near)
    for n in range(15, 2, -1):
        series = near / n * (1 + series)
    return np.where(np.abs(x) < 0.5, near**2 / 2 * (1 + series), np.expm1(x) - x)


def _log_cosh(x: FloatArray) -> FloatArray:
    """`ln cosh(x)` for x of at least 0."""
    small = np.log1p(2 * np.sinh(np.minimum(x, 1.0) / 2) ** 2)
    return np.where(x < 1, small, x - math.log(2) + np.log1p(np.exp(-2 * x)))
