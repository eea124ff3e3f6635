"""Stopping when the radius is nearly what n draws would give."""

from __future__ import annotations

import numpy as np
import pytest

from radii.bounds import ClopperPearson, Hybrid
from radii.certificates import GaussianL2
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray
from radii.stopping import Precision
from radii.stopping.base import Course

CERTIFICATE = GaussianL2(Gaussian(0.5))
N, ALPHA = 10_000, 0.001


def radius(pA_lower: FloatArray | float) -> float:
    return float(CERTIFICATE.radius(ClassBounds.one_sided(pA_lower)))


def draws(course: Course, p: float, seed: int) -> tuple[int, float, int]:
    """Draws until it stops, the largest bound so far, and the votes of all n."""
    steps = np.random.default_rng(seed).binomial(np.diff(course.looks, prepend=0), p)
    k, best = np.cumsum(steps), 0.0
    for look, count in zip(course.looks.tolist(), k.tolist(), strict=True):
        best = max(best, float(course.lower(look, count)))
        if course.done(look, count, best):
            return look, best, int(k[-1])
    raise AssertionError("a course is done at its last look")


@pytest.mark.parametrize("p", [0.55, 0.8, 0.97, 0.999])
def test_what_n_draws_would_have_given_is_near(p: float) -> None:
    """The plausible rate is at 95 %, and looks repeat: so nearly always, not always."""
    course = Precision(rel=0.1, abs=0.005).course(N, ALPHA, None, CERTIFICATE)
    missed, used = 0, []
    for seed in range(20):
        look, lower, k = draws(course, p, seed)
        whole = radius(course.bound.lower(np.array(k), N, ALPHA))
        missed += whole > radius(lower) + max(0.1 * radius(lower), 0.005)
        used.append(look)
    assert missed <= 4
    assert np.mean(used) < N


def test_it_stops_as_defined() -> None:
    rule = Precision(rel=0.1, abs=0.0)
    course = rule.course(N, ALPHA, None, CERTIFICATE)
    assert course.bound == Hybrid(cap=N)
    look, k = int(course.looks[-6]), np.arange(0, course.looks[-6] + 1, 13)
    lower = course.lower(look, k)
    rate = ClopperPearson().upper(k, look, 0.05)
    final = k + np.ceil((N - look) * rate).astype(np.int64)
    then = course.bound.lower(np.minimum(final, N), N, ALPHA)
    for i, done in enumerate(course.done(look, k, lower)):
        now = radius(lower[i])
        assert done == (radius(max(then[i], lower[i])) <= now * 1.1), k[i]
    assert 0 < course.done(look, k, lower).mean() < 1


def test_a_larger_tolerance_stops_no_later() -> None:
    for seed, p in enumerate((0.6, 0.9, 0.99, 0.9999)):
        looks = [
            draws(Precision(rel, 0.0).course(N, ALPHA, None, CERTIFICATE), p, seed)[0]
            for rel in (0.0, 0.02, 0.05, 0.2, 1.0)
        ]
        assert looks == sorted(looks, reverse=True)
        assert looks[0] == N
        assert looks[-1] < N


def test_an_input_that_cannot_be_certified_stops_at_once() -> None:
    course = Precision().course(N, ALPHA, None, CERTIFICATE)
    assert draws(course, 0.1, 0)[0] == course.looks[0]
    assert draws(course, 0.4, 0)[0] < N / 10


@pytest.mark.parametrize(("rel", "most"), [(-0.1, 0.0), (0.0, -1.0), (float("inf"), 0.0)])
def test_refusals(rel: float, most: float) -> None:
    with pytest.raises(ValueError, match="must be a number of at least 0, got"):
        Precision(rel=rel, abs=most)
