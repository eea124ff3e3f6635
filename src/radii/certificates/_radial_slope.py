"""How steeply the log density of radial noise falls along its radius: the law of that number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import betainc, betaincc, gammainc, gammaincc, ndtr, poch

from radii.certificates._atoms import Atoms, spread
from radii.certificates._search import BoolArray, bisect
from radii.records import FloatArray

_RANGE = 690.0  # largest log of the power of a radius
_TAILS = -np.geomspace(37, 10, 31)[:-1]  # normal quantiles of probabilities from 1e-300
_COARSE = np.append(_TAILS, np.linspace(-10, 10, 81))

Pair = tuple[FloatArray, FloatArray]


class RadialSlope(Protocol):
    """The law of `g'(rho)` for noise of density `exp(-g(rho))`, rho a norm, at scale 1.

    All is told in `y = rho^exponent`. The slope is monotone below `turn` and above it.
    """

    @property
    def turn(self) -> float:
        """Where the slope turns, 0 if nowhere."""

    def slope(self, y: FloatArray) -> FloatArray:
        """`g'` at y in [0, infinity], itself in [0, infinity]."""

    def masses(self, y: FloatArray) -> Pair:
        """Probability of less than y, and of more."""

    def gains(self, y: FloatArray) -> Pair:
        """Mean of g' over less than y, and over more; together the mean of g'."""


@dataclass(frozen=True)
class ExponentialSlope:
    """`g(rho) = pole ln rho + rho^exponent`; y has the law Gamma((dim - pole) / exponent)."""

    exponent: float
    pole: float
    dim: int

    @property
    def turn(self) -> float:
        """Where the pull to the pole falls as fast as the other part rises."""
        k = self.exponent
        return self.pole / (k * (k - 1)) if k > 1 else 0.0

    def slope(self, y: FloatArray) -> FloatArray:
        """`pole / rho + exponent rho^(exponent - 1)`."""
        k = self.exponent
        with np.errstate(divide="ignore", over="ignore"):
            growth = k * y ** (1 - 1 / k) if k != 1 else np.ones(y.shape)
            pull = y ** (-1 / k)
        return growth + self.pole * pull if self.pole > 0 else growth

    def masses(self, y: FloatArray) -> Pair:
        """Incomplete gamma functions."""
        shape = (self.dim - self.pole) / self.exponent
        return gammainc(shape, y), gammaincc(shape, y)

    def gains(self, y: FloatArray) -> Pair:
        """As `E[y^s; y < c] = Gamma(shape + s) / Gamma(shape) P(shape + s, c)`."""
        k = self.exponent
        shape = (self.dim - self.pole) / k
        factor = k * float(poch(shape, 1 - 1 / k))
        below = factor * gammainc(shape + 1 - 1 / k, y)
        above = factor * gammaincc(shape + 1 - 1 / k, y)
        if self.pole > 0:
            factor = self.pole * float(poch(shape, -1 / k))
            below += factor * gammainc(shape - 1 / k, y)
            above += factor * gammaincc(shape - 1 / k, y)
        return below, above


@dataclass(frozen=True)
class PowerSlope:
    """`g(rho) = a ln(1 + rho^exponent)`; y is BetaPrime(dim/exponent, a - dim/exponent)."""

    exponent: float
    a: float
    dim: int

    @property
    def turn(self) -> float:
        """Where the slope is greatest."""
        return max(self.exponent - 1, 0.0)

    def slope(self, y: FloatArray) -> FloatArray:
        """`a exponent rho^(exponent - 1) / (1 + rho^exponent)`."""
        k = self.exponent
        with np.errstate(divide="ignore", over="ignore"):
            growth = y ** (1 - 1 / k) if k != 1 else np.ones(y.shape)
            share = np.where(y < 1, growth, y ** (-1 / k)) / (1 + np.minimum(y, 1 / y))
        return np.asarray(self.a * k * share)

    def masses(self, y: FloatArray) -> Pair:
        """Incomplete beta functions."""
        return _betas(self.dim / self.exponent, self.a - self.dim / self.exponent, y)

    def gains(self, y: FloatArray) -> Pair:
        """As the slope is `a exponent x^(1 - 1/exponent) (1 - x)^(1/exponent)`, x = y / (1 + y)."""
        k = self.exponent
        first, second = self.dim / k, self.a - self.dim / k
        factor = k * float(poch(first, 1 - 1 / k) * poch(second, 1 / k))
        below, above = _betas(first + 1 - 1 / k, second + 1 / k, y)
        return factor * below, factor * above


def _betas(first: float, second: float, y: FloatArray) -> Pair:
    """Both tails of the law BetaPrime(first, second), from the smaller of the two shares of y."""
    small = y < 1
    share = np.where(small, np.minimum(y, 1) / (1 + np.minimum(y, 1)), 1 / (1 + np.maximum(y, 1)))
    one, other = np.where(small, first, second), np.where(small, second, first)
    below, above = betainc(one, other, share), betaincc(one, other, share)
    return np.where(small, below, above), np.where(small, above, below)


def slope_atoms(law: RadialSlope, bins: int) -> Atoms:
    """A spread of the law of the slope, in about so many bins between its far tails.

    The ends of the bins are near the quantiles of equally spaced normal variables, down to
    probabilities of 1e-21, with wider ones for radii that are even less likely to be as small.
    """
    ends = np.array([0.0, math.inf])
    if np.ptp(law.slope(np.exp(np.linspace(-_RANGE, _RANGE, 9)))) > 0:  # it is no constant
        fine = np.concatenate([-np.geomspace(37, 9.5, bins // 8), np.linspace(-9.5, 9.5, bins)])
        inside = np.exp(np.interp(fine, _COARSE, _log_quantiles(law)))
        ends = np.unique(np.concatenate([ends, inside, [law.turn]]))
    masses, gains = _bins(*law.masses(ends)), _bins(*law.gains(ends))
    return spread(law.slope(ends), masses, gains)


def _bins(below: FloatArray, above: FloatArray) -> FloatArray:
    """What lies between successive points, from the tail that keeps more digits."""
    return np.maximum(np.where(below[1:] < above[1:], np.diff(below), -np.diff(above)), 0)


def _log_quantiles(law: RadialSlope) -> FloatArray:
    """Logs of quantiles of y, increasing, good to some digits."""
    left = _COARSE < 0
    tail = ndtr(-np.abs(_COARSE))

    def short(log_y: FloatArray) -> BoolArray:
        below, above = law.masses(np.exp(log_y))
        return np.asarray(np.where(left, below < tail, above > tail))

    return bisect(short, np.full(tail.shape, -_RANGE), _RANGE, tolerance=1e-6)
