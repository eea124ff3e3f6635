"""Sums of truncated normal numbers, from the characteristic function by plain quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from radii.certificates._mixed_law import MixedLaw
from radii.certificates._truncated_sum import mass, moments, reach, sum_table, tail_score
from radii.records import FloatArray

_PLACE, _SHARE = np.polynomial.legendre.leggauss(80)
# Ends of an interval, `high > |low|`.
ENDS = np.array([(-0.3, 0.3), (-1.0, 1.0), (-4.0, 4.0), (-0.2, 1.5), (0.4, 3.0), (2.0, 3.0)])


def nodes(low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Of one number, with weights that add up to 1."""
    u = low + (high - low) * (1 + _PLACE) / 2
    weights = _SHARE * np.exp(-(u**2) / 2)
    return u, weights / weights.sum()


def quantile_of_sum(n: int, low: float, high: float, z: float) -> float:
    """`-Phi^-1(P(S > s))` by Gil-Pelaez's formula."""
    u, weights = nodes(low, high)
    mean = weights @ u
    deviation = (weights @ (u - mean) ** 2) ** 0.5
    step = 0.02
    t = (np.arange(1000) + 0.5) * step  # the trapezoid rule; the integrand is even
    a = t / (deviation * n**0.5)
    log_phi = n * np.log(np.exp(1j * a[:, None] * (u - mean)) @ weights)
    chance = 0.5 + (np.exp(log_phi - 1j * t * z) / t).imag.sum() * step / np.pi
    return float(-ndtri(chance))


def test_mass_and_moments() -> None:
    low, high = ENDS.T
    for i, ends in enumerate(ENDS):
        u, weights = nodes(*ends)
        mean = weights @ u
        found = [float(each[i]) for each in moments(low, high)]
        assert found[0] == pytest.approx(mean, rel=1e-10, abs=1e-14)
        assert found[1] == pytest.approx((weights @ (u - mean) ** 2) ** 0.5, rel=1e-10)
        whole = np.exp(-(u**2) / 2) @ _SHARE * (ends[1] - ends[0]) / 2 / (2 * np.pi) ** 0.5
        assert float(mass(low, high)[i]) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("n", [40, 783])
def test_tails_of_a_sum(n: int) -> None:
    z = np.array([-4.0, -2.6, -2.4, -0.7, 0.0, 0.3, 1.5, 2.4, 2.6, 4.0])
    for low, high in ENDS:
        exact = [quantile_of_sum(n, low, high, each) for each in z]
        found = tail_score(n, np.full(z.shape, low), np.full(z.shape, high), z)
        np.testing.assert_allclose(found, exact, atol=2e-9)


@pytest.mark.parametrize("n", [40, 783])
def test_a_table_reaches_9_deviations_or_most_of_the_support(n: int) -> None:
    low, high = ENDS.T
    mean, deviation = moments(low, high)
    ends = n**0.5 * np.minimum(high - mean, mean - low) / deviation
    least = np.minimum(9, 0.7 * ends)
    found = reach(n, low, high)
    assert np.all((found < least) & (found > 0.87 * least))


@pytest.mark.parametrize(
    ("dim", "error", "wide"), [(64, 7e-6, 7e-4), (300, 9e-7, 6e-5), (3072, 2e-8, 2e-6)]
)
def test_a_table_of_sums(dim: int, error: float, wide: float) -> None:
    """It has fewer digits for the widest intervals, which are rare."""
    law = MixedLaw(10.0, dim)
    log_high = np.linspace(law.radii[0][0], law.radii[0][-1], 7)
    table = sum_table(dim - 1, log_high, law.widest)
    share = np.broadcast_to([0.02, 0.3, 0.6, 0.93], (7, 4))
    coefficients = table.at(share)
    high = np.exp(log_high)[:, None]
    low = 2 * share * law.widest(high) - high
    furthest = reach(dim - 1, low, high)
    for place in (-0.97, -0.5, 0.1, 0.6, 0.97):
        z = place * furthest
        told = z + sum(c * place**k for k, c in enumerate(coefficients))
        miss = np.abs(told - tail_score(dim - 1, low, high, z)).max(axis=1)
        assert miss[:5].max() < error
        assert miss[5:].max() < wide
