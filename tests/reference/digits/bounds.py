"""Every registered bound against the code of `radii verify`, which is in 50 digits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from radii.bounds import BOUNDS
from radii.records import ClassBounds, Counts, SoftVotes
from radii.verification.independent import Evidence, bound_of
from tests.reference.digits.points import alphas, counts, log_uniform, shared
from tests.reference.digits.record import Check, Finding
from tests.reference.digits.walks import calibrated

_CLASSES = 3
_EACH = 100  # points of one alpha
_TAILS = "binomial tails at the stored bound"
# Parameters beside the default ones; {n} is a number of draws.
_VARIANTS = {
    "betting": ("betting", "betting:truncated=true", "betting:prior=1.0", "betting:prior=0.1"),
    "hybrid": ("hybrid:cap={n}", "hybrid:cap={n},share=0.9"),
    "union_clopper_pearson": (
        "union_clopper_pearson",
        "union_clopper_pearson:cap=60,factor=1.1",
        "union_clopper_pearson:cap=10000000",
    ),
    "runner_up_clopper_pearson": (
        "runner_up_clopper_pearson",
        "runner_up_clopper_pearson:share=0.9",
    ),
    "randomized_runner_up_clopper_pearson": (
        "randomized_runner_up_clopper_pearson",
        "randomized_runner_up_clopper_pearson:share=0.9",
    ),
    "staged": ("staged:stages=100/1000/10000000", "staged:stages=20/30/60/100/100000/10000000"),
}
_SOFT = {"betting", "hoeffding", "empirical_bernstein"}
_AGAINST = {
    "exact": "the quotient",
    "hoeffding": "its formula",
    "empirical_bernstein": "its formula",
    "betting": "the wealth at the stored bound",
    "hybrid": "the wealth and binomial tails at the stored bound",
}


def _votes(name: str, rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """Compares bounds on whole votes and, for every other alpha, on scores where it takes them."""
    chosen = alphas(rng)
    for i, count in enumerate(shared(points, _EACH)):
        alpha = 0.0 if name == "exact" else next(chosen)
        k, n = counts(rng, count, i)
        variants = _VARIANTS.get(name, (name,))
        spec = variants[i % len(variants)]
        if name == "hybrid":  # of which a cap belongs to every second point
            spec = spec.format(n=int(n[-1]))
            n[1::2] = np.where(k[1::2] <= n[-1], n[-1], n[1::2])
        if name in _SOFT and i % 4 == 3:
            yield from _scores(spec, rng, k, n, alpha)
            continue
        other = rng.integers(0, n - k + 1)
        tie = rng.uniform(size=count)
        tie[: min(count, 2)] = 0.0, np.nextafter(1, 0)
        votes = Counts(np.stack([k, other, n - k - other], axis=-1), tie=tie)
        found = BOUNDS.build(spec).class_bounds(votes, np.zeros(count, np.int64), alpha)
        most = np.maximum(other, n - k - other)
        seen = [
            Evidence(int(k[j]), int(n[j]), int(most[j]), _CLASSES, tie=float(tie[j]))
            for j in range(count)
        ]
        yield from _compare(spec, alpha, found, seen)


def _scores(
    spec: str, rng: np.random.Generator, k: np.ndarray, n: np.ndarray, alpha: float
) -> Iterator[Finding]:
    share = rng.uniform(size=len(k))
    sums = np.clip(k - share * (k > 0), 0, n)
    least = sums * (sums / n)
    squares = least + (sums - least) * log_uniform(rng, 1e-6, 1, len(k))
    zero = np.zeros(len(k))
    votes = SoftVotes(np.stack([sums, zero], axis=-1), np.stack([squares, zero], axis=-1), n)
    found = BOUNDS.build(spec).class_bounds(votes, np.zeros(len(k), np.int64), alpha)
    seen = [
        Evidence(float(sums[j]), int(n[j]), 0.0, 2, square=float(squares[j])) for j in range(len(k))
    ]
    yield from _compare(spec, alpha, found, seen)


def _compare(
    spec: str, alpha: float, found: ClassBounds, seen: list[Evidence]
) -> Iterator[Finding]:
    rule = bound_of(spec, alpha)
    assert rule is not None
    for lower, upper, each in zip(
        found.pA_lower.tolist(), found.pB_upper.tolist(), seen, strict=True
    ):
        slack = rule(lower, upper, each)
        # Both sides are one statement; the looser one counts as the loss.
        least, most = sorted((float(slack.lower), float(slack.upper)))
        # Not where nothing is said, nor at the end that keeps randomised bounds finite.
        plain = lower > 0 and (upper > 2.0**-40 or "randomized" not in spec)
        yield Finding(least if least < 0 else most, (spec, alpha, each, lower, upper), plain)


BOUND_CHECKS = {
    name: Check("bound", _AGAINST.get(name, _TAILS), partial(_votes, name))
    for name in BOUNDS.names()
    if name != "calibrated"
} | {"calibrated": Check("bound", "the error of its boundaries, in whole numbers", calibrated)}
