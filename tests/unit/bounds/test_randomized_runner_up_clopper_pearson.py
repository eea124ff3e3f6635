"""The randomised bounds on pA and pB: coverage of both at once, integrated over the tie."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from radii.bounds import (
    RandomizedClopperPearson,
    RandomizedRunnerUpClopperPearson,
    RunnerUpClopperPearson,
)
from radii.records import Counts, FloatArray
from tests.unit.bounds.test_class_bounds import multinomial

N, STEPS = 5, 5
_ROWS = [row for row in product(range(N + 1), repeat=3) if sum(row) <= N]
VOTES = np.array([(*row, N - sum(row)) for row in _ROWS])  # every outcome for four classes
_LAWS = [law for law in product(range(STEPS + 1), repeat=3) if sum(law) <= STEPS]
P = np.array([(*law, STEPS - sum(law)) for law in _LAWS]) / STEPS
TOP = np.zeros(len(VOTES), dtype=np.int64)


def errors(bound: RandomizedRunnerUpClopperPearson, alpha: float) -> FloatArray:
    """`(laws,)` how often votes and tie together give a wrong statement; each to 1e-6.

    Both bounds widen as the tie grows, so they miss below some number, which bisection finds.
    """
    shape = len(P), len(VOTES)
    votes = np.broadcast_to(VOTES, (*shape, 4)).reshape(-1, 4)
    law = np.broadcast_to(P[:, None], (*shape, 4)).reshape(-1, 4)
    low, high = np.zeros(len(votes)), np.ones(len(votes))
    for _ in range(22):
        middle = (low + high) / 2
        found = bound.class_bounds(Counts(votes, middle), np.zeros(len(votes), np.int64), alpha)
        below = found.pB_upper < law[:, 1:].max(1) - 1e-15
        wrong = (found.pA_lower > law[:, 0]) | below
        low, high = np.where(wrong, middle, low), np.where(wrong, high, middle)
    return np.asarray((multinomial(VOTES, P) * low.reshape(shape)).sum(1))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_both_hold_together_and_alpha_is_spent(share: float) -> None:
    bound, alpha = RandomizedRunnerUpClopperPearson(share), 0.2
    found = errors(bound, alpha)
    assert found.max() <= alpha + 1e-6
    possible = (P[:, 0] > 0) & (P[:, 0] < 1)
    assert found[possible].min() >= (1 - share) * alpha - 1e-6  # pA alone spends its part


def test_the_check_sees_a_bound_of_the_top_class_that_spends_all_of_alpha() -> None:
    class Spendthrift(RandomizedRunnerUpClopperPearson):
        def _sides(self, counts: Counts) -> Any:
            lower, upper = super()._sides(counts)
            return lambda k, n, alpha: lower(k, n, alpha / 0.5), upper

    assert errors(Spendthrift(0.5), 0.2).max() > 0.2 + 1e-3


def test_it_is_its_parents_bounds_at_their_shares() -> None:
    rng = np.random.default_rng(0)
    votes, tie = rng.multinomial(1000, [0.6, 0.2, 0.1, 0.1], size=50), rng.uniform(size=50)
    top = np.zeros(50, dtype=np.int64)
    found = RandomizedRunnerUpClopperPearson(0.2).class_bounds(Counts(votes, tie), top, 0.01)
    one = RandomizedClopperPearson()
    np.testing.assert_array_equal(found.pA_lower, one.lower(votes[:, 0], 1000, 0.008, tie))
    of_runner_up = one.upper(votes[:, 1:].max(1), 1000, 0.01 * 0.2, tie)
    assert np.all(of_runner_up < 1 - found.pA_lower)
    np.testing.assert_array_equal(found.pB_upper, of_runner_up)


def test_without_a_tie_it_is_the_fixed_bound_and_with_one_it_is_never_wider() -> None:
    fixed = RunnerUpClopperPearson().class_bounds(Counts(VOTES), TOP, 0.01)
    bound = RandomizedRunnerUpClopperPearson()
    without = bound.class_bounds(Counts(VOTES), TOP, 0.01)
    np.testing.assert_array_equal(without.pA_lower, fixed.pA_lower)
    np.testing.assert_array_equal(without.pB_upper, fixed.pB_upper)
    tie = np.random.default_rng(1).uniform(size=len(VOTES))
    found = bound.class_bounds(Counts(VOTES, tie), TOP, 0.01)
    assert np.all(found.pA_lower >= fixed.pA_lower)
    assert np.all(found.pB_upper <= fixed.pB_upper)
    assert np.mean(found.pB_upper < fixed.pB_upper) > 0.9
