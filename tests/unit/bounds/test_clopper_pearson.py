"""Clopper-Pearson: as far outside of the exact root as it says, and no farther."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from scipy.special import betainc, betaincc

from radii.bounds import (
    BOUNDS,
    Bound,
    ClopperPearson,
    RandomizedClopperPearson,
    clopper_pearson,
)
from radii.bounds.clopper_pearson import _bisected, _polished
from tests.reference.high_precision import lower_tail, upper_tail
from tests.reference.test_clopper_pearson import EXTREMES, points

BOUND = ClopperPearson()
BOTH = (ClopperPearson(), RandomizedClopperPearson())
MARGIN = Fraction(1, 2**40)
CASES = [each for each in points(11, 60) + EXTREMES if each[1] <= 20_000]


@pytest.mark.parametrize("part", range(3))
def test_lower_is_a_share_of_2_to_the_minus_40_below_the_root(part: int) -> None:
    for k, n, alpha in CASES[part::3]:
        lower = Fraction(float(BOUND.lower(np.array(k), n, alpha)))
        for side, share in ((-1, Fraction(9, 10)), (1, Fraction(11, 10))):
            tail = upper_tail(k, n, lower / (1 - share * MARGIN))
            assert side * (tail - alpha) > 0, f"{k=} {n=} {alpha=} {share=}"


@pytest.mark.parametrize("part", range(3))
def test_upper_is_a_share_of_2_to_the_minus_40_above_the_root(part: int) -> None:
    for k, n, alpha in [(n - k, n, a) for k, n, a in CASES[part::3]]:
        upper = Fraction(float(BOUND.upper(np.array(k), n, alpha)))
        if upper == 1:
            continue
        for side, share in ((-1, Fraction(9, 10)), (1, Fraction(11, 10))):
            tail = lower_tail(k, n, upper / (1 + share * MARGIN))
            assert side * (tail - alpha) > 0, f"{k=} {n=} {alpha=} {share=}"


def test_no_success_and_no_failure_say_nothing() -> None:
    for n in (1, 2, 1_000_000):
        assert BOUND.lower(np.array(0), n, 0.3) == 0
        assert BOUND.upper(np.array(n), n, 0.3) == 1


def test_a_guess_that_is_off_is_corrected() -> None:
    """By one step of Newton's method where that is enough, and else by bisection."""
    for k, n, alpha in [(1, 2, 0.3), (3, 40, 0.001), (39, 40, 1e-9), (1_990, 2_000, 0.05)]:
        a, b = np.array([k]), np.array([n - k + 1])
        root = float(BOUND.lower(np.array(k), n, alpha)) * (1 + 2.0**-40)
        for off in 10.0 ** np.arange(-14, 0):
            for guess in (root * (1 - off), root + (1 - root) * off):
                found = Fraction(float(_polished(np.array([guess]), betainc, a, b, alpha)[0]))
                tails = [upper_tail(k, n, found * (1 + s * MARGIN / 8)) for s in (-1, 1)]
                assert tails[0] < alpha < tails[1], f"{k=} {n=} {alpha=} {off=}"


def test_bisection_is_for_guesses_that_are_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 64 steps where Newton's method takes one."""
    done: list[int] = []

    def noted(tail: Any, a: Any, b: Any, alpha: float) -> Any:
        done.append(a.size)
        return _bisected(tail, a, b, alpha)

    monkeypatch.setattr(clopper_pearson, "_bisected", noted)
    some = points(3, 200)
    for k, n, alpha in some:
        BOUND.lower(np.array(k), n, alpha)
        BOUND.upper(np.array(n - k), n, alpha)
    assert sum(done) <= 0.02 * len(some)
    BOUND.lower(np.array([3, 9_121, 3]), 10_120, 1e-5)  # SciPy 1.17 is off by 0.14 at the second
    assert sum(done) <= 0.02 * len(some) + 1


@pytest.mark.parametrize("alpha", [1e-300, 1e-9, 0.05, 0.999])
def test_bisection_against_closed_forms(alpha: float) -> None:
    """The tail of Beta(1, 1) is p, that of Beta(a, 1) is p^a; complements likewise."""
    one, a = np.array([1, 1]), np.array([1, 20])
    np.testing.assert_allclose(
        _bisected(betainc, a, one, alpha), alpha ** (1 / a), rtol=5e-13, atol=0
    )
    far = max(alpha, 1e-15)
    np.testing.assert_allclose(
        1 - _bisected(betaincc, one, a, far), far ** (1 / a), rtol=5e-13, atol=2e-16
    )


@pytest.mark.parametrize(
    "bound", [ClopperPearson(), RandomizedClopperPearson()], ids=BOUNDS.spec_of
)
@pytest.mark.parametrize(
    ("k", "n", "alpha"),
    [(3, 10**9, 0.05), (1, 10**8, 0.3), (8, 10**9, 1e-6), (0, 10**11, 0.01), (20, 10**12, 1e-3)],
)
def test_many_draws_are_on_the_safe_side(bound: Bound, k: int, n: int, alpha: float) -> None:
    """The margin of fewer draws was too small for the error of the functions behind it."""
    with mpmath.workdps(50):
        p = mpmath.mpf(float(bound.upper(np.array(k), n, alpha)))
        terms = (mpmath.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1))
        assert mpmath.fsum(terms) < alpha
    assert float(bound.lower(np.array(n - k), n, alpha)) <= 1 - float(p) + 2.0**-53


@pytest.mark.parametrize("k", [1, 2, 3, 20])
@pytest.mark.parametrize("n", [100_000, 8_679_866])
@pytest.mark.parametrize("alpha", [0.51, 0.7, 0.999])
def test_an_alpha_above_one_half_is_not_exceeded(k: int, n: int, alpha: float) -> None:
    """SciPy's functions are off there by more than the margin."""
    with mpmath.workdps(50):
        for bound in BOTH:
            p = mpmath.mpf(float(bound.lower(np.array(k), n, alpha)))
            terms = (mpmath.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k))
            assert 1 - mpmath.fsum(terms) < alpha
            p = mpmath.mpf(float(bound.upper(np.array(k), n, alpha)))
            terms = (mpmath.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1))
            assert mpmath.fsum(terms) < alpha


@pytest.mark.parametrize("failures", [1, 5, 20])
@pytest.mark.parametrize("n", [100, 1_000, 100_000, 1_000_000])
def test_the_least_alpha_is_met(n: int, failures: int) -> None:
    """SciPy's `betainc` is 0 for tails that are above 1e-300, so a smaller alpha is refused."""
    for bound in BOTH:
        lower = bound.lower(np.array(n - failures), n, 1e-240)
        upper = bound.upper(np.array(failures), n, 1e-240)
        assert abs(1 - lower - upper) < 2.0**-39  # one statement; `upper` does not underflow
        for smaller in (1e-241, 1e-300):
            with pytest.raises(ValueError, match="alpha must be at least 1e-240"):
                bound.lower(np.array(n - failures), n, smaller)
