"""Bounds on pA and pB hold together, summed over the multinomial law."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.bounds import (
    BOUNDS,
    ClopperPearson,
    EmpiricalBernstein,
    MulticlassClopperPearson,
    RunnerUpClopperPearson,
)
from radii.records import Counts, FloatArray


def test_each_class_spends_its_share_of_alpha() -> None:
    votes = Counts(np.array([[500, 300, 200], [900, 90, 10], [0, 900, 100]]))
    bounds = MulticlassClopperPearson().class_bounds(votes, np.array([0, 0, 1]), 0.01)
    share = 0.01 / 3
    k, other = np.array([500, 900, 900]), np.array([300, 90, 100])
    pA_lower = stats.beta.ppf(share, k, 1000 - k + 1)
    pB_upper = stats.beta.ppf(1 - share, other + 1, 1000 - other)
    np.testing.assert_allclose(bounds.pA_lower, pA_lower, rtol=1e-9)
    np.testing.assert_allclose(bounds.pB_upper, pB_upper, rtol=1e-9)


def test_one_statement_leaves_the_others_the_rest() -> None:
    votes = Counts(np.array([[500, 300, 200], [900, 90, 10]]))
    bounds = ClopperPearson().class_bounds(votes, np.array([0, 0]), 0.01)
    pA_lower = stats.beta.ppf(0.01, np.array([500, 900]), 1000 - np.array([500, 900]) + 1)
    np.testing.assert_allclose(bounds.pA_lower, pA_lower, rtol=1e-9)
    np.testing.assert_allclose(bounds.pB_upper, 1 - pA_lower, rtol=1e-9)


def test_the_runner_up_spends_a_share_however_many_classes_there_are() -> None:
    votes = np.zeros((3, 500), dtype=np.int64)
    votes[:, 7] = 500, 900, 1000
    votes[:2, 2:4] = [[300, 200], [100, 0]]
    bounds = RunnerUpClopperPearson(share=0.2).class_bounds(Counts(votes), np.full(3, 7), 0.01)
    k, other = np.array([500, 900, 1000]), np.array([300, 100, 0])
    pA_lower = stats.beta.ppf(0.008, k, 1000 - k + 1)
    pB_upper = stats.beta.ppf(1 - 0.002, other + 1, 1000 - other)
    np.testing.assert_allclose(bounds.pA_lower, pA_lower, rtol=1e-9)
    assert (pB_upper < 1 - pA_lower).tolist() == [True, False, False]
    np.testing.assert_allclose(bounds.pB_upper, np.minimum(pB_upper, 1 - pA_lower), rtol=1e-9)


@pytest.mark.parametrize("share", [0, 1, -0.1, math.nan])
def test_a_share_is_inside_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\)"):
        RunnerUpClopperPearson(share)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_runner_up_needs_no_union_over_classes(share: float) -> None:
    # Four classes, of which the strongest rival may be any, or several at once.
    n, steps, alpha = 12, 8, 0.2
    rows = [row for row in product(range(n + 1), repeat=3) if sum(row) <= n]
    votes = np.array([(*row, n - sum(row)) for row in rows])
    laws = [law for law in product(range(steps + 1), repeat=3) if sum(law) <= steps]
    p = np.array([(*law, steps - sum(law)) for law in laws]) / steps
    top = np.zeros(len(votes), dtype=np.int64)
    bounds = RunnerUpClopperPearson(share).class_bounds(Counts(votes), top, alpha)
    chances = multinomial(votes, p)
    below = bounds.pB_upper < p[:, 1:].max(1, keepdims=True) - 1e-15
    above = bounds.pA_lower > p[:, :1]
    of_rivals = (chances * below).sum(1).max()
    # It is spent: pB fails alone, or, where its share is large, by 1 - pA_lower.
    assert min(share, 1 - share) * alpha / 4 < of_rivals <= max(share, 1 - share) * alpha
    assert (chances * (below | above)).sum(1).max() <= alpha


def test_which_is_better_depends_on_how_the_rest_is_spread() -> None:
    spread = Counts(np.array([600, 100, 100, 100, 100]))
    rival = Counts(np.array([900, 100, 0, 0, 0]))
    gaps = {}
    for name in ("clopper_pearson", "multiclass_clopper_pearson"):
        bound = BOUNDS.build(name)
        for votes in (spread, rival):
            bounds = bound.class_bounds(votes, votes.top, 0.001)
            gaps[name, votes] = float(bounds.pA_lower - bounds.pB_upper)
    assert gaps["multiclass_clopper_pearson", spread] > gaps["clopper_pearson", spread]
    assert gaps["multiclass_clopper_pearson", rival] < gaps["clopper_pearson", rival]


def multinomial(votes: npt.NDArray[np.int64], p: FloatArray) -> FloatArray:
    """`(laws, rows)` probabilities of `(rows, classes)` votes under `(laws, classes)`."""
    ways = [math.factorial(int(row.sum())) // math.prod(map(math.factorial, row)) for row in votes]
    chances: FloatArray = np.array(ways) * np.prod(p[:, None] ** votes, axis=-1)
    return chances


@pytest.mark.parametrize("name", BOUNDS.names())
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
def test_they_hold_together_with_probability_1_minus_alpha(name: str, alpha: float) -> None:
    n, steps = 25, 20
    votes = np.array([(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)])
    top = np.zeros(len(votes), dtype=np.int64)
    shares = product(range(steps + 1), repeat=2)
    p = np.array([(a, b, steps - a - b) for a, b in shares if a + b <= steps]) / steps
    chances = multinomial(votes, p)
    for example in BOUNDS[name].examples:
        bound = BOUNDS.build({"name": name, **example})
        bounds = bound.class_bounds(Counts(votes), top, alpha)
        rival = p[:, 1:].max(1, keepdims=True)
        wrong = (bounds.pA_lower > p[:, :1]) | (bounds.pB_upper < rival - 1e-15)
        worst = float((chances * wrong).sum(1).max())
        assert worst <= alpha * (1 + 1e-12)
        # Bounds for any n spend little of alpha at one, and the last term of EmpiricalBernstein
        # leaves little of 25 votes.
        if not bound.anytime and not isinstance(bound, EmpiricalBernstein):
            assert worst > alpha / 20  # it is not met by saying nothing
