"""Atoms of a law and the growth that they allow, where both are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radii.certificates._atoms import Atoms, spread
from radii.certificates._growth import Growth
from radii.records import FloatArray


def test_a_product_counts_whole_what_has_no_atoms() -> None:
    """V is 2 with chance 0.2 and 30 with chance 0.01, W is 1 and 4 with chances 0.5 and 0.05."""
    v, w = (
        (np.array([2.0, 30.0]), np.array([0.2, 0.01])),
        (np.array([1.0, 4.0]), np.array([0.5, 0.05])),
    )
    first, second = (Atoms(x[:1], p[:1], float(x[1] * p[1])) for x, p in (v, w))
    product = first.times(second)
    values, chances = np.outer(v[0], w[0]), np.outer(v[1], w[1])
    for t in (0.0, 0.5, 1.9, 7.0, 50.0, 119.0, 200.0):
        exact = float((chances * np.maximum(values - t, 0)).sum())
        bound = float(product.weights @ np.maximum(product.values - t, 0)) + product.rest
        assert bound >= exact * (1 - 1e-12)
    # At t = 0 only the product of both remainders is counted twice.
    assert product.mean == pytest.approx(first.mean * second.mean + first.rest * second.rest)
    assert first.mean == pytest.approx(0.7)
    assert second.mean == pytest.approx(0.7)


def test_dispersion_is_the_mean_distance_from_the_mean() -> None:
    assert Atoms(np.array([1.0, 3.0]), np.array([0.25, 0.25])).dispersion == pytest.approx(0.25)
    assert Atoms(np.array([5.0]), np.array([0.3])).dispersion == 0


def test_a_spread_keeps_mass_and_mean_and_drops_what_is_too_large() -> None:
    ends = np.array([1.0, 1.0, 4.0, 2.0, 1e280, math.inf])
    masses, gains = np.array([0.3, 0.2, 0.1, 0.05, 0.01]), np.array([0.3, 0.5, 0.25, 7.0, 9.0])
    law = spread(ends, masses, gains)
    assert law.rest == 16.0
    assert law.mean == pytest.approx(gains.sum())
    assert law.weights.sum() == pytest.approx(0.6)
    assert law.values.tolist() == [1, 1, 4, 2, 0, 0]
    # 0.2 (1 - s) + 4 (0.2 s) = 0.5 and 0.1 (2 s + 4 (1 - s)) = 0.25
    assert law.weights[2] == pytest.approx(0.1 + 0.025)
    assert law.weights[3] == pytest.approx(0.075)


def exact_integral(values: FloatArray, weights: FloatArray, rest: float, q: float) -> float:
    """Of `dp / Psi(p)` over [q, 1/2]: Psi is linear between the masses, and level at the end."""
    order = np.argsort(-values)
    mass = np.append(np.append(0, np.cumsum(weights[order])), 0.5)
    height = np.append(0, np.cumsum((weights * values)[order]))
    height = np.append(height, height[-1]) + rest
    total = 0.0
    for left, right, low, high in zip(mass, mass[1:], height, height[1:], strict=False):
        if right > max(left, q):
            start = max(left, q)
            at = low + (high - low) * (start - left) / (right - left)
            slope = (high - at) / (right - start)
            total += math.log(high / at) / slope if slope > 0 else (right - start) / high
    return total


@pytest.mark.parametrize("rest", [0.0, 0.01])
@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ([1.0], [0.5]),
        ([3.0, 1.0], [0.1, 0.4]),
        ([0.5, 8.0, 2.0], [0.2, 0.001, 0.1]),
        ([2.0], [0.2]),
    ],
)
def test_growth_of_a_few_atoms(values: list[float], weights: list[float], rest: float) -> None:
    x, p = np.array(values), np.array(weights)
    growth = Growth.of(Atoms(x, p, rest))
    q = np.array([1e-12, 1e-4, 0.001, 0.05, 0.1, 0.2, 0.3, 0.4999, 0.5])
    exact = [exact_integral(x, p, rest, each) for each in q.tolist()]
    np.testing.assert_allclose(growth.integral(q), exact, rtol=1e-9, atol=1e-15)
    assert growth.integral(np.array(0.5)) == 0
    assert math.isfinite(growth.integral(np.array(0.0)))


def test_growth_of_two_signs_is_a_logarithm() -> None:
    q = np.array([1e-300, 1e-9, 0.1, 0.25, 0.5])
    growth = Growth.of(Atoms(np.ones(1), np.array([0.5])))
    np.testing.assert_allclose(growth.integral(q), np.log(0.5 / q), rtol=1e-12, atol=1e-15)


def test_many_atoms_give_tangents_that_err_low_by_little() -> None:
    """40,000 atoms of a half-normal law, for which Psi is the density at the quantile."""
    i = np.arange(40_000)
    values, weights = np.sqrt(-2 * np.log((i + 0.5) / len(i))), np.full(len(i), 0.5 / len(i))
    growth = Growth.of(Atoms(values, weights))
    assert len(growth.mass) < 20_001
    assert np.all(np.diff(growth.mass) > 0)
    assert np.all(np.diff(growth.height) >= 0)
    for q in (1e-5, 1e-3, 0.1, 0.4):
        exact = exact_integral(values, weights, 0.0, q)
        assert exact * (1 - 1e-4) <= float(growth.integral(np.array(q))) <= exact * (1 + 1e-12)
