from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from radii.bounds import Calibrated
from radii.verification.independent import claimed, most_error, nested


def exact_error(p: float, looks: list[int], fewest: list[int]) -> Fraction:
    """The same in whole numbers, over all counts."""
    success, of = p.as_integer_ratio()
    chance, left = [1], Fraction(0)  # times of ** draws
    for draw in range(1, looks[-1] + 1):
        stays, goes = [(of - success) * v for v in chance], [success * v for v in chance]
        chance = [one + other for one, other in zip([*stays, 0], [0, *goes], strict=True)]
        if draw in looks:
            least = fewest[looks.index(draw)]
            left += Fraction(sum(chance[least:]), of**draw)
            chance = chance[:least]
    return left


@pytest.mark.parametrize("p", [1e-4, 0.1, 0.5, 0.9, 1 - 2**-20])
@pytest.mark.parametrize(
    ("looks", "fewest"),
    [
        ([1], [1]),
        ([5, 9, 150], [5, 10, 140]),
        ([64, 65, 130, 200], [60, 66, 121, 150]),
        ([10, 20], [11, 21]),
        ([10, 20], [0, 5]),
    ],
)
def test_the_error_is_the_exact_one_rounded_up(p, looks, fewest):
    found, exact = Fraction(most_error(p, looks, fewest)), exact_error(p, looks, fewest)
    assert exact <= found <= exact * (1 + Fraction(1, 10**12)) + Fraction(1, 10**27)


def test_what_is_given_up_at_the_ends_counts_as_an_error():
    looks, fewest = [500], [400]
    exact = exact_error(0.001, looks, fewest)
    assert exact < Fraction(1, 10**900)
    assert exact <= Fraction(most_error(0.001, looks, fewest)) < Fraction(1, 10**27)


@pytest.mark.parametrize("spec", [{}, {"thresholds": "0.3/0.7/0.95", "cap": 400, "share": 0.3}])
def test_claims_are_those_of_the_library(spec):
    bound = Calibrated(**{"cap": 10_000, "multiple": 10, **spec})
    fewest = bound.boundaries(0.001).tolist()
    draws = np.random.default_rng(0).integers(1, bound.cap + 1, 400)
    votes = np.random.default_rng(1).binomial(draws, 1 - np.random.default_rng(2).random(400) ** 4)
    expected = bound.lower(votes, draws, 0.001)
    assert len(set(expected)) == len(bound.values) + 1
    for k, n, value in zip(votes.tolist(), draws.tolist(), expected, strict=True):
        assert claimed(k, n, bound.values, bound.looks.tolist(), fewest) == value


def test_the_first_vote_that_claims():
    looks, fewest = [10, 20], [[9, 15], [10, 18]]
    assert claimed(9, 10, (0.3, 0.6), looks, fewest) == 0.3
    assert claimed(10, 10, (0.3, 0.6), looks, fewest) == 0.6
    assert claimed(11, 12, (0.3, 0.6), looks, fewest) == 0.3  # 9 in the first ten, at least
    assert claimed(10, 12, (0.3, 0.6), looks, fewest) == 0
    assert claimed(15, 19, (0.3, 0.6), looks, fewest) == 0.3  # as the next look will, at least
    assert claimed(9, 9, (0.3, 0.6), looks, fewest) == 0.3
    assert claimed(99, 99, (0.3, 0.6), looks, fewest) == 0.6


def test_boundaries_that_cross_are_not_nested():
    assert nested([[3, 5], [3, 6]])
    assert not nested([[3, 5], [4, 4]])
