"""Exact shares: on the safe side of the rational number, and at alpha 0 only."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.bounds import Bound, Exact, MulticlassClopperPearson, RandomizedClopperPearson
from radii.errors import PlanError
from radii.records import Counts, SoftVotes
from radii.stopping.base import at_all_looks


@given(st.integers(1, 2**53), st.data())
def test_the_rational_number_is_between_and_close(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    share = Fraction(k, n)
    lower = Fraction(float(Exact().lower(np.array(k), n, 0)))
    upper = Fraction(float(Exact().upper(np.array(k), n, 0)))
    assert 0 <= lower <= share <= upper <= 1
    assert upper - lower <= share * Fraction(1, 2**50)


def test_none_and_all_are_themselves() -> None:
    for n in (1, 3, 255):
        k = np.array([0, n])
        assert Exact().lower(k, n, 0).tolist() == [0, 1]
        assert Exact().upper(k, n, 0).tolist() == [0, 1]


def test_the_runner_up_is_known_too() -> None:
    votes = Counts(np.array([[4, 3, 3], [0, 10, 0]]))
    bounds = Exact().class_bounds(votes, votes.top, 0)
    np.testing.assert_allclose(bounds.pA_lower, [0.4, 1.0], rtol=1e-15)
    np.testing.assert_allclose(bounds.pB_upper, [0.3, 0.0], rtol=1e-15)


@pytest.mark.parametrize("alpha", [0.001, 1.0, float("nan")])
def test_another_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(
        ValueError, match=f"alpha must be 0 for an exact bound, got {alpha}; random"
    ):
        Exact().class_bounds(Counts(np.array([3, 1])), np.array(0), alpha)


@pytest.mark.parametrize("bound", [Exact(), MulticlassClopperPearson(), RandomizedClopperPearson()])
def test_soft_scores_are_refused_where_they_say_nothing(bound: Bound) -> None:
    votes = SoftVotes(np.array([2.5, 0.5]), np.array([2.25, 0.25]), np.array(3))
    message = "needs whole votes, got SoftVotes; bounds that take soft scores: .*hoeffding"
    with pytest.raises(TypeError, match=message):
        bound.class_bounds(votes, votes.top, 0.01)


def test_it_counts_all_outcomes_and_holds_at_no_time_before() -> None:
    with pytest.raises(PlanError, match="exact holds for a fixed n only"):
        at_all_looks(Exact(), 100)
