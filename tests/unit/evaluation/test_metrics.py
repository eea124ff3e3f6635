from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import (  # noqa: TID251 - an independent implementation
    binom,
    binomtest,
    bootstrap,
)

from radii.evaluation import Outcomes
from radii.evaluation.distribution import (
    acr_interval,
    median_radius,
    probabilities,
    radius_quantiles,
)
from radii.evaluation.metrics import (
    Share,
    abstention_rate,
    acr_standard_error,
    average_certified_radius,
    certified_accuracy,
    certified_accuracy_lower,
    radius_grid,
    standard_accuracy,
)
from radii.evaluation.per_class import per_class
from radii.rounding import floored
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


@given(st.lists(st.floats(0, 1e308), min_size=1, max_size=20))
def test_a_mean_is_never_rounded_up(radii):
    exact = sum(map(Fraction, radii)) / len(radii)
    acr = average_certified_radius(Outcomes.of(row(i, r) for i, r in enumerate(radii)))
    assert acr <= exact
    assert exact <= math.nextafter(math.nextafter(acr, math.inf), math.inf)


def test_the_acr_is_not_rounded_up_before_it_is_floored():
    radii = [0.5, math.nextafter(0.5, 0)]
    assert np.mean(radii) == 0.5
    assert floored(average_certified_radius(Outcomes.of(map(row, range(2), radii))), 3) == "0.499"


def test_standard_error():
    outcomes = Outcomes.of(ROWS)
    values = [2.0, 1.0, 0.0, 0.0, 0.5]
    mean = sum(values) / 5
    variance = sum((value - mean) ** 2 for value in values) / 4
    assert acr_standard_error(outcomes) == pytest.approx((variance / 5) ** 0.5, rel=1e-14)
    assert acr_standard_error(Outcomes.of(ROWS[:1])) is None


@pytest.mark.parametrize(
    "metric",
    [
        *(standard_accuracy, abstention_rate, average_certified_radius, acr_standard_error),
        *(median_radius, probabilities, lambda o: per_class(o, [0])),
        *(lambda o: acr_interval(o, generator=np.random.default_rng(0)),),
        *(lambda o: certified_accuracy_lower(o, [0], alpha=0.001),),
    ],
)
def test_nothing_has_no_metrics(metric):
    empty = Outcomes.of([])
    assert len(empty) == 0
    with pytest.raises(ValueError, match="at least one input"):
        metric(empty)
    with pytest.raises(ValueError, match="at least one input"):
        certified_accuracy(empty, [0])


every_metric = {
    "standard accuracy": standard_accuracy,
    "ACR": average_certified_radius,
    "median": median_radius,
    "quantiles": lambda o: radius_quantiles(o, [0.1, 0.25, 0.75, 0.9]),
    "certified accuracy": lambda o: [s.value for s in certified_accuracy(o, [0, 0.5, 50])],
    "lower ends": lambda o: [s.lower for s in certified_accuracy(o, [0, 0.5, 50])],
    "high probability": lambda o: certified_accuracy_lower(o, [0, 0.5, 50], alpha=0.01),
    "quantiles of pA": lambda o: [value for _, value in probabilities(o).quantiles],
    "classes": lambda o: [
        value
        for each in per_class(o, [0, 0.5, 50])
        for value in (
            each.acr,
            each.standard_accuracy,
            *(s.value for _, s in each.certified_accuracy),
        )
    ],
}


@pytest.mark.parametrize("metric", every_metric.values(), ids=every_metric)
@given(rows=some_rows, data=st.data())
def test_abstaining_or_a_wrong_class_never_helps_any_metric(metric, rows, data):
    position = data.draw(st.integers(0, len(rows) - 1))
    instead = data.draw(st.one_of(st.just(abstained(0)), radii.map(lambda r: wrong(0, r))))
    worse = [*rows[:position], instead, *rows[position + 1 :]]
    if rows[position].prediction == rows[position].label:
        assert np.all(metric(Outcomes.of(worse)) <= np.asarray(metric(Outcomes.of(rows))))
    else:  # neither abstaining nor another wrong class changes anything
        assert np.array_equal(metric(Outcomes.of(worse)), metric(Outcomes.of(rows)))


@given(some_rows, st.lists(radii, min_size=2, max_size=6))
def test_certified_accuracy_never_increases_with_the_radius(rows, at):
    outcomes, at = Outcomes.of(rows), sorted(at)
    shares = certified_accuracy(outcomes, at)
    for key in ("value", "lower", "upper"):
        values = [getattr(share, key) for share in shares]
        assert values == sorted(values, reverse=True)
    floors = certified_accuracy_lower(outcomes, at, alpha=0.001)
    assert np.all(np.diff(floors) <= 0)


@given(some_rows, st.lists(radii, min_size=1, max_size=6), st.floats(0, 0.5), st.floats(1e-9, 0.99))
def test_a_floor_is_a_floor(rows, at, alpha, rho):
    outcomes = Outcomes.of(rows)
    floors = certified_accuracy_lower(outcomes, at, alpha=alpha, rho=rho)
    shares = certified_accuracy(outcomes, at)
    assert all(0 <= low <= share.value for low, share in zip(floors, shares, strict=True))
    assert all(share.lower <= share.value <= share.upper for share in shares)


@pytest.mark.parametrize("examples", [1, 60, 500, 10_000, 100_000])
@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("rho", [0.1, 0.01, 0.001])
def test_the_high_probability_floor_holds_for_the_exact_law(examples, alpha, rho):
    """All certify, and a binomial number of certificates is wrong: the worst case."""
    outcomes = Outcomes.of([row(0)])
    outcomes = outcomes.where(np.zeros(examples, dtype=np.int64))
    (floor,) = certified_accuracy_lower(outcomes, [0], alpha=alpha, rho=rho)
    allowed = np.floor((1 - floor) * examples + 1e-9)  # so many wrong ones, and the floor holds
    assert binom.sf(allowed, examples, alpha) <= rho


def test_the_floor_is_the_formula():
    outcomes = Outcomes.of([row(0)] * 900 + [wrong(0)] * 100)
    (floor,) = certified_accuracy_lower(outcomes, [1.0], alpha=0.01, rho=0.001)
    # 0.9 - 0.01 - sqrt(2 * 0.01 * 0.99 * 6.907755 / 1000) - 6.907755 / 3000
    assert floor == pytest.approx(0.9 - 0.01 - 0.0116950 - 0.0023026, abs=1e-6)
    assert certified_accuracy_lower(outcomes, [1.0], alpha=0) == [0.9]


@pytest.mark.parametrize("wrong_one", [{"alpha": 0.6}, {"alpha": -0.1}, {"alpha": 0.1, "rho": 0}])
def test_a_floor_needs_probabilities(wrong_one):
    with pytest.raises(ValueError, match="must be in"):
        certified_accuracy_lower(Outcomes.of(ROWS), [0], **wrong_one)


def spread_out(examples: int, seed: int = 0) -> Outcomes:
    generator = np.random.default_rng(seed)
    values = generator.exponential(size=examples).round(2)
    return Outcomes.of([row(i, r) if r > 0.3 else wrong(i, r) for i, r in enumerate(values)])


def test_the_bootstrap_interval_is_that_of_scipy():
    outcomes = spread_out(80)
    found = acr_interval(outcomes, generator=np.random.default_rng(1), resamples=40_000)
    peer = bootstrap(
        (outcomes.correct_radius,),
        np.mean,
        n_resamples=40_000,
        method="BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    # Each end is a quantile of 40,000 means: off by about se * sqrt(.025 * .975 / 40000) / .058.
    allowed = 5 * acr_standard_error(outcomes) * 0.0135 * 2**0.5
    assert found.lower == pytest.approx(peer.low, abs=allowed)
    assert found.upper == pytest.approx(peer.high, abs=allowed)
    plain = 1.96 * acr_standard_error(outcomes)
    acr = average_certified_radius(outcomes)
    assert found.upper - acr > plain > acr - found.lower  # radii are skewed to the right


def test_the_bootstrap_interval_holds_the_mean_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        sample = spread_out(40, seed)
        found = acr_interval(sample, generator=np.random.default_rng(seed), resamples=400)
        # The mean of an exponential variable where it is above 0.305 (those below are wrong).
        hits += found.lower <= np.exp(-0.305) * 1.305 <= found.upper
    assert 174 <= hits <= 199  # 190 expected; BCa is a little short for 40 examples


def test_the_bootstrap_interval_follows_from_its_generator():
    one, same, other = (
        acr_interval(spread_out(50), generator=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert one == same != other


def test_where_there_is_no_bootstrap_interval():
    generator = np.random.default_rng(0)
    assert acr_interval(Outcomes.of([row(0)]), generator=generator) is None
    infinite = Outcomes.of([row(0, np.inf), row(1)])
    assert acr_interval(infinite, generator=generator) is None
    assert acr_standard_error(infinite) is None
    flat = acr_interval(Outcomes.of([row(0, 0.5)] * 3), generator=generator)
    assert (flat.lower, flat.upper) == (0.5, 0.5)
    for wrong_one in ({"level": 1.0}, {"resamples": 0}):
        with pytest.raises(ValueError, match="must be"):
            acr_interval(Outcomes.of(ROWS), generator=generator, **wrong_one)


def test_quantiles_count_wrong_and_abstained_as_zero():
    outcomes = Outcomes.of(ROWS)  # 2, 1, 0 (wrong, 3), 0 (abstained), 0.5
    assert radius_quantiles(outcomes, [0, 0.4, 0.5, 0.6, 0.61, 0.8, 0.81, 1]).tolist() == [
        *(0, 0, 0.5, 0.5, 1, 1, 2, 2),
    ]
    assert median_radius(outcomes) == 0.5
    assert median_radius(Outcomes.of([row(0, 1.0), row(1, np.inf)])) == 1.0
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        radius_quantiles(outcomes, [1.5])


def test_a_share_is_read_as_the_decimal_that_was_written():
    outcomes = Outcomes.of([row(i, float(i + 1)) for i in range(100)])
    # 0.07 * 100 is 7.000000000000001 in floats; the quantile must not become the eighth.
    shares = [k / 100 for k in range(1, 101)]
    assert radius_quantiles(outcomes, shares).tolist() == list(range(1, 101))


@given(some_rows, st.floats(0, 1))
def test_so_many_have_no_larger_radius_than_the_quantile(rows, share):
    outcomes = Outcomes.of(rows)
    (quantile,) = radius_quantiles(outcomes, [share])
    assert quantile in outcomes.correct_radius
    assert np.mean(outcomes.correct_radius <= quantile) >= share - 1e-12


def test_each_class_by_itself():
    rows = [row(0, 1.0), row(1, 3.0), row(2, 2.0, label=4, prediction=4), abstained(3)]
    zero, four = per_class(Outcomes.of(rows), [0, 2])
    assert (zero.label, zero.examples, four.label, four.examples) == (0, 3, 4, 1)
    assert (zero.acr, four.acr, four.acr_se) == (4 / 3, 2.0, None)
    assert (zero.abstention_rate, zero.standard_accuracy) == (1 / 3, 2 / 3)
    assert [share.value for _, share in zero.certified_accuracy] == [2 / 3, 1 / 3]
    assert [radius for radius, _ in zero.certified_accuracy] == [0, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), radii), min_size=1, max_size=30))
def test_the_classes_add_up_to_the_run(listed):
    outcomes = Outcomes.of(
        [row(i, r, label=label, prediction=said) for i, (label, said, r) in enumerate(listed)]
    )
    table = per_class(outcomes, [0.5])
    assert sum(each.examples for each in table) == len(outcomes)
    total = sum(each.acr * each.examples for each in table)
    assert total / len(outcomes) == pytest.approx(average_certified_radius(outcomes), rel=1e-12)
    hits = sum(round(each.certified_accuracy[0][1].value * each.examples) for each in table)
    assert hits == round(certified_accuracy(outcomes, [0.5])[0].value * len(outcomes))


def test_probabilities_fall_into_bins():
    found = probabilities(Outcomes.of(ROWS), edges=[0, 0.45, 0.98, 1], shares=[0.4, 0.5])
    # pA_lower is 0.98 where a class is certified and 0.45 where not; both are lower edges.
    assert found.right == (0, 0, 3)
    assert found.wrong == (0, 0, 1)
    assert found.abstained == (0, 1, 0)
    assert found.quantiles == ((0.4, 0.0), (0.5, 0.98))


@pytest.mark.parametrize("edges", [[0, 0.5], [0.1, 1], [0, 0.5, 0.5, 1], [0, 0.7, 0.6, 1], [0]])
def test_bins_must_cover_all_probabilities(edges):
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        probabilities(Outcomes.of(ROWS), edges=edges)


def test_a_grid_of_radii():
    right = Outcomes.of([row(0, 1.1), wrong(1, 9.0), row(2, np.inf)])
    assert radius_grid([right]) == (0, 0.25, 0.5, 0.75, 1)
    assert radius_grid([right, Outcomes.of([row(0, 1.3)])]) == (0, 0.25, 0.5, 0.75, 1, 1.25)
    assert radius_grid([Outcomes.of([abstained(0)])]) == (0, 0.25)
    assert radius_grid([Outcomes.of([row(0, 11.0)])])[:3] == (0, 0.5, 1)
