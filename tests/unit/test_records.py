"""Votes and bounds on the way between the layers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.records import ClassBounds, Counts, SoftVotes


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


def test_a_tie_is_one_number_an_input() -> None:
    votes = np.array([[3, 7], [9, 0]])
    assert Counts(votes).tie is None
    tie = Counts(votes, tie=np.array([0.0, 0.25], dtype=np.float32)).tie
    assert tie is not None
    assert tie.tolist() == [0.0, 0.25]
    assert tie.dtype == np.float64
    assert Counts(votes[0], tie=np.array(0.5)).tie == 0.5


@pytest.mark.parametrize(
    ("tie", "message"),
    [
        ([0.5, 1.0], r"tie must be in \[0, 1\), got \[0.5, 1.0\]"),
        ([-0.1, 0.0], r"tie must be in \[0, 1\), got \[-0.1, 0.0\]"),
        ([np.nan, 0.0], r"tie must be in \[0, 1\), got \[nan, 0.0\]"),
        (0.5, r"tie must be one number an input, \(2,\), got \(\)"),
        ([[0.5], [0.5]], r"tie must be one number an input, \(2,\), got \(2, 1\)"),
    ],
)
def test_counts_refuses_a_tie(tie: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Counts(np.array([[3, 7], [9, 0]]), tie=tie)


def test_soft_votes_of_a_batch() -> None:
    votes = SoftVotes(
        np.array([[0.5, 2.5], [1.0, 1.0]]), np.array([[0.25, 2.25], [1, 0.5]]), np.array([3, 2])
    )
    assert votes.n.dtype == np.int64
    assert (votes.num_classes, votes.top.tolist()) == (2, [1, 0])  # of equals, the first
    sums, squares = votes.of(np.array([1, 0]))
    assert (sums.tolist(), squares.tolist()) == ([2.5, 1.0], [2.25, 1.0])


def test_whole_scores_are_soft_votes_too() -> None:
    votes = SoftVotes(np.array([3, 0]), np.array([3, 0]), np.array(3))
    assert votes.sums.dtype == votes.squares.dtype == np.float64
    assert [int(votes.n), int(votes.top)] == [3, 0]


def test_rounding_of_a_long_sum_is_allowed_for_and_no_more() -> None:
    n = 1_000_000
    over = n * (1 + n * 2.0**-53)  # what a sum of n ones can come to, whatever the order
    SoftVotes(np.array([over, 0]), np.array([over, 0]), np.array(n))
    with pytest.raises(ValueError, match=r"sums of scores in \[0, 1\] must be in \[0, n\]"):
        SoftVotes(np.array([n * (1 + n * 2.0**-51), 0]), np.zeros(2), np.array(n))


@pytest.mark.parametrize(
    ("sums", "squares", "n", "error", "message"),
    [
        ([4.0, 0.0], [1.0, 0.0], 3, ValueError, r"must be in \[0, n\], got 4.0 with n 3"),
        ([-1.0, 0.0], [0.0, 0.0], 3, ValueError, r"sums .* must be in \[0, n\], got -1.0"),
        ([np.nan, 0.0], [0.0, 0.0], 3, ValueError, r"sums .* must be in \[0, n\], got nan"),
        ([np.inf, 0.0], [0.0, 0.0], 3, ValueError, r"sums .* must be in \[0, n\], got inf"),
        (
            [1.5, 0.5],
            [1.75, 0.5],
            3,
            ValueError,
            r"squares .* in \[0, the sum\], got 1.75 with the sum 1.5",
        ),
        ([1.0, 0.0], [-1.0, 0.0], 3, ValueError, r"squares .* in \[0, the sum\], got -1.0"),
        ([1.0], [1.0], 3, ValueError, r"sums must be \(\*batch, num_classes >= 2\), got \(1,\)"),
        ([1.0, 0.0], [1.0], 3, ValueError, r"must have one shape, got \(2,\) and \(1,\)"),
        (
            [1.0, 0.0],
            [1.0, 0.0],
            [3],
            ValueError,
            r"n must be one number an input, \(\), got \(1,\)",
        ),
        ([1.0, 0.0], [1.0, 0.0], -3, ValueError, "n must be at least 0, got -3"),
        ([1.0, 0.0], [1.0, 0.0], 3.0, TypeError, "n must be integers, got float64"),
        (
            np.array([1, 0], dtype=np.float32),
            [1.0, 0.0],
            3,
            TypeError,
            "sums must be added up in float64, got float32",
        ),
    ],
)
def test_soft_votes_refuses(
    sums: Any, squares: Any, n: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SoftVotes(sums, squares, n)


def test_both_records_refuse_a_label_that_is_no_class() -> None:
    for votes in (Counts(np.array([3, 7])), SoftVotes(np.ones(2), np.ones(2), np.array(2))):
        with pytest.raises(ValueError, match=r"label must be in \[0, 2\), got 2"):
            votes.of(np.array(2))


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
