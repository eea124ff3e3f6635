"""The largest radius at which no classifier flips, from the likelihood ratio at the worst shift."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy  # whose parts are imported when they are first used

from radii.certificates._functional_pairs import pair_radius
from radii.certificates._tradeoff import ShiftLaw as ShiftLaw
from radii.certificates._tradeoff import dual, largest_shift, quantile, worst_ratio
from radii.certificates._tradeoff import kept as kept
from radii.records import ClassBounds, FloatArray

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

_LEAST = 1.2e-16  # probabilities below it are taken as this
_MARGIN = 1e-6  # share by which radii are lowered at least
_ROUNDING = 2e-15  # relative error of a Laplace quantile, and more
_SHORTEST = 1e-5  # first node, as a share of the last
_SHORT_MARGIN = 1e-2  # share by which radii below the first node are lowered
_CHECKED = np.array([0.2, 0.5, 0.8])  # where the error of a cubic is largest, between two nodes
_NODES = 56
_FEW = 64  # of dim - pole, below which there are twice as many nodes


@dataclass(frozen=True, eq=False)
class _Spline:
    """`ln r` as a function of `ln D`, where D is the shift in quantiles from `u = 1/2`."""

    cubic: CubicSpline
    margin: FloatArray  # at each node

    def radius(self, law: ShiftLaw, p: FloatArray) -> FloatArray:
        """The largest r with `T_r(1/2) >= p`, erring low; 0 for p of 1/2 and more."""
        shift = -quantile(law, np.clip(p, _LEAST, 1.0))
        log_shift = np.log(np.where(shift > 0, shift, 1.0))
        nodes = self.cubic.x
        inside = np.clip(log_shift, nodes[0], nodes[-1])
        log_radius = self.cubic(inside) - np.interp(inside, nodes, self.margin)
        power = np.maximum(self.cubic(nodes[0], 1), 1) * (log_shift - inside)
        short = log_shift < nodes[0]
        log_radius += np.where(short, power + math.log1p(-_SHORT_MARGIN), 0)
        return np.where(shift > 0, np.exp(log_radius), 0.0)


@lru_cache(maxsize=64)
def _middle(law: ShiftLaw) -> _Spline:
    """The spline at u = 1/2, with margins that its check asks for.

    The check: between each two nodes, at three places, the spline is asked for the radius of a
    probability that is known there. Where it says too much, both nodes are lowered by twice that.
    """
    nodes = _NODES * (2 if law.dim - law.pole < _FEW else 1)
    denser = np.linspace(1, 0, nodes) ** 1.5  # towards the largest, where it bends
    r = _SHORTEST**denser * largest_shift(law)
    half = np.full(r.shape, 0.5)
    t = worst_ratio(law, r, half)
    log_shift = np.log(-quantile(law, dual(law, r, half, t)))
    rising = log_shift > np.maximum.accumulate(np.append(-np.inf, log_shift[:-1]))
    t, log_r, log_shift = t[rising], np.log(r[rising]), log_shift[rising]
    cubic = scipy.interpolate.CubicSpline(log_shift, log_r)
    between = log_r[:-1, None] + np.diff(log_r)[:, None] * _CHECKED
    tried, ratio = np.exp(between), scipy.interpolate.CubicSpline(log_r, t / r[rising])(between)
    values = dual(law, tried, np.full(tried.shape, 0.5), ratio * tried)
    told = cubic(np.log(-quantile(law, np.maximum(values, 1e-300))))
    excess = np.max(told - between, axis=1, initial=0)
    margin = np.maximum(np.append(excess, 0), np.append(0, excess))
    return _Spline(cubic, _MARGIN + 2 * margin)


def functional_radius(
    law: ShiftLaw,
    bounds: ClassBounds,
    pairs: Callable[[ShiftLaw, FloatArray, FloatArray], FloatArray] = pair_radius,
) -> FloatArray:
    """The largest r with `T_r(1 - pA) + T_r(pB) > 1`, at scale 1, erring low.

    `T_r` is its own inverse, so for any u this holds where `T_r(u) > 1 - pA` and `T_r(1 - u) >=
    pB`: at distance r the top class keeps more than u and no other class has more. For `pB = 1 -
    pA` the best u is 1/2, and the radius is looked up in one spline; otherwise in a table over
    radius and u. Both are compared with the quadrature between their nodes when they are made, and
    lowered where they say too much.

    Without a pole and with exponent 1, in l1 and linf, the ratio takes its two extreme values with
    positive probability, and the closed form for Laplace noise holds instead.

    Args:
        law: Of the noise.
        bounds: Of any shape.
        pairs: The radius where pB has a bound of its own, of a law, 1 - pA and pB.
    """
    pA, pB = bounds.pA_lower, bounds.pB_upper
    if law.shape == "polytope" and law.exponent == 1 and law.pole == 0:
        return _laplace_radius(law, bounds)
    rest = np.nextafter(1 - pA, 2)
    radius = _middle(law).radius(law, np.maximum(rest, pB))
    two = (pA > pB) & (np.abs(pB - rest) > 1e-9 * rest)
    if np.any(two):
        top, other = (np.clip(np.where(two, p, 0.5), _LEAST, 1 - _LEAST) for p in (rest, pB))
        radius = np.where(two, np.maximum(radius, pairs(law, top, other)), radius)
    return np.where(pA > pB, radius, 0.0)


def _laplace_radius(law: ShiftLaw, bounds: ClassBounds) -> FloatArray:
    """`(F^-1(pA) - F^-1(pB)) / 2`, F the distribution function of the Laplace law."""
    pA = np.clip(bounds.pA_lower, 1e-300, 1 - _LEAST)
    pB = np.clip(bounds.pB_upper, _LEAST, 1)
    leads = bounds.pA_lower > bounds.pB_upper
    top, other = quantile(law, pA), quantile(law, np.where(leads, pB, pA))
    # Each is moved against the radius by more than its rounding, which counts next to a tie.
    gap = top - other - _ROUNDING * (np.abs(top) + np.abs(other))
    return np.asarray(np.maximum(gap, 0) / 2 * (1 - _MARGIN))
