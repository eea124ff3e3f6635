"""The tests of `radii compare`, against statsmodels on random tables."""

from __future__ import annotations

import numpy as np
import pytest

from radii.evaluation.metrics import Share
from radii.evaluation.significance import McNemar, TwoProportion, holm

# Its own dependencies may warn while it is imported, which is not about this package.
pytestmark = pytest.mark.filterwarnings("ignore")
TABLES = 300


@pytest.fixture(scope="module")
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def sizes(random: np.random.Generator) -> tuple[int, ...]:
    """Four counts, of very different sizes from table to table."""
    return tuple(int(random.integers(0, 10 ** random.integers(1, 5))) for _ in range(4))


def test_two_proportions(random):
    peer = pytest.importorskip("statsmodels.stats.proportion")
    for _ in range(TABLES):
        a, not_a, b, not_b = (count + 1 for count in sizes(random))
        z, p_value = TwoProportion.test(a, b, a + not_a, b + not_b)
        # statsmodels subtracts the second share from the first; here it is second less first.
        theirs = peer.proportions_ztest([b, a], [b + not_b, a + not_a])
        assert z == pytest.approx(theirs[0], rel=1e-9, abs=1e-12)
        assert p_value == pytest.approx(theirs[1], rel=1e-7, abs=1e-300)


def test_49_against_50_percent():
    peer = pytest.importorskip("statsmodels.stats.proportion")
    z, p_value = peer.proportions_ztest([25_000, 24_500], [50_000, 50_000])
    assert TwoProportion.test(24_500, 25_000, 50_000) == pytest.approx((z, p_value), rel=1e-10)


def test_mcnemar(random):
    peer = pytest.importorskip("statsmodels.stats.contingency_tables")
    for _ in range(TABLES):
        both, a_only, b_only, neither = sizes(random)
        a = np.repeat([True, True, False, False], [both, a_only, b_only, neither])
        b = np.repeat([True, False, True, False], [both, a_only, b_only, neither])
        theirs = peer.mcnemar([[both, a_only], [b_only, neither]], exact=True)
        found = McNemar.test(a, b)
        assert found[:2] == (a_only, b_only)
        assert min(found[:2]) == theirs.statistic
        assert found[2] == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-300)


def test_holm(random):
    peer = pytest.importorskip("statsmodels.stats.multitest")
    for _ in range(10):  # it collects garbage each time, which takes long beside torch
        p_values = random.beta(0.3, 1, size=int(random.integers(1, 40)))
        _, theirs, _, _ = peer.multipletests(p_values, method="holm")
        assert holm(p_values) == pytest.approx(theirs.tolist(), rel=1e-12)


def test_the_interval_of_a_share(random):
    peer = pytest.importorskip("statsmodels.stats.proportion")
    for _ in range(TABLES):
        hits, misses = (int(random.integers(0, 2000)) for _ in range(2))
        low, high = peer.proportion_confint(hits, hits + misses + 1, 0.05, method="beta")
        share = Share.of(np.arange(hits + misses + 1) < hits)
        # Above 0 the lower end is moved down a little, and the upper end up.
        assert share.lower == pytest.approx(low, rel=1e-8, abs=1e-12)
        assert share.upper == pytest.approx(high, rel=1e-8)
