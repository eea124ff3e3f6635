"""What every registered bound owes: exact coverage, summed over the binomial law."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest

from radii.bounds import BOUNDS, Bound, ClopperPearson, Hoeffding, Staged
from radii.bounds._scores import ScoreBound
from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes

CASES = [
    BOUNDS.build({"name": name, **example})
    for name in BOUNDS.names()
    for example in BOUNDS[name].examples
]
ANYTIME = [bound for bound in CASES if bound.anytime]
SOFT = [bound for bound in CASES if bound.soft]

each_bound = pytest.mark.parametrize("bound", CASES, ids=BOUNDS.spec_of)
each_soft_bound = pytest.mark.parametrize("bound", SOFT, ids=BOUNDS.spec_of)
each_alpha = pytest.mark.parametrize("alpha", [0.05, 0.001])
each_n = pytest.mark.parametrize("n", [1, 2, 3, 10, 29, 60])


def binomial(n: int, p: FloatArray) -> FloatArray:
    """`(len(p), n + 1)` probabilities of 0..n successes, each to 1e-13 of itself."""
    k = np.arange(n + 1)
    ways = np.array([math.comb(n, i) for i in k], dtype=np.float64)
    chances: FloatArray = ways * p[:, None] ** k * (1 - p[:, None]) ** (n - k)
    return chances


def critical(values: FloatArray) -> FloatArray:
    """Each value and its neighbours, where coverage jumps, and a grid."""
    around = [values, np.nextafter(values, 0), np.nextafter(values, 1), np.linspace(0, 1, 201)]
    return np.unique(np.concatenate(around))


def assert_covers(bound: Bound, n: int, alpha: float) -> None:
    """For every p: the lower bound is above p, or the upper one below, at most alpha of the time.

    Between two values of the bound the error is a polynomial that rises towards the upper end, so
    its largest values are met just below each `lower` and just above each `upper`.
    """
    k = np.arange(n + 1)
    for name, values in (("lower", bound.lower(k, n, alpha)), ("upper", bound.upper(k, n, alpha))):
        p = critical(values)
        wrong = values > p[:, None] if name == "lower" else values < p[:, None]
        error = (binomial(n, p) * wrong).sum(axis=1)
        worst = int(error.argmax())
        assert error[worst] <= alpha * (1 + 1e-12), f"{name} errs {error[worst]} at p={p[worst]}"


def errors_at_some_time(bound: Bound, n: int, alpha: float, p: FloatArray) -> FloatArray:
    """For each p, the probability that the lower bound is above it after 1, or 2, or ... n draws.

    Exactly, by the recursion over the counts that have not erred so far.
    """
    p = p[:, None]
    alive, error = np.ones((len(p), 1)), np.zeros(len(p))
    for draws in range(1, n + 1):
        failed, succeeded = alive * (1 - p), alive * p
        alive = np.pad(failed, ((0, 0), (0, 1))) + np.pad(succeeded, ((0, 0), (1, 0)))
        wrong = bound.lower(np.arange(draws + 1), draws, alpha) > p
        error += np.where(wrong, alive, 0).sum(1)
        alive[wrong] = 0
    return error


@each_n
@each_alpha
@each_bound
def test_exact_coverage(bound: Bound, alpha: float, n: int) -> None:
    assert_covers(bound, n, alpha)


@pytest.mark.parametrize("bound", ANYTIME, ids=BOUNDS.spec_of)
@each_alpha
def test_exact_coverage_at_every_stopping_time(bound: Bound, alpha: float) -> None:
    p = critical(bound.lower(np.arange(61), 60, alpha))
    assert errors_at_some_time(bound, 60, alpha, p).max() <= alpha * (1 + 1e-12)


def test_the_recursion_catches_a_bound_for_a_fixed_n() -> None:
    assert errors_at_some_time(ClopperPearson(), 60, 0.05, np.array([0.7])) > 0.1


def fewest_above(bound: Bound, n: int, alpha: float, p: float) -> IntArray:
    """`(n,)` the fewest successes in 1..n draws whose lower bound is above p; one more if none."""
    draws = np.arange(1, n + 1)
    below, above = np.zeros(n, dtype=np.int64), draws + 1
    while np.any(below + 1 < above):
        middle = (below + above) // 2
        wrong = bound.lower(middle, draws, alpha) > p
        below, above = np.where(wrong, below, middle), np.where(wrong, middle, above)
    return above


def long_error_at_some_time(bound: Bound, n: int, alpha: float, p: float) -> float:
    """One of `errors_at_some_time` for a bound that does not fall when its count rises, fast in n.

    Counts that are too small to matter are dropped as if all of them ended in an error.
    """
    alive, least, error = np.ones(1), 0, 0.0
    for draws, limit in enumerate(fewest_above(bound, n, alpha, p), start=1):
        alive = np.append(alive * (1 - p), 0) + np.append(0, alive * p)
        kept = max(int(limit) - least, 0)
        error += float(alive[kept:].sum())
        alive = alive[:kept]
        if draws % 64 == 0:
            rare = int(np.searchsorted(alive.cumsum(), 1e-25))
            error += float(alive[:rare].sum())
            alive, least = alive[rare:], least + rare
    return error


def just_below_its_bounds(bound: Bound, n: int, alpha: float) -> list[float]:
    """Values of p that the bound just misses, where its error jumps."""
    k = (np.array([0.02, 0.5, 0.9, 0.99, 0.999, 1.0]) * n).astype(np.int64)
    values = np.nextafter(bound.lower(k, n, alpha), 0)
    return [float(p) for p in np.unique(values[values > 0])]


@each_alpha
@pytest.mark.parametrize("bound", ANYTIME, ids=BOUNDS.spec_of)
def test_both_recursions_agree(bound: Bound, alpha: float) -> None:
    p = np.array([0.3, 0.9, 0.97])
    long = [long_error_at_some_time(bound, 60, alpha, each) for each in p.tolist()]
    assert long == pytest.approx(errors_at_some_time(bound, 60, alpha, p), rel=1e-12, abs=1e-24)


@pytest.mark.parametrize("n", [600, pytest.param(20_000, marks=pytest.mark.slow)])
@each_alpha
@pytest.mark.parametrize("bound", ANYTIME, ids=BOUNDS.spec_of)
def test_exact_coverage_at_every_stopping_time_of_a_long_run(
    bound: Bound, alpha: float, n: int
) -> None:
    errors = [
        long_error_at_some_time(bound, n, alpha, p) for p in just_below_its_bounds(bound, n, alpha)
    ]
    assert max(errors) <= alpha * (1 + 1e-9)  # n steps, each rounded
    assert max(errors) > alpha / 10  # it is not met by saying nothing


class _Unsplit(Staged):
    """All of alpha at each stage."""

    def looks(self, n: int) -> tuple[IntArray, FloatArray]:
        times, shares = super().looks(n)
        return times, np.ones_like(shares)


@each_alpha
def test_the_long_recursion_catches_wrong_bounds(alpha: float) -> None:
    for wrong in (ClopperPearson(), _Unsplit("100/300/1000/2000")):
        errors = [
            long_error_at_some_time(wrong, 2_000, alpha, p)
            for p in just_below_its_bounds(wrong, 2_000, alpha)
        ]
        assert max(errors) > 1.5 * alpha


@each_alpha
@each_bound
def test_upper_is_one_minus_lower_of_the_rest(bound: Bound, alpha: float) -> None:
    for n in (1, 60, 100_000):
        k = np.unique(np.linspace(0, n, 200).astype(np.int64))
        lower, upper = bound.lower(k, n, alpha), bound.upper(n - k, n, alpha)
        np.testing.assert_allclose(upper, 1 - lower, rtol=0, atol=1e-12)


@each_n
@each_alpha
@each_bound
def test_monotone_and_around_the_share(bound: Bound, alpha: float, n: int) -> None:
    k = np.arange(n + 1)
    lower, upper = bound.lower(k, n, alpha), bound.upper(k, n, alpha)
    assert np.all(np.diff(lower) >= 0)
    assert np.all(np.diff(upper) >= 0)
    assert np.all((lower >= 0) & (lower <= k / n) & (lower < 1))
    assert np.all((upper <= 1) & (upper >= k / n) & (upper > 0))


@each_bound
def test_says_something(bound: Bound) -> None:
    # Hoeffding's half-width at n = 100 is 0.186; at n = 400 it is half of that.
    assert bound.lower(np.array(400), 400, 0.001) > 0.9
    assert bound.upper(np.array(0), 400, 0.001) < 0.1


@each_bound
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_vectorised_is_scalar(bound: Bound, side: str) -> None:
    bounded: Any = getattr(bound, side)
    k, n = np.array([[0, 1, 7], [50, 99, 5]]), np.array([[1, 1, 9], [100, 100, 1000]])
    values = bounded(k, n, 0.01)
    assert (values.shape, values.dtype) == (k.shape, np.float64)
    for at in np.ndindex(k.shape):
        assert bounded(k[at], int(n[at]), 0.01) == values[at]
    assert bounded(np.zeros((0, 3), dtype=np.int64), 5, 0.01).shape == (0, 3)


@each_bound
@pytest.mark.parametrize("side", ["lower", "upper"])
@pytest.mark.parametrize(
    ("k", "n", "alpha", "error", "message"),
    [
        (6, 5, 0.01, ValueError, r"k must be in \[0, n\]"),
        (-1, 5, 0.01, ValueError, r"k must be in \[0, n\]"),
        (0, 0, 0.01, ValueError, "n must be at least 1, got 0"),
        (3, 5, 0.0, ValueError, r"alpha must be in \(0, 1\), got 0.0"),
        (3, 5, 1.0, ValueError, r"alpha must be in \(0, 1\), got 1.0"),
        (3, 5, math.nan, ValueError, r"alpha must be in \(0, 1\), got nan"),
        (0.5, 5, 0.01, TypeError, "k must be integers, got float64"),
        (3, 5.0, 0.01, TypeError, "n must be integers, got float64"),
    ],
)
def test_refuses(
    bound: Bound, side: str, k: float, n: float, alpha: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(bound, side)(np.array(k), n, alpha)


@each_bound
def test_spec_round_trip(bound: Bound) -> None:
    assert BOUNDS.build(BOUNDS.spec_of(bound)) == bound


class _Mutant(Bound):
    """Clopper-Pearson at another alpha, or moved by a share of itself."""

    anytime: ClassVar[bool] = False

    def __init__(self, *, spend: float = 1.0, stretch: float = 1.0) -> None:
        self.spend, self.stretch = spend, stretch

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return ClopperPearson().lower(k, n, alpha * self.spend) * self.stretch

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return 1 - self.lower(np.asarray(n) - k, n, alpha)


@each_alpha
def test_the_check_catches_wrong_bounds(alpha: float) -> None:
    assert_covers(_Mutant(), 30, alpha)
    for mutant in (_Mutant(spend=1.01), _Mutant(spend=2), _Mutant(stretch=1 + 1e-6)):
        with pytest.raises(AssertionError, match=r"lower errs .* at p="):
            assert_covers(mutant, 30, alpha)


def scores_that_are_votes(votes: IntArray) -> SoftVotes:
    scores = votes.astype(np.float64)
    return SoftVotes(scores, scores, votes.sum(axis=-1))


@each_soft_bound
@each_alpha
def test_scores_that_are_votes_are_bounded_as_votes(bound: Bound, alpha: float) -> None:
    for n in (1, 2, 30, 1_000, 100_000):
        k = np.unique(np.linspace(0, n, 50).astype(np.int64))
        votes = np.stack([k, n - k], axis=-1)
        top = np.zeros(len(k), dtype=np.int64)
        hard = bound.class_bounds(Counts(votes), top, alpha)
        soft = bound.class_bounds(scores_that_are_votes(votes), top, alpha)
        # The rounding of n sums, and the root of it where a variance is 0.
        for lost in (hard.pA_lower - soft.pA_lower, soft.pB_upper - hard.pB_upper):
            assert np.all((lost >= -1e-15) & (lost <= 2e-7))


@each_bound
def test_other_bounds_refuse_soft_scores(bound: Bound) -> None:
    votes = scores_that_are_votes(np.array([40, 2]))
    if bound.soft:
        assert 0 < bound.class_bounds(votes, votes.top, 0.3).pA_lower < 1
        return
    message = f"{type(bound).__name__} needs whole votes, got SoftVotes; bounds .* hoeffding"
    with pytest.raises(TypeError, match=message):
        bound.class_bounds(votes, votes.top, 0.3)


def law_of_sums(law: FloatArray, n: int) -> FloatArray:
    """`(m n + 1, m^2 n + 1)` the law of the sum and the sum of squares of n scores, exactly.

    A score is `i / m` with probability `law[i]`; its sum is counted in `1 / m`, its square in
    `1 / m^2`.
    """
    m = len(law) - 1
    chances = np.zeros((m * n + 1, m * m * n + 1))
    chances[0, 0] = 1
    for _ in range(n):
        after = np.zeros_like(chances)
        for i, weight in enumerate(law):
            kept = chances[: chances.shape[0] - i, : chances.shape[1] - i * i]
            after[i:, i * i :] += weight * kept
        chances = after
    return chances


LAWS = [
    np.array(law)
    for p in (0.02, 0.1, 0.3, 0.5, 0.75, 0.9, 0.97)
    for law in (
        [1 - p, 0, p],  # votes
        [0, 1 - p, p],
        [1 - p, p, 0],
        [(1 - p) * 0.9, 0.1, p * 0.9],
        [(1 - p) ** 3, 3 * p * (1 - p) ** 2, 3 * p**2 * (1 - p), p**3],
    )
]


def error_on_scores(bound: Bound, law: FloatArray, n: int, alpha: float) -> float:
    """The probability that pA_lower is above the mean score, or pB_upper below the rest."""
    m = len(law) - 1
    chances = law_of_sums(law, n)
    s, q = (at.astype(np.float64) for at in np.nonzero(chances))
    sums, squares = s / m, q / m**2
    votes = SoftVotes(
        np.stack([sums, n - sums], axis=-1),
        np.stack([squares, np.maximum(n - 2 * sums + squares, 0)], axis=-1),
        np.full(len(s), n),
    )
    bounds = bound.class_bounds(votes, np.zeros(len(s), dtype=np.int64), alpha)
    mean = float(law @ np.arange(m + 1)) / m
    wrong = (bounds.pA_lower > mean) | (bounds.pB_upper < 1 - mean)
    return float(chances[np.nonzero(chances)][wrong].sum())


@each_soft_bound
@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001])
def test_exact_coverage_on_scores(bound: Bound, alpha: float) -> None:
    for n in (1, 3, 25):
        assert max(error_on_scores(bound, law, n, alpha) for law in LAWS) <= alpha * (1 + 1e-12)


class _MutantOnMeans(ScoreBound):
    """The mean less so many standard errors."""

    anytime: ClassVar[bool] = False

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return Hoeffding().lower(k, n, alpha)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return Hoeffding().upper(k, n, alpha)

    def mean_bounds(
        self, sums: FloatArray, squares: FloatArray, n: IntArray, alpha: float
    ) -> ClassBounds:
        variance = np.maximum(squares - sums**2 / n, 0) / np.maximum(n - 1, 1)
        width = np.sqrt(-2 * variance * math.log(alpha) / n)
        return ClassBounds(np.maximum(sums / n - width, 0), np.minimum(1 - sums / n + width, 1))


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001])
def test_the_check_on_scores_catches_a_wrong_bound(alpha: float) -> None:
    assert max(error_on_scores(_MutantOnMeans(), law, 25, alpha) for law in LAWS) > 1.5 * alpha


def score_error_at_some_time(bound: ScoreBound, law: FloatArray, n: int, alpha: float) -> float:
    """The probability that the lower bound is above the mean after 1, or 2, or ... or n scores."""
    m = len(law) - 1
    mean = float(law @ np.arange(m + 1)) / m
    alive, error = np.ones(1), 0.0
    for draws in range(1, n + 1):
        alive = np.convolve(alive, law)
        sums = np.arange(len(alive)) / m
        # Where the squares are not known, they are as large as they can be.
        bounds = bound.mean_bounds(sums, sums, np.full(len(sums), draws), alpha)
        wrong = (bounds.pA_lower > mean) | (bounds.pB_upper < 1 - mean - 1e-15)
        error += float(alive[wrong].sum())
        alive[wrong] = 0
    return error


@pytest.mark.parametrize("bound", [b for b in SOFT if b.anytime], ids=BOUNDS.spec_of)
@each_alpha
def test_exact_coverage_on_scores_at_every_stopping_time(bound: ScoreBound, alpha: float) -> None:
    errors = [score_error_at_some_time(bound, law, 50, alpha) for law in LAWS[::3]]
    assert max(errors) <= alpha * (1 + 1e-12)
    assert max(errors) > alpha / 10  # it is not met by saying nothing


@each_soft_bound
def test_rounding_of_the_sums_cannot_raise_a_claim(bound: Bound) -> None:
    assert isinstance(bound, ScoreBound)
    rng = np.random.default_rng(0)
    n = np.round(10 ** rng.uniform(0, 7, 3_000)).astype(np.int64)
    share = rng.choice([0, 0.3, 0.5, 0.99, 1 - 1e-9, 1], len(n))
    sums = n * share
    squares = sums * np.minimum(1, share + rng.choice([0, 0.001, 1], len(n)))
    off = n * 2.0**-53  # the most that a sum of n terms can be off, as a share of it
    given = SoftVotes(
        np.stack([np.minimum(sums * (1 + off), n), (n - sums) * (1 - off)], axis=-1),
        np.stack([squares * (1 - off), 0 * squares], axis=-1),
        n,
    )
    exact = bound.mean_bounds(sums, squares, n, 0.001)
    rounded = bound.class_bounds(given, np.zeros(len(n), dtype=np.int64), 0.001)
    # 2e-11: where a search for a root stops, on the safe side.
    assert np.all(rounded.pA_lower <= exact.pA_lower * (1 + 2e-11))
    assert np.all(rounded.pB_upper >= exact.pB_upper * (1 - 2e-11))
    assert np.any(sums * (1 + off) > sums * (1 + 1e-10))


@each_soft_bound
def test_vectorised_is_scalar_on_scores(bound: Bound) -> None:
    sums = np.array([[3.25, 0.5], [90.5, 8.0], [0.0, 4.0], [0.25, 0.25]])
    squares = np.array([[3.0, 0.25], [88.25, 3.0], [0.0, 4.0], [0.0625, 0.0625]])
    n, top = np.array([4, 100, 4, 1]), np.array([0, 0, 1, 0])
    together = bound.class_bounds(SoftVotes(sums, squares, n), top, 0.05)
    for i in range(len(n)):
        one = bound.class_bounds(SoftVotes(sums[i], squares[i], n[i]), top[i], 0.05)
        assert (one.pA_lower, one.pB_upper) == (together.pA_lower[i], together.pB_upper[i])


@each_soft_bound
@pytest.mark.parametrize(
    ("sums", "n", "alpha", "message"),
    [
        ([2.0, 1.5], 3, 0.01, r"add up to at most 1 .*, got a total of 3.5 for n=3; divide them"),
        (
            [2.0, 1 + 1e-10],
            3,
            0.01,
            "must add up to at most 1 over the classes, got a total of 3.0",
        ),
        ([0.0, 0.0], 0, 0.01, "n must be at least 1, got 0"),
        ([2.0, 1.0], 3, 0.0, r"alpha must be in \(0, 1\), got 0.0"),
    ],
)
def test_refuses_scores(
    bound: Bound, sums: list[float], n: int, alpha: float, message: str
) -> None:
    votes = SoftVotes(np.array(sums), np.array(sums), np.array(n))
    with pytest.raises(ValueError, match=message):
        bound.class_bounds(votes, votes.top, alpha)
