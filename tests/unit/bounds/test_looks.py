"""Clopper-Pearson at look times: which looks, which shares, and what is said between them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from radii.bounds import BOUNDS, Bound, ClopperPearson, Staged, UnionClopperPearson
from radii.bounds._looks import AtLooks

BOUNDS_AT_LOOKS: list[AtLooks] = [
    UnionClopperPearson(),
    UnionClopperPearson(cap=50, factor=1.3),
    UnionClopperPearson(cap=3, factor=100.0),
    Staged(),
    Staged("1/2/30/90"),
    Staged("200"),
]
each_bound = pytest.mark.parametrize("bound", BOUNDS_AT_LOOKS, ids=BOUNDS.spec_of)


@each_bound
def test_at_a_look_it_is_clopper_pearson_at_its_share(bound: AtLooks) -> None:
    times, shares = bound.looks(80)
    for t, share in zip(times, shares, strict=True):
        k = np.unique(np.linspace(0, t, 30).astype(np.int64))
        for side in ("lower", "upper"):
            here, fixed = (getattr(b, side) for b in (bound, ClopperPearson()))
            np.testing.assert_array_equal(here(k, t, 0.01), fixed(k, t, 0.01 * share))


def by_hand(bound: AtLooks, k: int, n: int, alpha: float) -> float:
    """The best, over the last and the next look, of the worst over all counts that fit k of n."""
    times, shares = bound.looks(n)
    looks = {max(times[times <= n], default=None), min(times[times >= n], default=None)} - {None}
    found = []
    for t in looks:
        fitting = [
            j for j in range(t + 1) if (0 <= k - j <= n - t if t <= n else 0 <= j - k <= t - n)
        ]
        share = float(shares[times == t][0])
        found.append(float(ClopperPearson().lower(np.array(fitting), t, alpha * share).min()))
    return max(found)


@each_bound
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_between_looks_it_takes_the_worst_count_that_fits(bound: AtLooks, alpha: float) -> None:
    for n in (1, 2, 5, 12, 13, 14, 29, 31, 49, 50, 70):
        for k in range(0, n + 1, 1 if n < 20 else 7):
            assert float(bound.lower(np.array(k), n, alpha)) == by_hand(bound, k, n, alpha)


@each_bound
def test_many_draws_at_once_are_bounded_as_each_alone(bound: AtLooks) -> None:
    n = np.array([1, 3, 13, 30, 49, 51, 90, 90])
    k = np.array([1, 0, 12, 29, 49, 30, 90, 47])
    for side in ("lower", "upper"):
        bounded = getattr(bound, side)
        singly = [float(bounded(np.array(a), int(b), 0.05)) for a, b in zip(k, n, strict=True)]
        assert bounded(k, n, 0.05).tolist() == singly


@each_bound
def test_shares_sum_to_at_most_one_and_times_rise(bound: AtLooks) -> None:
    far = bound.sizes[-1] if isinstance(bound, Staged) else 10**12
    times, shares = bound.looks(far)
    assert all(t < later for t, later in pairwise(times))
    assert 0.2 < shares.sum() <= 1 + 1e-15
    for n in (1, 30, 90):
        fewer, theirs = bound.looks(n)
        np.testing.assert_array_equal(fewer, times[: len(fewer)])
        np.testing.assert_array_equal(theirs, shares[: len(fewer)])
        assert fewer[-1] >= n


def test_which_looks() -> None:
    assert UnionClopperPearson(cap=100_000, factor=10.0).looks(100_001)[0].tolist() == [
        *(10, 100, 1_000, 10_000, 100_000, 1_000_000)
    ]
    shares = UnionClopperPearson().looks(10**9)[1]
    np.testing.assert_allclose(shares[:3], [1 / 6, 5 / 42, 5 / 56], rtol=1e-15)
    times, shares = Staged("1000/100000").looks(7)
    assert times.tolist() == [1_000, 100_000]
    assert shares.tolist() == [0.5, 0.5]


def test_the_largest_number_of_draws_still_has_a_look() -> None:
    n = int(np.iinfo(np.int64).max)
    assert UnionClopperPearson().looks(n)[0][-1] == n


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("union_clopper_pearson:cap=0", "cap must be a whole number of at least 1, got 0"),
        ("union_clopper_pearson:factor=1", r"factor must be in \[1.01, 100\], got 1.0"),
        ("union_clopper_pearson:factor=inf", r"factor must be in \[1.01, 100\], got inf"),
        ("staged:stages=100/100", "stages must be rising whole numbers joined by '/', got '100/1"),
        (
            "staged:stages=1000/100",
            "stages must be rising whole numbers joined by '/', got '1000/1",
        ),
        ("staged:stages=0/100", "got '0/100'; write for example 1000/10000/100000"),
        ("staged:stages=100-1000", "got '100-1000'; write for example"),
        ("staged:stages=1e3", "got '1e3'; write for example"),
    ],
)
def test_refuses(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BOUNDS.build(spec)


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_draws_beyond_the_last_stage_are_refused(side: str) -> None:
    bound: Bound = Staged("10/1000")
    message = "n must be at most 1000, the last of the stages 10/1000, got 1001; add a stage"
    with pytest.raises(ValueError, match=message):
        getattr(bound, side)(np.array([3, 4]), np.array([10, 1001]), 0.01)
