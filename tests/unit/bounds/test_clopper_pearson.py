"""Clopper-Pearson: as far outside of the exact root as it says, and no farther."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from radii.bounds import ClopperPearson
from tests.reference.high_precision import lower_tail, upper_tail
from tests.reference.test_clopper_pearson import EXTREMES, points

BOUND = ClopperPearson()
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
