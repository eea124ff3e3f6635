"""The largest radius at which no classifier flips, from the likelihood ratio at the worst shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr, ndtri

from radii.certificates._radial_law import RadialLaw
from radii.records import ClassBounds, FloatArray

_LEAST = 1.2e-16  # probabilities below it are taken as this
_TABLED = 1e-19  # least probability in a table, so that its end is never used
_MARGIN = 1e-6  # share by which radii are lowered, for the error of the splines
_MARGIN_FEW = 1e-5  # the same where dim - pole is below 64
_SHORT_MARGIN = 1e-2  # the same below the first node
_MARGIN_TWO = 1e-3  # the same where pB has a bound of its own
_STEEPEST = 8.0  # of a power law below the first node
# Largest quantile of u where pB has a bound of its own, and how many levels there are on each side.
_LEVELS = {"ball": (3.2, 4), "polytope": (6.4, 8)}
_FEW = 64  # of dim - pole, below which there are 4 times as many levels


def kept(law: RadialLaw, r: FloatArray, u: FloatArray) -> FloatArray:
    """`T_r(u)`: the least mass around delta of a set that has mass `1 - u` around 0.

    With `S(t) = P(L > t)` and any t it is at least `S(-t) - exp(t) (u - S(t))` (Lagrange's dual,
    and the symmetry of the noise), with equality where `S(t) = u`. So an error in t only lowers
    it, and to second order.
    """
    wanted = quantile(law, u)

    def excess(t: FloatArray) -> FloatArray:
        return quantile(law, np.clip(law.exceeds(r, t), 1e-300, 1 - 1e-16)) - wanted

    low, high = -r / law.unit, r / law.unit
    above, below = excess(low), excess(high)
    for _ in range(60):
        if not np.any(short := (above < 0) | (below > 0)):
            break
        low, high = np.where(short, 2 * low, low), np.where(short, 2 * high, high)
        above, below = excess(low), excess(high)
    best, least = low, above
    for step in range(60):  # false position as in the Illinois method, each third step a bisection
        span = below - above
        t = (low + high) / 2
        if step % 3 != 2:
            falls = span < 0
            t = np.where(falls, (low * below - high * above) / np.where(falls, span, 1), t)
        error = excess(t)
        left = error > 0
        below = np.where(left, below / 2, error)
        above = np.where(left, error, above / 2)
        low, high = np.where(left, t, low), np.where(left, high, t)
        closer = np.abs(error) < np.abs(least)
        best, least = np.where(closer, t, best), np.where(closer, error, least)
        if np.all((np.abs(least) < 1e-7 * r / law.unit) | (high - low < 1e-12 * np.abs(t))):
            break

    def dual(t: FloatArray) -> FloatArray:
        return law.exceeds(r, -t) - np.exp(t) * (u - law.exceeds(r, t))

    return np.asarray(np.max([dual(best), dual(low), dual(high)], axis=0))


def quantile(law: RadialLaw, p: FloatArray) -> FloatArray:
    """A quantile function in which `T_r` is nearly a shift by a multiple of r.

    That of the normal law in l2, and of the Laplace law otherwise, where for Gaussian and Laplace
    noise it is one exactly.
    """
    if law.shape == "ball":
        return np.asarray(ndtri(p))
    small = np.maximum(np.minimum(p, 1 - p), 1e-300)
    return np.asarray(np.copysign(np.log(2 * small), p - 0.5))


@dataclass(frozen=True, eq=False)
class _Spline:
    """`ln r` as a function of `ln D`, D the shift in quantiles that a radius makes at one level."""

    log_shift: FloatArray
    log_radius: FloatArray
    start: float  # the quantile of u

    def radius(self, law: RadialLaw, p: FloatArray) -> FloatArray:
        """The largest r with `T_r(u) >= p`, erring low; extended as an odd function below 0."""
        shift = -quantile(law, np.clip(p, _LEAST, 1 - _LEAST)) - self.start
        log_shift = np.log(np.where(shift != 0, np.abs(shift), 1))
        inside = np.clip(log_shift, self.log_shift[0], self.log_shift[-1])
        log_radius = self._cubic(inside)
        log_radius += math.log1p(-(_MARGIN_FEW if law.dim - law.pole < _FEW else _MARGIN))
        slope = np.diff(self.log_radius[:2]) / np.diff(self.log_shift[:2])
        power = np.clip(slope[0], 0, _STEEPEST) * (log_shift - inside)
        short = log_shift < self.log_shift[0]
        log_radius += np.where(short, power + math.log1p(-_SHORT_MARGIN), 0)
        return np.asarray(np.sign(shift) * np.exp(log_radius))

    @cached_property
    def _cubic(self) -> CubicSpline:
        return CubicSpline(self.log_shift, self.log_radius)


@lru_cache(maxsize=64)
def _largest(law: RadialLaw) -> float:
    """A radius at which the least probability is passed, within a factor 2."""
    tried = np.ldexp(law.unit, np.arange(16))
    passed = kept(law, tried, np.full(tried.shape, 0.5)) <= _TABLED
    return float(tried[np.argmax(passed)] if passed.any() else tried[-1])


@lru_cache(maxsize=64)
def _middle(law: RadialLaw) -> _Spline:
    """The spline at u = 1/2: radii for bounds with `pB = 1 - pA`."""
    nodes = 160 if law.dim - law.pole < _FEW else 80
    return _splines(law, np.array([0.5]), nodes=nodes, shortest=1e-5)[0]


@lru_cache(maxsize=64)
def _all_levels(law: RadialLaw) -> tuple[_Spline, ...]:
    """A spline at each level, u = 1/2 in their middle."""
    widest, count = _LEVELS[law.shape]
    count *= 4 if law.dim - law.pole < _FEW else 1
    levels = widest * np.arange(-count, count + 1) / count
    if law.shape == "ball":
        u = ndtr(levels)
    else:
        half = np.exp(-np.abs(levels)) / 2
        u = np.where(levels < 0, half, 1 - half)
    return _splines(law, u, nodes=24, shortest=1e-3)


def _splines(law: RadialLaw, u: FloatArray, *, nodes: int, shortest: float) -> tuple[_Spline, ...]:
    r = np.geomspace(shortest, 1, nodes) * _largest(law)
    splines = []
    values = kept(law, np.tile(r, (len(u), 1)), np.tile(u[:, None], (1, nodes)))
    for start, level in zip(quantile(law, u).tolist(), values, strict=True):
        shift = -quantile(law, level[level > _TABLED]) - start
        radius = r[level > _TABLED]
        rising = shift > np.maximum.accumulate(np.concatenate([[0], shift[:-1]]))
        splines.append(_Spline(np.log(shift[rising]), np.log(radius[rising]), start))
    return tuple(splines)


def functional_radius(law: RadialLaw, bounds: ClassBounds) -> FloatArray:
    """The largest r with `T_r(1 - pA) + T_r(pB) > 1`, at scale 1, erring low.

    `T_r` is its own inverse, so for any u this holds where `T_r(u) > 1 - pA` and `T_r(1 - u) >=
    pB`: at distance r the top class keeps more than u and no other class has more. For `pB = 1 -
    pA` the best u is 1/2, and the radius is looked up in one spline. Otherwise the best u is found
    between several levels, by linear interpolation less twice its estimated error.

    Without a pole and with exponent 1, in l1 and linf, the ratio takes its two extreme values with
    positive probability, and the closed form for Laplace noise holds instead.
    """
    pA, pB = bounds.pA_lower, bounds.pB_upper
    if law.shape == "polytope" and law.exponent == 1 and law.pole == 0:
        return _laplace_radius(law, bounds)
    rest = np.where(pA >= 0.5, 1 - pA, np.minimum(np.nextafter(1 - pA, 2), 1))
    radius = _middle(law).radius(law, np.maximum(rest, pB))
    two = (pA > pB) & (np.abs(pB - rest) > 1e-9 * rest)
    if np.any(two):
        radius = np.where(two, np.maximum(radius, _two_class(law, rest, pB)), radius)
    return np.where(pA > pB, np.maximum(radius, 0), 0.0)


def _laplace_radius(law: RadialLaw, bounds: ClassBounds) -> FloatArray:
    """`(F^-1(pA) - F^-1(pB)) / 2`, F the distribution function of the Laplace law."""
    pA = np.clip(bounds.pA_lower, 1e-300, 1 - _LEAST)
    pB = np.clip(bounds.pB_upper, _LEAST, 1)
    leads = bounds.pA_lower > bounds.pB_upper
    gap = quantile(law, pA) - quantile(law, np.where(leads, pB, pA))
    return np.asarray(np.maximum(gap, 0) / 2 * (1 - _MARGIN))


def _two_class(law: RadialLaw, rest: FloatArray, pB: FloatArray) -> FloatArray:
    splines = _all_levels(law)
    first = np.stack([spline.radius(law, rest) for spline in splines])  # falls as u grows
    second = np.stack([spline.radius(law, pB) for spline in splines[::-1]])  # grows with u
    sure = np.maximum(np.minimum(first, second).max(axis=0), 0)
    lead = first - second
    i = np.clip((lead > 0).sum(axis=0) - 1, 1, len(splines) - 3)[None]

    def at(values: FloatArray, shift: int) -> FloatArray:
        return np.asarray(np.take_along_axis(values, i + shift, axis=0)[0])

    width = at(lead, 0) - at(lead, 1)
    crosses = (at(lead, 0) > 0) & (at(lead, 1) <= 0)
    share = np.where(crosses, at(lead, 0) / np.where(crosses, width, 1), 0)
    between = at(first, 0) + share * (at(first, 1) - at(first, 0))
    bend = np.zeros(rest.shape)
    for values in (first, second):
        for k in (0, 1):
            turn = at(values, k - 1) - 2 * at(values, k) + at(values, k + 1)
            bend = np.maximum(bend, np.abs(turn))
    between = np.where(crosses, between - bend / 4, 0)
    return np.asarray(np.maximum(sure, between) * (1 - _MARGIN_TWO))
