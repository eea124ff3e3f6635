"""Betting: which values of p are rejected, and what betting on one side gains."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.bounds import BOUNDS, Betting, ClopperPearson
from tests.reference.high_precision import CONTEXT

CASES = [Betting(), Betting(truncated=True), Betting(prior=1.0), Betting(0.1, truncated=True)]
each_bound = pytest.mark.parametrize("bound", CASES, ids=BOUNDS.spec_of)


def log_wealth(bound: Betting, k: int, n: int, p: np.ndarray) -> np.ndarray:
    """From the laws of SciPy: the beta-binomial over the binomial, and what lies above p."""
    c = bound.prior
    wealth = stats.betabinom(n, c, c).logpmf(k) - stats.binom(n, p).logpmf(k)
    if bound.truncated:
        wealth += stats.beta(k + c, n - k + c).logsf(p) - stats.beta(c, c).logsf(p)
    return np.asarray(wealth)


@each_bound
@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.001])
def test_it_is_the_only_root_below_the_share(bound: Betting, alpha: float) -> None:
    for n, share in product((1, 3, 40, 5_000), (0.01, 0.3, 0.5, 0.9, 0.999, 1.0)):
        k = max(1, round(share * n))
        root = float(bound.lower(np.array(k), n, alpha))
        rejected = np.linspace(0, root, 50)[1:-1]
        kept = np.linspace(root, k / n, 50)[1:-1]
        assert np.all(log_wealth(bound, k, n, rejected) > -np.log(alpha))
        assert np.all(log_wealth(bound, k, n, kept) < -np.log(alpha))


@each_bound
@pytest.mark.parametrize("p", [0.2, 0.5, 0.97])
def test_the_wealth_is_a_fair_game(bound: Betting, p: float) -> None:
    for n in (1, 2, 15):
        k = np.arange(n + 1)
        wealth = np.exp([float(log_wealth(bound, int(i), n, np.array(p))) for i in k])
        assert stats.binom(n, p).pmf(k) @ wealth == pytest.approx(1, rel=1e-10)


def test_betting_on_one_side_is_never_looser() -> None:
    n = np.array([1, 2, 7, 100, 1_000, 100_000])[:, None]
    k = np.round(np.linspace(0, 1, 60) * n).astype(np.int64)
    for alpha, prior in product((0.3, 0.05, 0.001), (0.5, 1.0)):
        both, one = Betting(prior), Betting(prior, truncated=True)
        assert np.all(one.lower(k, n, alpha) >= both.lower(k, n, alpha))
        assert np.all(one.upper(k, n, alpha) <= both.upper(k, n, alpha))


def test_what_it_gains_near_one() -> None:
    """The failures that cannot be excluded after 100,000 successes, against a fixed n."""
    k, n, alpha = np.array(100_000), 100_000, 0.001
    fixed, both, one = (
        float(1 - bound.lower(k, n, alpha))
        for bound in (ClopperPearson(), Betting(), Betting(truncated=True))
    )
    assert fixed < one < 1.2 * fixed
    assert 1.8 * fixed < both


def test_an_alpha_near_one_says_little_and_nothing_breaks() -> None:
    n = np.array([1, 8, 334, 2_000_175])
    for bound in (Betting(0.01), Betting(0.01, truncated=True)):
        for k in (n, n // 2, 0 * n):
            lower, upper = bound.lower(k, n, 1 - 1e-9), bound.upper(n - k, n, 1 - 1e-9)
            assert np.all((lower >= 0) & (lower <= k / n) & (lower < 1))
            np.testing.assert_allclose(upper, 1 - lower, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prior", [0.0, -1.0, 1.5, float("inf")])
def test_refuses(prior: float) -> None:
    with pytest.raises(ValueError, match=rf"prior must be in \(0, 1\], got {prior}"):
        Betting(prior)


def exact_log_wealth(bound: Betting, s: float, n: int, p: float) -> float:
    """The integral of the mixture over its prior, to 60 digits, for a sum of scores."""
    c, mp = CONTEXT.mpf(bound.prior), CONTEXT
    s, p = mp.mpf(s), mp.mpf(p)
    below = p if bound.truncated else 0
    mixed = mp.betainc(s + c, n - s + c, below, 1) / mp.betainc(c, c, below, 1)
    return float(mp.log(mixed) - s * mp.log(p) - (n - s) * mp.log(1 - p))


@each_bound
def test_real_sums_of_scores_against_40_digits(bound: Betting) -> None:
    for n, alpha in ((3, 0.3), (20, 0.05), (300, 0.001)):
        sums = np.array([0.5, 0.8, 1.25, 0.4 * n, 0.731 * n, n - 0.3, n - 1e-6])
        draws = np.full(len(sums), n)
        found = bound.mean_bounds(sums, sums, draws, alpha)
        for s, lower, rest in zip(sums, found.pA_lower, found.pB_upper, strict=True):
            assert exact_log_wealth(bound, s, n, lower) >= -np.log(alpha)
            assert exact_log_wealth(bound, s, n, lower * (1 + 1e-7)) < -np.log(alpha)
            assert rest == pytest.approx(1 - lower, rel=1e-9)


@each_bound
def test_the_bound_rises_with_the_sum_and_little_says_nothing(bound: Betting) -> None:
    sums = np.concatenate([[0, 1e-300, 0.4999], np.linspace(0.5, 40, 800)])
    found = bound.mean_bounds(sums, sums, np.full(len(sums), 40), 0.05)
    assert np.all(np.diff(found.pA_lower) >= 0)
    assert np.all(np.diff(found.pB_upper) <= 0)
    assert found.pA_lower[:3].tolist() == [0, 0, 0]
    assert found.pB_upper[:3].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("truncated", "n"), [(False, 10**6), (False, 10**4), (True, 40)])
def test_the_wealth_is_counted_lower_by_as_much_as_is_said(truncated: bool, n: int) -> None:
    """2^-48 (16 + n log(n + 1)), and 2^-28 more if truncated, and not much more."""
    margin = 2.0**-48 * (16 + n * np.log(n + 1)) + (2.0**-28 if truncated else 0)
    bound, mp = Betting(truncated=truncated), CONTEXT
    for share in (0.3, 0.9):
        k = round(share * n)
        p, c = mp.mpf(float(bound.lower(np.array(k), n, 0.001))), mp.mpf(0.5)
        log_w = mp.log(mp.beta(k + c, n - k + c) / mp.beta(c, c))
        if truncated:
            above = mp.betainc(k + c, n - k + c, p, 1, regularized=True)
            log_w += mp.log(above / mp.betainc(c, c, p, 1, regularized=True))
        log_w -= k * mp.log(p) + (n - k) * mp.log(1 - p)
        assert float(log_w + mp.log(mp.mpf(0.001))) == pytest.approx(margin, rel=0.3)
