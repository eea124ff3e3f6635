"""Randomised Clopper-Pearson: coverage integrated over the tie, and its digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from radii.bounds import Bound, ClopperPearson, RandomizedClopperPearson
from radii.bounds import randomized_clopper_pearson as module
from radii.bounds.randomized_clopper_pearson import _tail
from radii.records import Counts, FloatArray
from tests.conformance.test_bounds import binomial, critical
from tests.reference.high_precision import CONTEXT, lower_tail, upper_tail
from tests.reference.test_clopper_pearson import EXTREMES, points

BOUND = RandomizedClopperPearson()
each_side = pytest.mark.parametrize("side", ["lower", "upper"])
each_alpha = pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001])


def is_wrong(bound: Bound, side: str, n: int, alpha: float, p: Any, k: Any, u: Any) -> Any:
    values = getattr(bound, side)(k, n, alpha, u)
    return values > p if side == "lower" else values < p


def wrong_ties(bound: Bound, side: str, n: int, alpha: float, p: FloatArray) -> FloatArray:
    """`(len(p), n + 1)` the share of all ties at which the bound of k successes misses p.

    It misses for the ties below some number, which is found by bisection.
    """
    grid, k = np.broadcast_arrays(p[:, None], np.arange(n + 1))
    below, above = np.zeros(k.shape), np.ones(k.shape)
    for u, found, to in ((np.zeros(k.shape), below, False), (np.ones(k.shape), below, True)):
        wrong = is_wrong(bound, side, n, alpha, grid, k, u)
        (found if to else above)[wrong if to else ~wrong] = 1.0 if to else 0.0
    open_ = np.nonzero(below < above)
    low, high = below[open_], above[open_]
    for _ in range(45):
        middle = (low + high) / 2
        wrong = is_wrong(bound, side, n, alpha, grid[open_], k[open_], middle)
        low, high = np.where(wrong, middle, low), np.where(wrong, high, middle)
    below[open_] = high
    return below


def error(bound: Bound, side: str, n: int, alpha: float) -> FloatArray:
    """The probability of a miss over votes and tie, at many p; each to 1e-12."""
    values = getattr(ClopperPearson(), side)(np.arange(n + 1), n, alpha)
    p = critical(values)[:: max(1, n // 5)]
    p = p[p < 1 - 1e-9] if side == "lower" else p[p > 1e-9]  # there the bound is kept from 1 and 0
    return np.asarray((binomial(n, p) * wrong_ties(bound, side, n, alpha, p)).sum(axis=1))


@each_side
@each_alpha
@pytest.mark.parametrize("n", [1, 2, 3, 10, 60])
def test_it_spends_alpha_and_no_more(side: str, alpha: float, n: int) -> None:
    errors = error(BOUND, side, n, alpha)
    assert errors.max() <= alpha + 1e-12
    assert errors.min() >= alpha - 1e-9


class _Spendthrift(RandomizedClopperPearson):
    """As if the tie were spread over [0.01, 1]."""

    def lower(self, k: Any, n: Any, alpha: float, tie: FloatArray | None = None) -> FloatArray:
        assert tie is not None
        return super().lower(k, n, alpha, np.maximum(tie - 0.01, 0))


def test_the_check_catches_a_tie_that_is_not_uniform() -> None:
    assert error(_Spendthrift(), "lower", 10, 0.05).max() > 0.051


@each_side
def test_without_a_tie_and_with_the_largest_it_is_clopper_pearson(side: str) -> None:
    k = np.arange(61)
    ours, fixed = getattr(BOUND, side), getattr(ClopperPearson(), side)(k, 60, 0.01)
    np.testing.assert_array_equal(ours(k, 60, 0.01), fixed)
    largest = ours(k, 60, 0.01, np.ones(61))
    np.testing.assert_allclose(largest, fixed, rtol=1e-11, atol=0)


@each_side
@each_alpha
def test_between_the_bounds_of_a_count_and_its_neighbour(side: str, alpha: float) -> None:
    n, many = 40, 60
    k, tie = np.meshgrid(np.arange(n + 1), np.linspace(0, 1, many), indexing="ij")
    values = getattr(BOUND, side)(k, n, alpha, tie)
    fixed = getattr(ClopperPearson(), side)(np.arange(n + 1), n, alpha)
    assert np.all((values >= 0) & (values <= 1))
    assert np.all(np.diff(values, axis=0) >= -1e-14)  # rises with k
    if side == "lower":  # from the bound of k + 1 down to that of k, as u grows
        np.testing.assert_allclose(values[:-1, 0], fixed[1:], rtol=1e-11)
        assert np.all(np.diff(values) <= 1e-14)
    else:  # from the bound of k - 1 up to that of k
        np.testing.assert_allclose(values[1:, 0], fixed[:-1], rtol=1e-11)
        assert np.all(np.diff(values) >= -1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_both_sides_against_exact_tails(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for at, (k, n, alpha) in enumerate(points(seed, 60) + EXTREMES):
        near = alpha * (1 + float(rng.choice([1e-9, -1e-9, 0.01, -0.01, 0.5, -0.5])))
        u = min(near, 1.0) if at % 5 == 0 else float(rng.uniform())
        tie, rest = np.array(u), n - k
        lower = float(BOUND.lower(np.array(k), n, alpha, tie))
        upper = float(BOUND.upper(np.array(rest), n, alpha, tie))

        def above(p: float, k: int = k, n: int = n, u: float = u) -> Any:
            return u * upper_tail(k, n, p) + (1 - u) * upper_tail(k + 1, n, p)

        def below(q: float, j: int = rest, n: int = n, u: float = u) -> Any:
            return u * lower_tail(j, n, q) + (1 - u) * lower_tail(j - 1, n, q)

        where = f"{k=} {n=} {alpha=} {u=}"
        assert above(lower) <= alpha or lower == 0, where
        assert below(upper) <= alpha or upper == 1, where
        assert above(min(lower * (1 + 1e-9), 1)) >= alpha or (k == n and u <= alpha), where
        assert below(upper * (1 - 1e-9)) >= alpha or upper == 2.0**-40, where
        assert upper == pytest.approx(1 - lower, rel=0, abs=2e-12), where


MARGIN = Fraction(1, 2**40)


def ties(alpha: float, rng: np.random.Generator) -> list[float]:
    """Of all sizes, and on both sides of alpha, near and far."""
    gaps = [sign * gap for gap in (1e-11, 1e-9, 1e-6, 0.01, 0.3, 0.7) for sign in (-1, 1)]
    found = [alpha * (1 + gap) for gap in gaps] + [alpha, 0.0, 1.0, *rng.uniform(size=4)]
    return [float(u) for u in found if u <= 1]


@pytest.mark.parametrize("alpha", [0.9, 0.3, 0.001, 1e-10])
@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_unanimous_votes_in_closed_form(n: int, alpha: float) -> None:
    """`u p^n = alpha` for n of n, and `(1 - u) (1 - p)^n = 1 - alpha` for none of n."""
    power = CONTEXT.mpf(1) / n
    for u in ties(alpha, np.random.default_rng(n)):
        root = (CONTEXT.mpf(alpha) / CONTEXT.mpf(max(u, alpha))) ** power
        none = ((1 - CONTEXT.mpf(alpha)) / (1 - CONTEXT.mpf(min(u, alpha)))) ** power
        for k, lower, upper in ((n, root, 1 - root), (0, 1 - none, none)):
            found = float(BOUND.lower(np.array(k), n, alpha, np.array(u)))
            exact = lower * (1 - CONTEXT.ldexp(1, -40))
            assert float(abs(found - exact)) <= 2.0**-44 * float(exact), (k, u)
            found = float(BOUND.upper(np.array(n - k), n, alpha, np.array(u)))
            exact = min(max(upper * (1 + CONTEXT.ldexp(1, -40)), CONTEXT.ldexp(1, -40)), 1)
            assert float(abs(found - exact)) <= 2.0**-44 * float(exact), (k, u)


@each_side
def test_it_is_a_share_of_2_to_the_minus_40_outside_of_the_root(side: str) -> None:
    rng, outwards = np.random.default_rng(5), 1 if side == "upper" else -1
    for k, n, alpha in points(7, 60) + EXTREMES:
        u = float(rng.uniform())
        if not 0 < k < n <= 20_000:
            continue
        bound = Fraction(float(getattr(BOUND, side)(np.array(k), n, alpha, np.array(u))))
        for share, farther in ((Fraction(4, 5), True), (Fraction(6, 5), False)):
            p = bound / (1 + outwards * share * MARGIN)
            if side == "lower":
                tail = u * upper_tail(k, n, p) + (1 - u) * upper_tail(k + 1, n, p)
            else:
                tail = u * lower_tail(k, n, p) + (1 - u) * lower_tail(k - 1, n, p)
            assert p > 1 or (tail < alpha) == farther, f"{k=} {n=} {alpha=} {u=} {share=}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that the tails are computed."""
    tail, found = module._tail, list[int]()

    def counted(side: Any, a: Any, n: Any, p: Any) -> Any:
        found.append(a.size)
        return tail(side, a, n, p)

    monkeypatch.setattr(module, "_tail", counted)
    return found


@pytest.mark.parametrize(("side", "mean", "most"), [("lower", 3.6, 6), ("upper", 4.7, 18)])
def test_a_root_takes_few_steps(side: str, mean: float, most: int, asked: list[int]) -> None:
    """Each computes two tails. On average 3.4 and 4.4 were needed, and 5 and 16 at most."""
    rng, steps = np.random.default_rng(0), []
    for k, n, alpha in points(0, 150) + EXTREMES:
        if 0 < k < n:
            asked.clear()
            getattr(BOUND, side)(np.array(k), n, alpha, rng.uniform(size=()))
            steps.append(len(asked) / 2)
    assert np.mean(steps) < mean
    assert max(steps) <= most


@each_side
def test_no_root_is_looked_for_where_there_is_a_closed_form(side: str, asked: list[int]) -> None:
    k = np.array([0, 9, 0, 9])
    getattr(BOUND, side)(k, 9, 0.01, np.array([0.0, 0.3, 1.0, 0.5]))
    assert sum(asked) == 0


@pytest.mark.parametrize(("a", "n"), [(2, 8_679_866), (2, 60), (30, 60), (59, 60)])
def test_both_tails_against_exact_ones(a: int, n: int) -> None:
    """Above one half too, where SciPy's functions are off by up to 3e-10 of themselves."""
    for p in (0.3 * a / n, 0.8 * a / n, a / n, min(1.04 * a / n, 0.999)):
        at_least, below = upper_tail(a, n, p), lower_tail(a - 1, n, p)
        where = np.array(a), np.array(n), np.array(p)
        for side, exact in (("lower", at_least), ("upper", below)):
            assert float(_tail(side, *where) / exact) == pytest.approx(1, rel=2e-12, abs=0)


def test_it_never_claims_certainty() -> None:
    tie = np.array([0.0, 0.001, 0.0011])
    votes = Counts(np.array(3 * [[100, 0]]), tie)
    bounds = BOUND.class_bounds(votes, votes.top, 0.001)
    assert bounds.pA_lower[:2].tolist() == [1 - 2.0**-40] * 2
    assert bounds.pB_upper[:2].tolist() == [2.0**-40] * 2
    assert bounds.pA_lower[2] == pytest.approx((0.001 / 0.0011) ** 0.01, rel=1e-11)


def test_class_bounds_read_the_tie() -> None:
    votes = np.array([[500, 300, 200], [900, 90, 10]])
    top, tie = np.array([0, 0]), np.array([0.25, 0.75])
    bounds = BOUND.class_bounds(Counts(votes, tie), top, 0.01)
    np.testing.assert_array_equal(bounds.pA_lower, BOUND.lower(votes[:, 0], 1000, 0.01, tie))
    np.testing.assert_allclose(bounds.pB_upper, 1 - bounds.pA_lower, rtol=1e-11)
    without = BOUND.class_bounds(Counts(votes), top, 0.01)
    fixed = ClopperPearson().class_bounds(Counts(votes), top, 0.01)
    np.testing.assert_array_equal(without.pA_lower, fixed.pA_lower)
    assert np.all(bounds.pA_lower > fixed.pA_lower)


@each_side
def test_vectorised_is_scalar_with_a_tie(side: str) -> None:
    k, n = np.array([[0, 1, 7, 3], [50, 99, 5, 0]]), np.array([[1, 1, 9, 9], [100, 100, 1000, 7]])
    tie = np.random.default_rng(0).uniform(size=k.shape)
    tie[1, 3] = 0.001
    values = getattr(BOUND, side)(k, n, 0.01, tie)
    for at in np.ndindex(k.shape):
        assert getattr(BOUND, side)(k[at], int(n[at]), 0.01, tie[at]) == values[at]
    assert getattr(BOUND, side)(k[:, :0], n[:, :0], 0.01, tie[:, :0]).shape == (2, 0)


@each_side
@pytest.mark.parametrize(
    ("tie", "message"),
    [
        ([0.5, 1.5], r"tie must be in \[0, 1\], got \[0.5, 1.5\]"),
        ([0.5, np.nan], r"tie must be in \[0, 1\], got \[0.5, nan\]"),
        ([0.5], r"tie must be one number an input, \(2,\), got \(1,\)"),
    ],
)
def test_refuses_a_tie(side: str, tie: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(BOUND, side)(np.array([1, 2]), 5, 0.01, np.array(tie))
