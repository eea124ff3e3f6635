from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.rounding import (
    ceiled,
    complement,
    digits_ceiled,
    exact,
    floored,
    percent_ceiled,
    percent_floored,
)

numbers = st.floats(0, allow_infinity=False)
decimals = st.integers(0, 6)


@given(numbers, decimals)
def test_floored_is_the_largest_decimal_below(value, places):
    shown = Fraction(floored(value, places))
    assert shown <= Fraction(value) < shown + Fraction(1, 10**places)


@given(numbers, decimals)
def test_ceiled_is_the_smallest_decimal_above(value, places):
    shown = Fraction(ceiled(value, places))
    assert shown - Fraction(1, 10**places) < Fraction(value) <= shown


@given(numbers, decimals)
def test_as_many_decimals_as_asked_for(value, places):
    for text in (floored(value, places), ceiled(value, places)):
        assert len(text.partition(".")[2]) == places
        assert "e" not in text.lower()


@given(st.floats(1e-300, 1), st.integers(1, 4))
def test_significant_digits_are_rounded_up(value, digits):
    shown = Fraction(digits_ceiled(value, digits))
    assert Fraction(value) <= shown <= Fraction(value) * (1 + Fraction(10, 10**digits))


def test_never_up_where_formatting_would_round_up():
    assert f"{1.2399:.3f}" == "1.240"
    assert floored(1.2399, 3) == "1.239"
    below = math.nextafter(1.24, 0)
    assert f"{below:.15f}" == "1.240000000000000"
    assert floored(below, 3) == "1.239"


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_percent_of_a_ratio_is_that_of_the_counts(counts):
    k, n = counts
    assert Fraction(percent_floored(k / n)) == Fraction(1000 * k // n, 10)
    assert Fraction(percent_ceiled(k / n)) == Fraction(-(-1000 * k // n), 10)


def test_infinity_is_shown_as_such():
    assert floored(math.inf, 3) == ceiled(math.inf, 3) == "\N{INFINITY}"


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_chosen_numbers_are_shown_as_they_were_chosen(values):
    assert [float(text) for text in exact(values)] == values


@pytest.mark.parametrize("alpha", [0.001, 0.1, 1e-10, 0.3])
def test_complement_is_exact_in_decimals(alpha):
    assert Fraction(complement(alpha)) + Fraction(repr(alpha)) == 1
