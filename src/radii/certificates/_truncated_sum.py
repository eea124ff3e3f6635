"""How sums of normal numbers that are truncated to an interval are distributed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial.chebyshev import chebpts1, chebvander
from scipy.special import erf, ndtri, wofz

from radii.records import FloatArray

_STEP, _POINTS = 0.5, 20  # of the inversion, in units of the standard deviation
_OFFSET = 2.5  # least distance of the line of integration from the pole at 0, in the same units
_ORDERS = (20, 14, 14)  # how many polynomials in ln high, in c, and in z
_ORDERS_FEW = (24, 16, 20)  # the same for sums of fewer numbers
_MANY = 250  # numbers from which the first of these does
_INNER = 0.7  # share of the support that a table covers
ComplexArray = npt.NDArray[np.complex128]
_HALF = math.sqrt(0.5)


def mass(low: FloatArray, high: FloatArray) -> FloatArray:
    """Probability of `[low, high]` under the normal law."""
    return np.asarray((erf(high * _HALF) - erf(low * _HALF)) / 2)


def moments(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of a normal number truncated to `[low, high]`, `high > |low|`."""
    inside = mass(low, high)
    at_high = np.exp(-(high**2) / 2) / math.sqrt(2 * math.pi)
    mean = at_high * np.expm1((high - low) * (high + low) / 2) / inside
    at_low = at_high + mean * inside
    variance = 1 + (low * at_low - high * at_high) / inside - mean**2
    return mean, np.sqrt(variance)


def tail_score(n: int, low: FloatArray, high: FloatArray, z: FloatArray) -> FloatArray:
    """`w` with `Phi(-w) = P(S > s)`, S the sum of n normals truncated to `[low, high]`.

    `s` is z standard deviations above the mean. The probability is the inverse Laplace transform
    `1/(2 pi i) integral exp(-a s) E[exp(a S)] da / a` along a line near the saddle point, right of
    0; for `z < 0` it is `P(S < s)`, left of 0. The trapezoid rule converges exponentially: with
    half of the step w changes by less than 1e-8 (a test).
    """
    mean, deviation = moments(low, high)
    # The lower tail is the upper tail of the mirrored numbers.
    side = np.where(z >= 0, 1.0, -1.0)
    low, high = np.where(z >= 0, low, -high), np.where(z >= 0, high, -low)
    mean, z = side * mean, np.abs(z)
    scale = math.sqrt(n) * deviation
    height = _STEP * np.arange(_POINTS)
    line = np.maximum(z, _OFFSET)[..., None] + 1j * height
    a = line / scale[..., None]
    tilted = _exponential_mass(a, low[..., None], high[..., None])
    log_mean = np.log(tilted / mass(low, high)[..., None])
    value = np.exp(n * log_mean - a * (n * mean + z * scale)[..., None]) / line
    weights = np.where(height == 0, 1.0, 2.0) * _STEP / (2 * math.pi)
    return np.asarray(-side * ndtri(np.clip(value.real @ weights, 1e-300, 1)))


def _exponential_mass(a: ComplexArray, low: FloatArray, high: FloatArray) -> ComplexArray:
    """The integral of `exp(a u)` over `[low, high]` under the normal law, `Re a > 0`.

    It is `exp(a^2/2) (Phi(high - a) - Phi(low - a))`, with Faddeeva's function for each tail.
    """

    def tail(end: FloatArray) -> tuple[ComplexArray, FloatArray]:
        side = np.where(a.real > end, 1.0, -1.0)
        return np.exp(a * end - end**2 / 2) * wofz(1j * side * (a - end) * _HALF) / 2, side

    (upper, above), (lower, below) = tail(high), tail(low)
    inside = np.exp(np.where(above < below, a**2 / 2, 0))
    return np.asarray(above * upper - below * lower + np.where(above < below, inside, 0))


def reach(n: int, low: FloatArray, high: FloatArray) -> FloatArray:
    """Largest |z| in a table: 9, or less where the sum ends at fewer deviations from its mean."""
    mean, deviation = moments(low, high)
    ends = [math.sqrt(n) * gap / deviation for gap in (high - mean, mean - low)]
    return np.asarray((9.0**-8 + sum((_INNER * end) ** -8 for end in ends)) ** (-1 / 8))


@dataclass(frozen=True, eq=False)
class SumTable:
    """`tail_score - z` for some intervals `[2 c - high, high]`, as polynomials in c and z.

    Attributes:
        n: How many numbers are added.
        coefficients: `(points, orders, powers)`. For each high, of Chebyshev polynomials in
            `c / widest`, times powers of `z / reach`.
    """

    n: int
    coefficients: FloatArray

    def at(self, share: FloatArray) -> FloatArray:
        """`(powers, points, shares)` coefficients in z, for `c / widest` `(points, shares)`."""
        across = chebvander(2 * share - 1, self.coefficients.shape[1] - 1)
        return np.moveaxis(across @ self.coefficients, -1, 0)


def sum_table(n: int, log_high: FloatArray, widest: Callable[[FloatArray], FloatArray]) -> SumTable:
    """The table of a sum of n numbers.

    It is solved for at Chebyshev nodes of ln high, of c and of z, and brought to `log_high` by
    interpolation.

    Args:
        n: How many numbers are added.
        log_high: `(points,)`, rising.
        widest: The largest c for each `high`.
    """
    orders = _ORDERS if n > _MANY else _ORDERS_FEW
    points = [chebpts1(order) for order in orders]
    least, length = log_high[0], log_high[-1] - log_high[0]
    high, share, place = np.meshgrid(
        np.exp(least + length * (1 + points[0]) / 2),
        (1 + points[1]) / 2,
        points[2],
        indexing="ij",
    )
    low = 2 * share * widest(high) - high
    z = reach(n, low, high) * place
    values = tail_score(n, low, high, z) - z
    values = values @ np.linalg.inv(np.vander(points[2], orders[2], True)).T
    values = np.linalg.inv(chebvander(points[1], orders[1] - 1)) @ values
    along = chebvander(2 * (log_high - least) / length - 1, orders[0] - 1)
    along = along @ np.linalg.inv(chebvander(points[0], orders[0] - 1))
    return SumTable(n, np.tensordot(along, values, axes=1))
