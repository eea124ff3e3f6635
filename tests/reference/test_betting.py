"""Betting bounds against wealth in 60-digit arithmetic."""

from __future__ import annotations

import math
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

from radii.bounds import Betting
from tests.reference.high_precision import CONTEXT, lower_tail

EXTREMES = [(1, 1, 0.001), (1, 10**9, 1e-9), (10**9, 10**9, 1e-9), (10**9 - 1, 10**9, 0.9)]


def log_wealth(bound: Betting, k: int, n: int, p: Any) -> Any:
    """By the formula; `p` is a number of `CONTEXT`."""
    log, c, failures = CONTEXT.log, CONTEXT.mpf(bound.prior), n - k
    wealth = log(CONTEXT.beta(k + c, failures + c)) - log(CONTEXT.beta(c, c))
    wealth -= k * log(p) + failures * log(1 - p)
    if bound.truncated:
        above = [
            CONTEXT.betainc(a, b, p, 1, regularized=True)
            for a, b in ((k + c, failures + c), (c, c))
        ]
        wealth += log(above[0]) - log(above[1])
    return wealth


def points(seed: int, many: int, largest: float) -> list[tuple[int, int, float]]:
    """Draws up to the largest, counts of every size, alpha from 1e-10 to 0.9."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(many):
        n = round(math.exp(rng.uniform(0, math.log(largest))))
        near = int(min(n, rng.geometric(0.2)))
        k = (int(rng.integers(1, n + 1)), near, max(1, n - near), n)[i % 4]
        found.append((k, n, (float(10 ** rng.uniform(-10, math.log10(0.9))), 0.001)[i % 2]))
    return found


def assert_just_rejected(bound: Betting, k: int, n: int, alpha: float, loss: float) -> None:
    """Both bounds are rejected; with their odds changed by a share of `loss`, they are not.

    An upper bound near 1 is rounded to a float, however small the rest; there `loss` is not asked.
    """
    target = -CONTEXT.log(CONTEXT.mpf(alpha))
    lower = CONTEXT.mpf(float(bound.lower(np.array(k), n, alpha)))
    upper = CONTEXT.mpf(float(bound.upper(np.array(n - k), n, alpha)))
    for p, fine in ((lower, True), (1 - upper, upper < 0.5)):
        if p > 0:
            assert log_wealth(bound, k, n, p) >= target, f"not rejected at {k=} {n=} {alpha=}"
        if fine:
            odds = p / (1 - p) * (1 + loss)
            kept = odds / (1 + odds)
            assert log_wealth(bound, k, n, kept) < target, f"loose at {k=} {n=} {alpha=}"


@pytest.mark.parametrize("prior", [0.5, 1.0, 0.1])
def test_against_the_wealth(prior: float) -> None:
    for k, n, alpha in points(0, 200, 1e9) + EXTREMES:
        # The margin of the wealth, over the least slope of its log in the log odds, which is 1.
        assert_just_rejected(Betting(prior), k, n, alpha, 1e-9 + 1e-14 * n * math.log(n + 1))


def test_against_the_wealth_on_one_side() -> None:
    for k, n, alpha in points(1, 200, 300):
        assert_just_rejected(Betting(truncated=True), k, n, alpha, 1e-8)


def test_many_draws_on_one_side() -> None:
    # With a uniform prior, what lies above p a posteriori is a binomial tail of one more draw.
    bound = Betting(1.0, truncated=True)
    extremes = [(10**6, 10**6, 1e-9), (10**6 - 1, 10**6, 0.9)]
    for k, n, alpha in points(2, 100, 1e6) + extremes:
        lower = float(bound.lower(np.array(k), n, alpha))
        odds = lower / (1 - lower) * (1 + 1e-6)
        for p, rejected in ((lower, True), (odds / (1 + odds), False)):
            wealth = log_wealth(Betting(1.0), k, n, CONTEXT.mpf(p))
            wealth += CONTEXT.log(lower_tail(k, n + 1, p)) - CONTEXT.log(1 - CONTEXT.mpf(p))
            assert (wealth >= -CONTEXT.log(CONTEXT.mpf(alpha))) is rejected, f"{k=} {n=} {alpha=}"


def test_the_reference_on_a_case_by_hand() -> None:
    # One success in one draw: W = (1/2) / p by symmetry, so p = alpha / 2 is the bound.
    assert float(CONTEXT.exp(log_wealth(Betting(), 1, 1, mpmath.mpf("0.25")))) == pytest.approx(2)
    assert float(Betting().lower(np.array(1), 1, 0.01)) == pytest.approx(0.005, rel=1e-12)
    # With a uniform prior above p, V = (1 + p) / 2 / p.
    one = Betting(1.0, truncated=True)
    assert float(one.lower(np.array(1), 1, 0.01)) == pytest.approx(1 / 199, rel=1e-8)
