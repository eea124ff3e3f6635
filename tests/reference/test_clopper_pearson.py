"""Clopper-Pearson bounds against exact binomial tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.bounds import ClopperPearson
from tests.reference.high_precision import CONTEXT, lower_tail, upper_tail

BOUND = ClopperPearson()


def points(seed: int, many: int) -> list[tuple[int, int, float]]:
    """Draws up to a million, counts of every size, alpha from 1e-10 to 0.9."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(many):
        n = round(math.exp(rng.uniform(0, math.log(1e6))))
        near = int(min(n, rng.geometric(0.2)))
        k = (int(rng.integers(1, n + 1)), near, max(1, n - near), n)[i % 4]
        alpha = float(10 ** rng.uniform(-10, math.log10(0.9)))
        found.append((k, n, (alpha, 0.001)[i % 2]))
    return found


EXTREMES = [
    (1, 1, 0.001),
    (1, 1_000_000, 1e-10),
    (1_000_000, 1_000_000, 1e-10),
    (999_999, 1_000_000, 0.001),
    (500_000, 1_000_000, 0.001),
    (1, 1_000_000, 0.9),
    (10_000_000, 10_000_000, 1e-6),
    (2, 8_679_866, 0.7),  # here SciPy 1.17's betainc is off by 2e-10 of itself
    (9_090, 10_089, 0.05),  # here SciPy 1.17's inverse is 0.15 too low,
    (16_650, 17_649, 0.05 / 3),  # and here 0.048 too high
]


@pytest.mark.parametrize("seed", range(4))
def test_lower_against_exact_tails(seed: int) -> None:
    for k, n, alpha in points(seed, 100) + EXTREMES:
        lower = float(BOUND.lower(np.array(k), n, alpha))
        assert lower > 0
        assert upper_tail(k, n, lower) <= alpha, f"above the root at {k=} {n=} {alpha=}"
        assert upper_tail(k, n, lower * (1 + 1e-9)) >= alpha, f"loose at {k=} {n=} {alpha=}"


@pytest.mark.parametrize("seed", range(4))
def test_upper_against_exact_tails(seed: int) -> None:
    for k, n, alpha in [(n - k, n, a) for k, n, a in points(seed, 100) + EXTREMES]:
        upper = float(BOUND.upper(np.array(k), n, alpha))
        assert 0 < upper <= 1
        assert lower_tail(k, n, upper) <= alpha, f"below the root at {k=} {n=} {alpha=}"
        assert lower_tail(k, n, upper * (1 - 1e-9)) >= alpha, f"loose at {k=} {n=} {alpha=}"


def test_published_count() -> None:
    # The root of P(K >= 99,000) = 0.001 for K ~ Binomial(100,000, p), to six digits.
    assert upper_tail(99_000, 100_000, 0.988989) < 0.001 < upper_tail(99_000, 100_000, 0.988990)
    assert 0.988989 < BOUND.lower(np.array(99_000), 100_000, 0.001) < 0.988990


def test_all_successes_in_closed_form() -> None:
    for n in (1, 10, 100_000):
        exact = CONTEXT.mpf("0.001") ** (CONTEXT.mpf(1) / n)
        assert 0 <= exact - float(BOUND.lower(np.array(n), n, 0.001)) < 1e-12


def test_the_reference_against_another_program() -> None:
    for k, n, p in [(30, 100, 0.37), (0, 5, 0.2), (5, 5, 0.2), (99, 1000, 0.08)]:
        assert float(upper_tail(k, n, p)) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-12)
        assert float(lower_tail(k, n, p)) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-12)
