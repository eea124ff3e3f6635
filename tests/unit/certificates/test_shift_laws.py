"""Laws of log density ratios, digit for digit: by adaptive quadrature, from the density alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import betainc, ndtr

from radii.certificates._mixed_plane import MixedPlaneLaw
from radii.certificates._radial_law import RadialLaw
from radii.certificates._search import bisect
from radii.records import FloatArray

# Lobatto's rule: it sees the ends of a piece, and so any jump or kink close to them.
_LAST = np.polynomial.legendre.Legendre.basis(10)
_PLACE = np.concatenate([[-1.0], _LAST.deriv().roots().real, [1.0]])
_SHARE = 1 / (55 * _LAST(_PLACE) ** 2)


def integral(f: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    """Of a piecewise smooth function: pieces are halved until halves add up to the whole."""

    def whole(cuts: FloatArray) -> FloatArray:
        half = np.diff(cuts, axis=-1) / 2
        x = cuts[..., :-1, None] + half[..., None] * (1 + _PLACE)
        return np.asarray((half[..., None] * _SHARE * f(x.ravel()).reshape(x.shape)).sum(-1))

    ends = np.linspace(low, high, 65)
    pieces, total = np.stack([ends[:-1], ends[1:]], axis=-1), 0.0
    for _ in range(60):
        cuts = np.stack([pieces[:, 0], pieces.mean(axis=1), pieces[:, 1]], axis=-1)
        halves, one = whole(cuts), whole(pieces)[:, 0]
        open_ = np.abs(halves.sum(axis=1) - one) > 1e-12
        total += halves[~open_].sum()
        pieces = np.concatenate([cuts[open_, :2], cuts[open_, 1:]])
        if not len(pieces):
            break
    return float(total)


def mixed_plane(pole: float, r: float, t: float) -> float:
    """`P(L > t)` for `f(z) = |z|^-pole exp(-|z|_2^2 / 2)`, |z| the larger of two coordinates.

    On the side where one coordinate is rho or -rho, L grows with the other one, y.
    """

    def beyond(rho: FloatArray, side: int) -> FloatArray:
        """Chance of a y in `[-rho, rho]` with a ratio above t."""

        def short(y: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
            shifted = np.maximum(np.abs(side * rho - r), np.abs(y - r))
            return np.asarray(r * (side * rho + y) - r**2 - pole * np.log(shifted / rho) < t)

        y = bisect(short, -rho, rho, tolerance=1e-15, steps=56)
        y = np.where(short(rho), rho, y)
        return np.asarray(ndtr(rho) - ndtr(y))

    def density(x: FloatArray) -> FloatArray:
        return np.asarray(np.exp((1 - pole) * x - np.exp(2 * x) / 2))

    least = -36 / (2 - pole)
    chance = integral(
        lambda x: density(x) * (beyond(np.exp(x), -1) + beyond(np.exp(x), 1)), least, 2.3
    )
    return chance / integral(lambda x: density(x) * 2 * (2 * ndtr(np.exp(x)) - 1), least, 2.3)


def radial(law: RadialLaw, r: float, t: float) -> float:
    """`P(L > t)` for `f(z) = rho^-pole exp(-rho^exponent)`."""
    k = law.exponent
    shape = (law.dim - law.pole) / k

    def chance(x: FloatArray) -> FloatArray:
        rho = np.exp(x)

        def near(y: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
            """Whether a shifted norm is small enough; its logarithm is `x + y`."""
            growth = rho**k * np.expm1(k * y) + law.pole * y
            return np.asarray(growth < -t)

        y = bisect(near, np.full(x.shape, -60.0), np.full(x.shape, 60.0), tolerance=0, steps=90)
        shifted = rho * np.exp(y)
        if law.shape == "ball":
            half = (law.dim - 1) / 2
            cosine = (rho**2 + r**2 - shifted**2) / (2 * rho * r)
            return np.asarray(betainc(half, half, np.clip((1 - cosine) / 2, 0, 1)))
        c = np.clip((rho * -np.expm1(y) + r) / (2 * rho), 0, 1)
        inside = (1 - c) ** (law.dim - 1) * (shifted > np.abs(rho - r))
        return np.asarray((inside + (shifted > rho + r)) / 2)

    def density(x: FloatArray) -> FloatArray:
        return np.asarray(np.exp(shape * (k * x - np.log(shape) + 1) - np.exp(k * x)))

    middle, width = np.log(shape) / k, 12 / (k * min(shape, 1) ** 0.5 * shape**0.5)
    low, high = middle - 3.5 * width, middle + min(width, 5 / k)
    return integral(lambda x: density(x) * chance(x), low, high) / integral(density, low, high)


@pytest.mark.parametrize(("pole", "least"), [(0.05, -2.0), (0.5, -1.0)])
def test_mixed_noise_of_two_coordinates(pole: float, least: float) -> None:
    law = MixedPlaneLaw(pole)
    rng = np.random.default_rng(2)
    r = 10 ** rng.uniform(least, 0.6, 6)
    t = r * rng.uniform(-3, 3, 6) - r**2 / 2
    exact = [mixed_plane(pole, *each) for each in zip(r, t, strict=True)]
    assert np.all(np.abs(law.exceeds(r, t) - exact) < 1e-10)


@pytest.mark.parametrize("shape", ["ball", "polytope"])
@pytest.mark.parametrize(
    ("exponent", "pole", "dim"),
    [(2.0, 0.5, 2), (1.0, 0.0, 3), (0.5, 3.0, 10), (1.5, 100.0, 784), (2.0, 700.0, 784)],
)
def test_radial_noise(shape: Any, exponent: float, pole: float, dim: int) -> None:
    law = RadialLaw(exponent, pole, dim, shape)
    rng = np.random.default_rng(2)
    size = 10 ** rng.uniform(-2, 0.6, 5)
    t = size * rng.uniform(-1.2, 1.2, 5)
    r = size * law.unit
    exact = [radial(law, *each) for each in zip(r, t, strict=True)]
    assert np.all(np.abs(law.exceeds(r, t) - exact) < 1e-10)


@pytest.mark.parametrize("shape", ["ball", "polytope"])
@pytest.mark.parametrize(
    ("exponent", "pole", "dim"),
    [(2.0, 0.0, 784), (1.5, 100.0, 784), (1.0, 30.0, 50), (2.0, 0.5, 2)],
)
def test_over_one_unit_ratios_change_by_about_a_deviation(
    shape: Any, exponent: float, pole: float, dim: int
) -> None:
    law = RadialLaw(exponent, pole, dim, shape)
    r = np.array(0.1 * law.unit)
    t = np.linspace(-3, 3, 601)
    chance = law.exceeds(np.broadcast_to(r, t.shape), 0.1 * t)
    weights = -np.diff(chance)
    middle = (t[1:] + t[:-1]) / 2
    deviation = (weights @ middle**2 - (weights @ middle) ** 2) ** 0.5
    assert 0.95 < deviation < (1.05 if dim > 2 else 1.3)
