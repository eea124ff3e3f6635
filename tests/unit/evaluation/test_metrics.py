from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # noqa: TID251 - an independent implementation

from radii.evaluation import Outcomes
from radii.evaluation.metrics import (
    Share,
    abstention_rate,
    acr_standard_error,
    average_certified_radius,
    certified_accuracy,
    standard_accuracy,
)
from tests.unit.evaluation.ledgers import abstained, row, wrong

ROWS = [row(0, 2.0), row(1, 1.0), wrong(2, 3.0), abstained(3), row(4, 0.5)]

radii = st.floats(0, 100, allow_subnormal=False)
some_rows = st.lists(
    st.one_of(
        radii.map(lambda r: row(0, r)), radii.map(lambda r: wrong(0, r)), st.just(abstained(0))
    ),
    min_size=1,
    max_size=30,
)


def test_outcomes_of_rows():
    outcomes = Outcomes.of(iter(ROWS))
    assert outcomes.correct.tolist() == [True, True, False, False, True]
    assert outcomes.abstained.tolist() == [False, False, False, True, False]
    assert outcomes.radius.tolist() == [2.0, 1.0, 3.0, 0.0, 0.5]
    assert outcomes.correct_radius.tolist() == [2.0, 1.0, 0.0, 0.0, 0.5]
    assert (outcomes.samples, outcomes.seconds, len(outcomes)) == (5500, 1.25, 5)


def test_abstained_and_wrong_count_as_wrong_everywhere():
    outcomes = Outcomes.of(ROWS)
    assert standard_accuracy(outcomes) == 3 / 5
    assert abstention_rate(outcomes) == 1 / 5
    assert average_certified_radius(outcomes) == 3.5 / 5
    shares = certified_accuracy(outcomes, [0, 1, 2.5])
    assert [share.value for share in shares] == [3 / 5, 2 / 5, 0]


def test_an_abstention_is_not_right_even_at_radius_zero():
    outcomes = Outcomes.of([abstained(0)])
    assert certified_accuracy(outcomes, [0])[0].value == 0
    assert standard_accuracy(outcomes) == 0
    assert average_certified_radius(outcomes) == 0


@given(some_rows, st.data())
def test_abstaining_instead_of_being_right_never_helps(rows, data):
    position = data.draw(st.integers(0, len(rows) - 1))
    worse = [*rows[:position], abstained(0), *rows[position + 1 :]]
    before, after = Outcomes.of(rows), Outcomes.of(worse)
    assert standard_accuracy(after) <= standard_accuracy(before)
    assert average_certified_radius(after) <= average_certified_radius(before)
    at = [0, 0.5, 50]
    for one, other in zip(
        certified_accuracy(after, at), certified_accuracy(before, at), strict=True
    ):
        assert one.value <= other.value


def test_an_input_counts_at_exactly_its_radius():
    radius = 0.1 + 0.2
    outcomes = Outcomes.of([row(0, radius)])
    at = [np.nextafter(radius, 0), radius, np.nextafter(radius, 1)]
    assert [share.value for share in certified_accuracy(outcomes, at)] == [1, 1, 0]


@given(some_rows)
def test_the_area_under_certified_accuracy_is_the_acr(rows):
    outcomes = Outcomes.of(rows)
    edges = [0.0, *np.unique(outcomes.correct_radius[outcomes.correct_radius > 0])]
    # Between two edges the curve has its value at the right one: an exact integral.
    heights = [share.value for share in certified_accuracy(outcomes, edges[1:])]
    area = sum(
        height * (end - start)
        for height, (start, end) in zip(heights, itertools.pairwise(edges), strict=True)
    )
    assert area == pytest.approx(average_certified_radius(outcomes), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("hits", "examples"), [(0, 1), (1, 1), (0, 60), (42, 60), (60, 60), (9_000, 10_000)]
)
def test_the_interval_is_clopper_pearson_at_95_percent(hits, examples):
    share = Share.of(np.arange(examples) < hits)
    interval = binomtest(hits, examples).proportion_ci(0.95, method="exact")
    assert share.value == hits / examples
    # SciPy finds its limits by a root search, which stops at a relative error of about 1e-12.
    assert share.lower == pytest.approx(interval.low, rel=1e-8, abs=1e-12)
    assert share.upper == pytest.approx(interval.high, rel=1e-8)
    assert share.lower <= share.value <= share.upper


def test_standard_error():
    outcomes = Outcomes.of(ROWS)
    values = [2.0, 1.0, 0.0, 0.0, 0.5]
    mean = sum(values) / 5
    variance = sum((value - mean) ** 2 for value in values) / 4
    assert acr_standard_error(outcomes) == pytest.approx((variance / 5) ** 0.5, rel=1e-14)
    assert acr_standard_error(Outcomes.of(ROWS[:1])) is None


@pytest.mark.parametrize(
    "metric",
    [standard_accuracy, abstention_rate, average_certified_radius, acr_standard_error],
)
def test_nothing_has_no_metrics(metric):
    empty = Outcomes.of([])
    assert len(empty) == 0
    with pytest.raises(ValueError, match="at least one input"):
        metric(empty)
    with pytest.raises(ValueError, match="at least one input"):
        certified_accuracy(empty, [0])
