"""Deciding radii: thresholds, what is given up, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from radii.bounds import Betting, Bound, ClopperPearson, Hybrid
from radii.bounds._crossing import crossings
from radii.certificates import GaussianL2
from radii.errors import PlanError
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray, IntArray
from radii.stopping import STOPS, AtRadius, Radii
from radii.stopping._hopeless import hopeless
from radii.stopping._threshold import threshold
from radii.stopping.radii import Decision

CERTIFICATE = GaussianL2(Gaussian(0.5))
GRID = "radii:0,0.25,0.5,0.75,1,1.25,1.5"


def decide(
    spec: str, n: int = 20_000, bound: Bound | None = None, alpha: float = 0.001
) -> Decision:
    course = STOPS.build(spec).course(n, alpha, bound, CERTIFICATE)
    assert isinstance(course, Decision)
    return course


@pytest.mark.parametrize("radius", [0.0, 1e-9, 0.1, 0.5, 1.25, 2.0, 3.9])
def test_a_threshold_is_the_least_that_gives_the_radius(radius: float) -> None:
    p = threshold(CERTIFICATE, radius)
    assert p is not None
    here, below = (ClassBounds.one_sided(v) for v in (p, np.nextafter(p, 0)))
    assert CERTIFICATE.radius(here) >= radius
    assert here.pA_lower > here.pB_upper
    assert CERTIFICATE.radius(below) < radius or not below.pA_lower > below.pB_upper
    assert p == pytest.approx(max(ndtr(radius / 0.5), 0.5), rel=1e-12)


def test_no_probability_gives_a_radius_beyond_all() -> None:
    assert threshold(CERTIFICATE, 100.0) is None


def around(claim: IntArray, n: int) -> FloatArray:
    """Probabilities around the one with even chances to end in a claim."""
    failures = n - claim[-1] + 0.7
    spread = max(math.sqrt(failures), 1.0)
    rates = (failures + np.linspace(-3, 4, 15) * spread) / n
    return np.asarray(1 - rates[rates > 0])


@pytest.mark.parametrize("futility", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("bound", [None, Betting(truncated=True)], ids=["calibrated", "betting"])
def test_the_power_that_is_given_up(bound: Bound | None, futility: float) -> None:
    """At most an eighth more than stated, at the worst p; and most of that is used."""
    course = decide(f"{GRID},futility={futility}", bound=bound)
    for claim, stop in zip(course.claim, course.hopeless, strict=True):
        losses, saved = [], []
        for p in around(claim, 20_000):
            free, given_up = (crossings(course.looks, p, claim, at) for at in (None, stop))
            losses.append(free.up.sum() - given_up.up.sum())
            saved.append(given_up.mean_draws / free.mean_draws)
        assert max(losses) <= 1.125 * futility + 1e-9
        assert min(losses) >= -1e-9
        if futility:
            assert max(losses) > 0.4 * futility
            assert min(saved) < 0.9


def test_giving_up_too_early_is_caught() -> None:
    course = decide("at_radius:0.5")
    claim, stop = course.claim[0], course.hopeless[0]
    free = [crossings(course.looks, p, claim).up.sum() for p in around(claim, 20_000)]
    more = np.minimum(stop + np.sqrt(course.looks).astype(np.int64) // 4, claim - 1)
    less = [crossings(course.looks, p, claim, more).up.sum() for p in around(claim, 20_000)]
    assert max(np.subtract(free, less)) > 1.2 * 0.01


def test_far_below_the_threshold_a_few_draws_suffice() -> None:
    course = decide("at_radius:0.5")
    for p, most in ((0.1, 60), (0.6, 250), (0.8, 20_000)):
        found = crossings(course.looks, p, course.claim[0], course.hopeless[0])
        assert found.mean_draws < most
    whole = crossings(course.looks, 0.6, course.claim[0])
    assert whole.mean_draws == pytest.approx(20_000, rel=1e-6)


def test_where_nothing_can_be_claimed_all_is_hopeless() -> None:
    looks = np.array([10, 20, 30])
    np.testing.assert_array_equal(hopeless(looks, looks + 1, 0.01), looks)


def test_done_is_claimed_or_hopeless() -> None:
    course = decide(GRID)
    j = 20
    look, k = int(course.looks[j]), np.arange(course.looks[20] + 1)
    lower = course.lower(look, k)
    done = course.done(look, k, lower)
    for count in k.tolist():
        open_radii = [
            not (claim[j] <= count or stop[j] >= count)
            for claim, stop in zip(course.claim, course.hopeless, strict=True)
        ]
        assert done[count] == (not any(open_radii)), count
    assert np.all(course.done(look, k, course.thresholds[-1]))  # claimed at an earlier look
    assert not np.all(done)


def test_the_bound_that_comes_back_says_the_same() -> None:
    course = decide(GRID)
    for look in course.looks[::7].tolist():
        k = np.arange(look + 1)
        np.testing.assert_array_equal(course.lower(look, k), course.bound.lower(k, look, 0.001))
    other = decide(GRID, bound=Hybrid())
    assert other.bound == Hybrid(cap=20_000)
    for look in other.looks[::7].tolist():
        k = np.unique(np.linspace(0, look, 99).astype(np.int64))
        whole = other.bound.lower(k, look, 0.001)
        claimed = np.searchsorted(other.thresholds, whole, "right")
        at_thresholds = np.append(0.0, other.thresholds)[claimed]
        np.testing.assert_array_equal(other.lower(look, k), at_thresholds)


def test_nested_claims_of_the_grid_are_those_of_each_radius_alone() -> None:
    """No radius pays for the others: each is claimed where it would be if asked for alone."""
    grid = decide(GRID)
    for radius, claim in zip((0, 0.25, 0.5, 0.75, 1, 1.25, 1.5), grid.claim, strict=True):
        alone = decide(f"at_radius:{radius}").claim[0]
        assert np.all(claim >= alone)
        assert np.mean(claim != alone) < 0.02


def test_the_radius_reaches_what_was_claimed() -> None:
    for radius in (0.0, 0.5, 1.3):
        course = decide(f"at_radius:{radius}")
        lower = course.lower(20_000, 20_000)
        bounds = ClassBounds.one_sided(lower)
        assert CERTIFICATE.radius(bounds) >= radius
        assert bounds.pA_lower > bounds.pB_upper


@pytest.mark.parametrize("bound", [None, Betting()], ids=["calibrated", "betting"])
def test_a_radius_out_of_reach_is_refused_with_the_largest(bound: Bound | None) -> None:
    fixed = ClopperPearson() if bound is None else bound
    largest = CERTIFICATE.radius(ClassBounds.one_sided(fixed.lower(np.array(1000), 1000, 0.001)))
    with pytest.raises(
        PlanError, match=r"radius must be at most 1\.\d+ for n=1000 draws"
    ) as caught:
        decide("at_radius:1.5", n=1000, bound=bound)
    named = float(str(caught.value).split("at most ")[1].split(" ")[0])
    assert named <= largest < named + 1e-5
    decide(f"at_radius:{named}", n=1000, bound=bound)
    with pytest.raises(PlanError, match="radius must be at most"):
        decide(f"at_radius:{largest + 1e-3}", n=1000, bound=bound)
    with pytest.raises(PlanError, match="got 50; take a smaller one, or more draws"):
        decide("radii:50,60", n=1000, bound=bound)
    course = decide("radii:0.5,2,60", n=1000, bound=bound)  # those out of reach are hopeless
    assert np.all(course.done(101, np.arange(102), course.thresholds[0]))


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("at_radius:0.5", AtRadius(0.5)),
        ("at_radius:radius=0.5,futility=0.1", AtRadius(0.5, 0.1)),
        ("radii:0.25,0.5,1", Radii("0.25/0.5/1")),
        ("radii:0.25,0.5,futility=0", Radii("0.25/0.5", 0.0)),
        ({"name": "radii", "radii": "0.25/0.5"}, Radii("0.25,0.5")),
    ],
)
def test_specs(spec: str, rule: object) -> None:
    built = STOPS.build(spec)
    assert built == rule
    assert STOPS.build(STOPS.spec_of(built)) == built


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("at_radius:-1", "radius must be a number of at least 0, got -1.0"),
        ("at_radius:inf", "radius must be a number of at least 0, got inf"),
        ("at_radius:0.5,0.6", "radius of stop 'at_radius' must be a number, got '0.5,0.6'"),
        ("at_radius:0.5,futility=1", r"futility must be in \[0, 1\), got 1.0"),
        ("radii:0.5,x", "radii must be numbers of at least 0 joined by '/', got '0.5/x'"),
        ("radii:-0.5", "radii must be numbers of at least 0 joined by '/', got '-0.5'"),
        ("radii", "stop 'radii' needs radii"),
        ("precision:0.1", "a spec must be name:key=value"),
    ],
)
def test_wrong_specs(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        STOPS.build(spec)
