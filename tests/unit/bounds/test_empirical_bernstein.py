"""Empirical Bernstein against the theorem, with whole fractions and decimals."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from radii.bounds import ClopperPearson, EmpiricalBernstein, Hoeffding
from radii.records import SoftVotes

getcontext().prec = 50
BOUND = EmpiricalBernstein()


def decimal(value: Fraction | float) -> Decimal:
    top, below = Fraction(value).as_integer_ratio()
    return Decimal(top) / Decimal(below)


def half_width(variance: Fraction, n: int, alpha: float) -> Decimal:
    """Theorem 4 of Maurer and Pontil."""
    log = (2 / Decimal(alpha)).ln()
    return (2 * decimal(variance) * log / n).sqrt() + 7 * log / (3 * (n - 1))


def variance_of(scores: list[Fraction]) -> Fraction:
    """Their definition: the mean over pairs of half the squared difference."""
    n = len(scores)
    pairs = sum(((a - b) ** 2 for a, b in combinations(scores, 2)), Fraction(0))
    return pairs / (n * (n - 1))


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001])
def test_scores_against_the_theorem(alpha: float) -> None:
    rng = np.random.default_rng(0)
    for n, low, high in [(60, 0, 4096), (150, 2000, 2200), (90, 4000, 4097), (200, 1, 2)]:
        scores = [Fraction(int(i), 4096) for i in rng.integers(low, high, n)]
        x = np.array([float(score) for score in scores])
        votes = SoftVotes(
            np.array([x.sum(), n - x.sum()]),
            np.array([(x * x).sum(), ((1 - x) ** 2).sum()]),
            np.array(n),
        )
        bounds = BOUND.class_bounds(votes, np.array(0), alpha)
        mean = decimal(sum(scores, Fraction(0)) / n)
        lower = max(mean - half_width(variance_of(scores), n, alpha), Decimal(0))
        # Where the variance is 0, the rounding of n sums counts by its root.
        assert lower - Decimal("3e-7") <= decimal(float(bounds.pA_lower)) <= lower
        assert 1 - lower <= decimal(float(bounds.pB_upper)) <= 1 - lower + Decimal("3e-7")


def test_votes_against_the_theorem() -> None:
    for k, n, alpha in [
        (30, 40, 0.3),
        (990, 1_000, 0.001),
        (10**6 - 3, 10**6, 1e-9),
        (77, 77, 0.05),
    ]:
        variance = Fraction(k * (n - k), n * (n - 1))
        share, width = decimal(Fraction(k, n)), half_width(variance, n, alpha)
        lower = decimal(float(BOUND.lower(np.array(k), n, alpha)))
        upper = decimal(float(BOUND.upper(np.array(n - k), n, alpha)))
        assert share - width - Decimal("1e-14") < lower < share - width
        assert 1 - share + width < upper < 1 - share + width + Decimal("1e-14")


def test_both_sides_are_moved_outwards_by_what_is_said() -> None:
    """A share of 2^-50 of the width and 2^-50 more; the roundings of many counts even out."""
    n, alpha, said, below, above = 10_007, 0.001, [], [], []
    k = np.arange(2_000, 8_000, 31)
    bounds = zip(k.tolist(), BOUND.lower(k, n, alpha), BOUND.upper(k, n, alpha), strict=True)
    for count, lower, upper in bounds:
        width = half_width(Fraction(count * (n - count), n * (n - 1)), n, alpha)
        share = decimal(Fraction(count, n))
        said.append(float((1 + width) * Decimal(2) ** -50))
        below.append(float(share - width - decimal(float(lower))))
        above.append(float(decimal(float(upper)) - share - width))
    assert min(below + above) > 0
    assert np.mean(below) == pytest.approx(np.mean(said), rel=0.1, abs=0)
    assert np.mean(above) == pytest.approx(np.mean(said), rel=0.1, abs=0)


def test_one_draw_has_no_variance_and_says_nothing() -> None:
    assert BOUND.lower(np.array([0, 1]), 1, 0.5).tolist() == [0, 0]
    assert BOUND.upper(np.array([0, 1]), 1, 0.5).tolist() == [1, 1]
    votes = SoftVotes(np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.array(1))
    assert BOUND.class_bounds(votes, np.array(0), 0.5).pA_lower == 0


def test_it_gains_where_scores_vary_little() -> None:
    n, alpha = 10_000, 0.001
    for spread, gains in ((0.01, True), (0.1, True), (0.48, False)):  # standard deviations
        mean = 0.5
        votes = SoftVotes(np.full(2, n * mean), np.full(2, n * (mean**2 + spread**2)), np.array(n))
        ours, fixed = (
            bound.class_bounds(votes, np.array(0), alpha) for bound in (BOUND, Hoeffding())
        )
        assert (ours.pA_lower > fixed.pA_lower) == gains
        assert (ours.pB_upper < fixed.pB_upper) == gains


def test_clopper_pearson_is_never_looser_on_votes() -> None:
    for n in (2, 5, 100, 10_000):
        k = np.unique(np.linspace(0, n, 300).astype(np.int64))
        for alpha in (0.3, 0.05, 0.001):
            assert np.all(ClopperPearson().lower(k, n, alpha) >= BOUND.lower(k, n, alpha))
