"""Bounds on pA and pB hold together, summed over the multinomial law."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.bounds import BOUNDS, ClopperPearson, EmpiricalBernstein, MulticlassClopperPearson
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
