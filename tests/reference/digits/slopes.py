"""The slope of the log density of radial noise along a direction: its law, in 50 digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import betaln, gammaln

from radii.records import FloatArray
from radii.verification.independent.numbers import MP, Real, number
from tests.reference.digits.growth import Growth, support
from tests.reference.digits.quadrature import integral, rule, windows

_FLOAT_RULE = rule(40)


@dataclass(frozen=True)
class Slope:
    """`g'(rho)` and the law of `x = exponent ln rho`, for scale 1."""

    exponent: float
    pole: float
    a: float  # of a power law; 0 for an exponential
    dim: int

    @property
    def rises(self) -> bool | None:
        """Whether g' rises with rho everywhere, or falls; None if it turns."""
        k = self.exponent
        if self.a:
            return False if k <= 1 else None
        if self.pole == 0:
            return k >= 1
        return False if k <= 1 else None

    def at(self, x: Real) -> Real:
        """`g'`."""
        k = number(self.exponent)
        growth = k * MP.exp(x * (1 - 1 / k))
        if self.a:
            return self.a * growth / (1 + MP.exp(x))
        return growth + (self.pole * MP.exp(-x / k) if self.pole else 0)

    def density(self) -> Callable[[Real], Real]:
        """Of x."""
        k = number(self.exponent)
        if self.a:
            first, a = self.dim / k, number(self.a)
            log = MP.loggamma(a) - MP.loggamma(first) - MP.loggamma(a - first)
            return lambda x: MP.exp(first * x - a * MP.log1p(MP.exp(x)) + log)
        shape = (self.dim - number(self.pole)) / k
        norm = MP.loggamma(shape)
        return lambda x: MP.exp(shape * x - MP.exp(x) - norm)

    def log_density(self, x: FloatArray) -> FloatArray:
        """The same as floats."""
        k = self.exponent
        if self.a:
            first = self.dim / k
            log_norm = betaln(first, self.a - first)
            return np.asarray(first * x - self.a * np.logaddexp(0, x) - log_norm)
        shape = (self.dim - self.pole) / k
        return np.asarray(shape * x - np.exp(np.minimum(x, 700)) - gammaln(shape))

    def log_at(self, x: FloatArray) -> FloatArray:
        """The log of g' as floats."""
        k = self.exponent
        growth = math.log(k) + x * (1 - 1 / k)
        if self.a:
            return np.asarray(math.log(self.a) + growth - np.logaddexp(0, x))
        if not self.pole:
            return growth
        return np.asarray(np.logaddexp(growth, math.log(self.pole) - x / k))


@lru_cache(maxsize=8)
def along_a_sign(law: Slope, chance: float) -> Growth:
    """G is g' times a sign, and 0 but for a chance of `1/chance`."""
    sign = 1 if law.rises else -1
    density = law.density()
    reach = 900 / min((law.dim - law.pole) / law.exponent, 1.0) + 60
    if law.a:
        reach = 900 / min(law.dim / law.exponent, law.a - law.dim / law.exponent, 1.0) + 60
    return Growth(
        lambda z: density(sign * z),
        lambda z: law.at(sign * z),
        support(lambda z: law.log_density(sign * z), (-reach, reach), 200_001),
        number(1) / number(chance),
    )


@dataclass(frozen=True)
class Coordinate:
    """The law of `z = ln G`, where G is g' times a coordinate of a uniform point of the l2 sphere.

    Its density is an integral over x. In 50 digits it takes half a second a point, in floats a
    third of a millisecond, good to 10 digits: `exactly` is there to see that.
    """

    law: Slope

    @cached_property
    def grid(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, and the logs of its density and of g'."""
        x = np.linspace(*_wide(self.law), 6001)
        return x, self.law.log_density(x), self.law.log_at(x)

    def log_heights(self, z: float, log_mass: FloatArray, log_slope: FloatArray) -> FloatArray:
        """The log of the integrand, but for a constant."""
        with np.errstate(divide="ignore", invalid="ignore"):
            left = np.log1p(-np.exp(np.minimum(2 * (z - log_slope), 0)))
            height = log_mass + z - log_slope + (self.law.dim - 3) / 2 * left
        return np.where(z < log_slope, height, -np.inf)

    def windows(self, z: float, depth: float) -> list[tuple[float, float]]:
        """Where the integrand counts."""
        x, log_mass, log_slope = self.grid

        def inside(at: float) -> bool:
            return bool(z < self.law.log_at(np.array(at)))

        return windows(self.log_heights(z, log_mass, log_slope), inside, x, depth)

    @cached_property
    def log_front(self) -> Real:
        """The log of the constant."""
        dim = number(self.law.dim)
        return MP.loggamma(dim / 2) - MP.loggamma((dim - 1) / 2) + MP.log(4 / MP.pi) / 2

    def density(self, z: Real) -> Real:
        """In floats, but for the size of its largest part."""
        rough, total = float(z), 0.0
        places, weights = _FLOAT_RULE
        pieces = self.windows(rough, 40.0)
        parts = []
        for low, high in pieces:
            x = low + (high - low) * places
            height = self.log_heights(rough, self.law.log_density(x), self.law.log_at(x))
            parts.append((height, (high - low) * weights))
        most = max(float(height.max()) for height, _ in parts)
        total = sum(float(np.exp(height - most) @ share) for height, share in parts)
        return MP.exp(self.log_front + number(most)) * number(total)

    def exactly(self, z: Real) -> Real:
        """In 50-digit arithmetic."""
        t, density, power = MP.exp(z), self.law.density(), number(self.law.dim - 3) / 2

        def height(x: Real) -> Real:
            share = t / self.law.at(x)
            left = 1 - share * share
            return density(x) * share * left**power if left > 0 else number(0)

        pieces = self.windows(float(z), 60.0)
        return MP.exp(self.log_front) * sum(
            integral(height, [number(a), number(b)], 30) for a, b in pieces
        )

    def growth(self) -> Growth:
        """What follows from it."""
        _, log_mass, log_slope = self.grid
        middle = float(log_slope[np.argmax(log_mass)]) - math.log(self.law.dim) / 2

        def rough(z: FloatArray) -> FloatArray:
            tops = [self.log_heights(each, log_mass, log_slope).max() for each in z.tolist()]
            return np.maximum(tops, -1e5)

        where = support(rough, (middle - 160, middle + 60), 2001)
        return Growth(self.density, MP.exp, where, 1, 1e-10, 30.0)


@lru_cache(maxsize=16)
def along_a_coordinate(law: Slope) -> Growth:
    """G is g' times a coordinate of a uniform point of the l2 sphere."""
    return Coordinate(law).growth()


def _wide(law: Slope) -> tuple[float, float]:
    x = np.linspace(-900, 900, 1_800_001)
    height = law.log_density(x)
    inside = x[height > height.max() - 900]
    return float(inside[0]), float(inside[-1])
