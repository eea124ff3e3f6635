"""Votes and bounds on the way between the layers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.records import ClassBounds, Counts


def test_counts_of_a_batch() -> None:
    counts = Counts(np.array([[3, 7, 7], [9, 0, 1]], dtype=np.int32))
    assert counts.votes.dtype == np.int64
    assert counts.num_classes == 3
    assert counts.n.tolist() == [17, 10]
    assert counts.top.tolist() == [1, 0]  # of equals, the first
    assert counts.of(np.array([2, 2])).tolist() == [7, 1]
    assert counts.runner_up_votes(counts.top).tolist() == [7, 1]
    assert counts.runner_up_votes(np.array([0, 1])).tolist() == [7, 9]


def test_counts_of_one_input() -> None:
    counts = Counts(np.array([0, 5]))
    assert [int(counts.n), int(counts.top), int(counts.of(counts.top))] == [5, 1, 5]
    assert int(counts.runner_up_votes(counts.top)) == 0
    assert counts.votes.tolist() == [0, 5]


@pytest.mark.parametrize(
    ("votes", "error", "message"),
    [
        ([0.5, 0.5], TypeError, "votes must be integers, got float64; a frequency is no count"),
        ([True, False], TypeError, "votes must be integers, got bool"),
        ([1, -1], ValueError, "votes must be at least 0, got -1"),
        ([1], ValueError, r"votes must be \(\*batch, num_classes >= 2\), got \(1,\)"),
        (3, ValueError, r"votes must be \(\*batch, num_classes >= 2\), got \(\)"),
    ],
)
def test_counts_refuses(votes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Counts(np.array(votes))


@pytest.mark.parametrize(
    ("pA", "pB", "message"),
    [
        (1.1, 0.0, r"pA_lower must be in \[0, 1\], got 1.1"),
        (0.9, -0.1, r"pB_upper must be in \[0, 1\], got -0.1"),
        (np.nan, 0.1, r"pA_lower must be in \[0, 1\], got nan"),
        ([0.9, 0.8], 0.1, r"must have one shape, got \(2,\) and \(\)"),
    ],
)
def test_class_bounds_refuses(pA: Any, pB: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassBounds(pA, pB)


def test_class_bounds_are_float64() -> None:
    given: Any = np.array([0.5, 1.0], dtype=np.float32), np.array([0, 0])
    bounds = ClassBounds(*given)
    assert bounds.pA_lower.dtype == np.float64
    assert bounds.pB_upper.dtype == np.float64


@given(st.floats(0, 1))
def test_one_sided_rounds_the_rest_up(pA: float) -> None:
    bounds = ClassBounds.one_sided(pA)
    assert float(bounds.pA_lower) == pA
    excess = Fraction(float(bounds.pB_upper)) - (1 - Fraction(pA))
    assert 0 <= excess < Fraction(1, 2**51)
    if pA >= 0.5:
        assert excess == 0
