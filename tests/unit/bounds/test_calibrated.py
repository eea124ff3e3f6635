"""Calibrated boundaries: the whole of alpha, no more, and nested."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from radii.bounds import Calibrated, ClopperPearson, Hybrid
from radii.bounds._calibration import _betting, _log_wealth, boundary
from radii.bounds._crossing import Crossings, Walk, crossings
from radii.bounds.betting import Betting
from radii.bounds.calibrated import geometric_looks
from radii.records import IntArray
from tests.conformance.test_bounds import binomial

THRESHOLDS = "0.5000000000000001/0.6914624612740131/0.93/0.9986/0.9998"
SMALL = Calibrated(THRESHOLDS, cap=20_000)
LARGE = Calibrated(THRESHOLDS, cap=100_000)


def errors(bound: Calibrated, alpha: float) -> list[float]:
    """The exact probability to claim each threshold if it is the truth."""
    claims = bound.boundaries(alpha)
    return [
        crossings(bound.looks, p, claim).most_up
        for p, claim in zip(bound.values, claims, strict=True)
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.7, 1.0])
def test_nearly_all_of_alpha_is_spent_and_no_more(alpha: float, share: float) -> None:
    spent = errors(replace(SMALL, share=share), alpha)
    assert max(spent) <= alpha
    assert min(spent[:3]) > 0.9 * alpha  # for the others, counts of failures are too coarse


def test_at_the_usual_n() -> None:
    spent = errors(LARGE, 0.001)
    assert 0.00099 < max(spent) <= 0.001


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_boundary_lowered_by_one_errs_too_often(alpha: float) -> None:
    for p, claim in zip(SMALL.values, SMALL.boundaries(alpha), strict=True):
        lowered = claim.copy()
        lowered[-1] -= 1
        assert crossings(SMALL.looks, p, lowered).most_up > alpha
        assert crossings(SMALL.looks, p, claim - 1).most_up > 1.1 * alpha


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_boundaries_are_nested_and_so_is_what_they_claim(alpha: float) -> None:
    claims = SMALL.boundaries(alpha)
    assert np.all(np.diff(claims, axis=0) >= 0)
    assert np.all((claims > SMALL.looks * np.array(SMALL.values)[:, None]) & (claims > 0))
    assert np.all(claims <= SMALL.looks + 1)


def test_raising_p_raises_the_chance_to_claim() -> None:
    claim = SMALL.boundaries(0.001)[2]
    chances = [crossings(SMALL.looks, p, claim).up.sum() for p in np.linspace(0.9, 0.95, 30)]
    assert np.all(np.diff(chances) > 0)


def test_the_last_look_keeps_its_share() -> None:
    """With share 1 it is plain Clopper-Pearson, whatever the lattice leaves to looks before."""
    bound, n = replace(SMALL, share=1.0), SMALL.cap
    fixed = ClopperPearson().lower(np.arange(n + 1), n, 0.001)
    for p, claim in zip(bound.values, bound.boundaries(0.001), strict=True):
        assert claim[-1] == np.searchsorted(fixed, p)
    kept = replace(SMALL, share=0.7)
    for p, claim in zip(kept.values, kept.boundaries(0.001), strict=True):
        assert claim[-1] <= np.searchsorted(ClopperPearson().lower(np.arange(n + 1), n, 7e-4), p)


def test_it_needs_fewer_draws_than_bets_and_a_last_look() -> None:
    n, alpha = 20_000, 0.001
    for share in (0.3, 0.5):
        bound = replace(SMALL, share=1 - share)
        hybrid = Hybrid(cap=n, share=share)
        for p, claim in zip(SMALL.values[:3], bound.boundaries(alpha), strict=False):
            other = [
                bisect_left(range(t + 1), p, key=lambda k, t=t: hybrid.lower(k, t, alpha))
                for t in SMALL.looks.tolist()
            ]
            better = 1 - (1 - p) * 0.8
            means = [crossings(SMALL.looks, better, np.array(b)).mean_draws for b in (claim, other)]
            assert means[0] < 0.97 * means[1]


def test_the_rest_of_a_threshold_is_exact_from_one_half_and_else_not_below() -> None:
    """The lower bound leaves `1 - threshold`, which is a float from one half upwards."""
    bound = Calibrated("0.1/0.30000000000000004/0.5/0.9", cap=1_000)
    lower, upper = (
        f(np.array(k), 1_000, 0.01) for f, k in ((bound.lower, 1_000), (bound.upper, 0))
    )
    assert (float(lower), float(upper)) == (0.9, 1 - 0.9)
    claims = bound.boundaries(0.01)[:, -1]
    for threshold, fewest in zip(bound.values, claims.tolist(), strict=True):
        rest = Fraction(float(bound.upper(np.array(1_000 - fewest), 1_000, 0.01)))
        exact = 1 - Fraction(threshold)
        assert exact <= rest <= exact + (0 if threshold >= 0.5 else Fraction(1, 2**52))


def test_where_no_count_suffices_the_boundary_is_beyond_all() -> None:
    """0.9^20 is 0.12 and 0.99^20 is 0.82: no votes of 20 speak for these at alpha 0.05."""
    for p in (0.9, 0.99):
        assert boundary(p, 0.05, 0.8, (10, 20)) == (11, 21)
    assert boundary(0.86, 0.05, 1.0, (10, 20)) == (11, 20)  # 0.86^20 is 0.0490


@pytest.mark.parametrize("alpha", [0.9, 0.3, 0.05, 0.001, 1e-12])
@pytest.mark.parametrize(("p", "share"), [(0.5, 0.8), (0.3, 0.2), (0.9, 0.0)])
def test_no_lower_level_of_the_bets_would_do(alpha: float, p: float, share: float) -> None:
    """Unless it is below 0, where one could claim at a loss; to 0.0012, that is 9 / 2^13."""
    n = 3_000
    looks = geometric_looks(n, 20, 1.3)
    claim, t = np.array(boundary(p, alpha, share, tuple(looks.tolist()))), looks[:-1]
    last = n + 1
    if share:
        last = int(np.searchsorted(ClopperPearson().lower(np.arange(last), n, share * alpha), p))
    can = claim[:-1] <= t
    assert np.all(_log_wealth(claim[:-1][can], t[can], p) >= 0)
    level = _log_wealth(claim[:-1] - 1, t, p).max() - 0.0012
    lowered = crossings(looks, p, np.append(_betting(t, p, level), last))
    assert level < 0 or lowered.most_up > alpha


@pytest.mark.parametrize("alpha", [0.3, 0.001])
def test_a_boundary_takes_few_walks(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halvings: 13 of the levels, and twice those of the counts above their mean."""
    done: list[int] = []

    class Counted(Walk):
        def crossings(self, upper: IntArray, lower: IntArray | None = None) -> Crossings:
            done.append(1)
            return super().crossings(upper, lower)

    monkeypatch.setattr("radii.bounds._calibration.Walk", Counted)
    looks = tuple(geometric_looks(4_000, 32, 1.5).tolist())
    for p in (0.1, 0.75, 0.99):
        done.clear()
        boundary.__wrapped__(p, alpha, 0.8, looks)
        assert len(done) <= 14 + 2 * math.ceil(math.log2(4_000 * (1 - p) + 1))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
def test_the_bets_behind_the_sequence_are_a_fair_game(p: float) -> None:
    """The mean wealth is 1 after any number of draws, and a count below its share wins nothing."""
    for t in (1, 2, 15, 200):
        k = np.arange(t + 1)
        wealth = np.exp(_log_wealth(k, np.full(t + 1, t), p))
        assert binomial(t, np.array([p]))[0] @ wealth == pytest.approx(1, rel=1e-9)
        assert np.all(np.diff(wealth[k >= t * p]) > 0)
        assert np.all(wealth[k <= t * p] < 1)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.97])
def test_the_sequence_claims_at_the_first_count_that_is_rich_enough(p: float) -> None:
    t = np.array([1, 3, 10, 64, 200])
    for level in (0.0, 0.5, 3.0):
        for draws, fewest in zip(t.tolist(), _betting(t, p, level).tolist(), strict=True):
            k = np.arange(int(draws * p) + 1, draws + 1)
            rich = k[_log_wealth(k, np.full(len(k), draws), p) >= level]
            assert fewest == (rich[0] if len(rich) else draws + 1)


def test_between_looks_it_claims_what_both_looks_allow() -> None:
    bound = Calibrated("0.5/0.9", cap=1000)
    claims = bound.boundaries(0.001)
    t = int(bound.looks[3])
    enough = int(claims[0, 3])
    lower = bound.lower(np.array([enough + 1, enough + 2, enough - 1]), t + 2, 0.001)
    np.testing.assert_array_equal(lower[1:], [0.5, 0.0])
    following = int(claims[0, 4])
    assert bound.lower(np.array(following), int(bound.looks[4]) - 1, 0.001) == 0.5
    assert bound.lower(np.array(5), 5, 0.001) == 0


@pytest.mark.parametrize(
    ("arguments", "looks"),
    [
        ((40,), [32, 36, 39, 40]),
        ((20,), [20]),
        ((1000, 32, 3.0), [32, 96, 288, 864, 1000]),
        ((1050, 32, 2.0, 100), [100, 200, 300, 400, 500, 600, 800, 1050]),
        ((5, 1, 1.1), [1, 2, 3, 4, 5]),
    ],
)
def test_looks(arguments: tuple[int, ...], looks: list[int]) -> None:
    found = geometric_looks(*arguments).tolist()
    assert found[0] == looks[0]
    assert found[-1] == looks[-1]
    assert np.all(np.diff(found) > 0)
    multiple = arguments[3] if len(arguments) > 3 else 1
    assert all(t % multiple == 0 for t in found[:-1])
    if len(arguments) < 4:
        assert found == looks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresholds": "0.9/0.5"}, "thresholds must be rising numbers in"),
        ({"thresholds": "0.5/x"}, "thresholds must be rising numbers in"),
        ({"thresholds": "1"}, "thresholds must be rising numbers in"),
        ({"share": 1.5}, r"share must be in \[0, 1\], got 1.5"),
        ({"cap": 0}, "cap must be a whole number of at least 1, got 0"),
        ({"first": 0}, "first must be a whole number"),
        ({"factor": 1.0}, r"factor must be in \[1.01, 100\], got 1.0"),
        ({"factor": 101.0}, r"factor must be in \[1.01, 100\], got 101.0"),
        ({"share": -0.1}, r"share must be in \[0, 1\], got -0.1"),
        ({"thresholds": "0/0.5"}, "thresholds must be rising numbers in"),
        ({"thresholds": "0.5/0.5"}, "thresholds must be rising numbers in"),
        ({"multiple": -1}, "multiple must be a whole number"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibrated(**arguments)  # type: ignore[arg-type]


def test_the_hybrid_is_its_two_parts() -> None:
    bound, k = Hybrid(cap=500, share=0.3), np.arange(0, 501, 7)
    bets = Betting(truncated=True).lower(k, 500, 0.3 * 0.01)
    last = ClopperPearson().lower(k, 500, 0.7 * 0.01)
    np.testing.assert_array_equal(bound.lower(k, 500, 0.01), np.maximum(bets, last))
    later = Betting(truncated=True).lower(k, 501, 0.3 * 0.01)
    np.testing.assert_array_equal(bound.lower(k, 501, 0.01), later)
    for share in (-0.5, 0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=rf"share must be in \(0, 1\), got {share}"):
            Hybrid(share=share)
    assert Hybrid(cap=1).cap == 1
    with pytest.raises(ValueError, match="cap must be a whole number"):
        Hybrid(cap=0)
