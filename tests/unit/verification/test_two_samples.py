from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # noqa: TID251

from radii.verification.two_samples import fisher, holm, same_votes


@pytest.mark.parametrize(("k", "n", "other", "m"), [(3, 10, 9, 12), (0, 5, 5, 5), (40, 90, 7, 30)])
def test_it_is_twice_the_smaller_tail(k, n, other, m):
    table = [[k, n - k], [other, m - other]]
    tails = [stats.fisher_exact(table, side).pvalue for side in ("less", "greater")]
    assert fisher(k, n, other, m) == pytest.approx(min(1, 2 * min(tails)), rel=1e-5)


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5])
def test_its_level_holds_exactly(p):
    n = m = 20
    law = stats.binom.pmf(np.arange(n + 1), n, p)
    values = np.array([[fisher(k, n, j, m) for j in range(m + 1)] for k in range(n + 1)])
    for level in (0.001, 0.05, 0.2):
        assert (np.outer(law, law) * (values <= level)).sum() <= level


def test_a_large_difference_is_seen_and_equal_votes_are_not():
    assert same_votes({0: 90_000, 1: 10_000}, {0: 89_000, 1: 11_000}) < 1e-9
    assert same_votes({0: 900, 1: 100}, {0: 900, 1: 100}) == 1
    assert same_votes({0: 100}, {1: 100}) < 1e-50


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="no statsmodels")
    values = np.random.default_rng(0).uniform(size=30) ** 3
    assert holm(values.tolist()) == pytest.approx(multitest.multipletests(values, method="holm")[1])
