"""The recursion over counts, against one with fractions and against closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import betainc

from radii.bounds._crossing import LEFT_OUT, Walk, crossings
from tests.reference.high_precision import lower_tail, upper_tail


def by_fractions(
    looks: list[int], p: float, upper: list[int], lower: list[int]
) -> tuple[list[Fraction], list[Fraction]]:
    """Draw by draw, without rounding."""
    chance, alive = Fraction(p), {0: Fraction(1)}
    up, down, t = [], [], 0
    for look, high, low in zip(looks, upper, lower, strict=True):
        while t < look:
            t += 1
            alive = {
                k: alive.get(k, Fraction(0)) * (1 - chance) + alive.get(k - 1, Fraction(0)) * chance
                for k in range(t + 1)
            }
        up.append(sum((alive.pop(k) for k in list(alive) if k >= high), Fraction(0)))
        down.append(sum((alive.pop(k) for k in list(alive) if k <= low), Fraction(0)))
    down[-1] += sum(alive.values(), Fraction(0))
    return up, down


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93, 0.9999])
@pytest.mark.parametrize(
    ("looks", "upper", "lower"),
    [
        ([1], [1], [-1]),
        ([3, 5, 40], [3, 6, 21], [-1, 2, 9]),
        ([7, 19, 20, 61], [8, 18, 20, 60], [0, 1, 17, 2]),
    ],
)
def test_every_chance_is_as_exact_as_it_says(
    p: float, looks: list[int], upper: list[int], lower: list[int]
) -> None:
    found = crossings(np.array(looks), p, np.array(upper), np.array(lower))
    exact = by_fractions(looks, p, upper, lower)
    assert found.rounding < 1e-10
    for values, truths in zip((found.up, found.down), exact, strict=True):
        for value, truth in zip(values, truths, strict=True):
            slack = Fraction(found.rounding) * truth + Fraction(found.dropped)
            assert abs(Fraction(float(value)) - truth) <= slack
    assert Fraction(found.most_up) >= sum(exact[0])
    mean = sum(t * (a + b) for t, a, b in zip(looks, *exact, strict=True))
    assert found.mean_draws == pytest.approx(float(mean), rel=1e-12)


@pytest.mark.parametrize(("n", "p", "k"), [(100_000, 0.5, 50_300), (100_000, 0.9998, 99_990)])
def test_one_look_is_the_binomial_tail(n: int, p: float, k: int) -> None:
    for looks in ([n], [n // 3, n // 2, n]):
        claim = np.append(np.array(looks[:-1], dtype=np.int64) + 1, k)
        found = crossings(np.array(looks), p, claim)
        assert found.up[-1] == pytest.approx(betainc(k, n - k + 1, p), rel=1e-10)
        assert 0 <= found.dropped < 1e-20
        assert found.most_up > found.up.sum()


@pytest.mark.parametrize("p", [0.02, 0.5, 0.97, 1 - 1e-7])
@pytest.mark.parametrize("draws", [1, 33, 9_000])
def test_a_step_leaves_out_no_more_than_it_says(draws: int, p: float) -> None:
    (step,) = Walk(np.array([draws]), p).steps
    k = step.first + np.arange(len(step.chances))
    below = 1 - betainc(max(k[0], 1), draws - max(k[0], 1) + 1, p) if k[0] else 0.0
    above = betainc(k[-1] + 1, draws - k[-1], p) if k[-1] < draws else 0.0
    assert below <= LEFT_OUT + 1e-15  # 1 - x has no digits beyond
    assert above <= LEFT_OUT < 1e-22
    assert step.chances.sum() == pytest.approx(1, rel=1e-12)


LAWS = [(n, p) for n in (1, 40, 3_000, 10**6) for p in (1e-6, 0.03, 0.5, 0.97, 0.999)]


@pytest.mark.parametrize(("draws", "p"), LAWS)
def test_what_a_step_leaves_out_against_exact_tails(draws: int, p: float) -> None:
    """Not more than it says; nor is it wider than need be, for `rounding` pays for every count."""
    (step,) = Walk(np.array([draws]), p).steps
    last = step.first + len(step.chances) - 1
    assert 0 <= step.first <= last <= draws
    left_out = upper_tail(last + 1, draws, p) + lower_tail(step.first - 1, draws, p)
    assert left_out <= LEFT_OUT
    assert len(step.chances) <= 90 + 23 * math.sqrt(draws * p * (1 - p))
    for k in np.unique(np.linspace(step.first, last, 9).astype(np.int64)).tolist():
        chance = upper_tail(k, draws, p) - upper_tail(k + 1, draws, p)
        if chance > 1e-20:
            assert float(step.chances[k - step.first] / chance) == pytest.approx(1, rel=1e-9)


def test_a_walk_that_cannot_go_on_ends() -> None:
    """Everybody leaves at the first look: nothing is left for the others, and nothing is lost."""
    found = crossings(np.array([4, 8, 9]), 0.5, np.array([2, 0, 0]), np.array([1, -1, -1]))
    assert found.up.tolist() == [pytest.approx(11 / 16), 0, 0]
    assert found.down.tolist() == [pytest.approx(5 / 16), 0, 0]
    assert found.mean_draws == pytest.approx(4)
    assert found.dropped < 1e-24


def test_everybody_may_leave_at_a_look() -> None:
    for upper, lower, found in ((0, -1, [1, 0]), (-3, -1, [1, 0]), (4, 3, [0, 1]), (9, 7, [0, 1])):
        ends = crossings(np.array([3, 5]), 0.5, np.array([upper, 6]), np.array([lower, -1]))
        assert [ends.up[0], ends.down[0]] == pytest.approx(found, abs=1e-15)
        assert ends.up[1] == ends.down[1] == 0
        assert ends.mean_draws == pytest.approx(3)


def test_counts_of_both_ends_are_dropped() -> None:
    chances = [math.comb(200, k) / 2**200 for k in range(201)]
    rare = sum(chance for chance in chances if chance <= 1e-26)
    assert rare > 1e-27
    found = crossings(np.array([200]), 0.5, np.array([201]))
    assert found.dropped - LEFT_OUT == pytest.approx(rare, rel=1e-6, abs=0)


def test_without_a_lower_boundary_nobody_leaves_downwards() -> None:
    found = crossings(np.array([2, 4, 6]), 0.3, np.array([3, 5, 6]))
    assert found.down[:2].tolist() == [0, 0]
    assert found.up[2] == pytest.approx(0.3**6, rel=1e-12, abs=0)


def test_what_is_too_rare_is_dropped_and_counted() -> None:
    """All that goes on after the first look has a probability of `0.001^9`, or nearly none."""
    looks, p = np.array([9, 18]), 0.001
    for upper, lower, alive in ((10, 8, 1e-27), (9, 7, 9 * 0.999 * 1e-24)):
        found = crossings(looks, p, np.array([upper, 18]), np.array([lower, -1]))
        if alive < 1e-26:
            assert alive <= found.dropped <= 1.1 * (alive + 2 * LEFT_OUT)
            assert found.up[1] == found.down[1] == 0
        else:
            assert found.dropped < 3 * LEFT_OUT
            assert found.up[1] + found.down[1] == pytest.approx(alive, rel=1e-4, abs=0)


def test_crossing_boundaries_leave_to_one_side_only() -> None:
    """Where both boundaries claim a count, it is the upper one that is met."""
    found = crossings(np.array([4, 6]), 0.5, np.array([2, 5]), np.array([3, 5]))
    assert found.up.tolist() == [pytest.approx(11 / 16), 0]
    assert found.up.sum() + found.down.sum() == pytest.approx(1, rel=1e-12)
    assert found.down[0] == pytest.approx(5 / 16)


def test_the_bound_on_the_rounding_is_that_of_its_proof() -> None:
    looks = np.array([64, 200, 1_000])
    found, walk = crossings(looks, 0.3, looks + 1), Walk(looks, 0.3)
    a_look = [16 * (len(step.chances) + 8) * 2.0**-53 for step in walk.steps]
    assert found.rounding == pytest.approx(2 * sum(a_look), rel=1e-12, abs=0)
    assert found.most_up == found.dropped * (1 + found.rounding)
