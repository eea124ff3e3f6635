"""What every stopping rule owes: claims that hold together at all looks, by exact recursion."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import gammaln, xlog1py, xlogy

from radii.bounds import (
    Betting,
    Bound,
    Calibrated,
    ClopperPearson,
    Hybrid,
    Staged,
    UnionClopperPearson,
)
from radii.certificates import GaussianL2, LaplaceL1
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.noise import Gaussian, Laplace
from radii.records import ClassBounds, FloatArray, IntArray
from radii.stopping import STOPS, Course, Never, Precision, Stop

RULES = [
    STOPS.build({"name": name, **example})
    for name in STOPS.names()
    for example in STOPS[name].examples
]
STOPPING = [rule for rule in RULES if not isinstance(rule, Never)]
CERTIFICATE = GaussianL2(Gaussian(0.5))
BOUNDS: list[Bound | None] = [
    *(None, Calibrated(share=0.3), Hybrid(), Hybrid(share=0.7), Betting(truncated=True), Betting()),
    *(UnionClopperPearson(), Staged()),
]

each_rule = pytest.mark.parametrize("rule", RULES, ids=STOPS.spec_of)
each_stopping_rule = pytest.mark.parametrize("rule", STOPPING, ids=STOPS.spec_of)
each_alpha = pytest.mark.parametrize("alpha", [0.05, 0.001])


def trimmed(law: FloatArray, least: int) -> tuple[FloatArray, int]:
    """Without the counts at both ends that are rarer than 1e-22: no error hangs on these."""
    kept = np.flatnonzero(law > 1e-22)
    return law[kept[0] : kept[-1] + 1], least + int(kept[0])


def binomial(n: int, p: float) -> tuple[FloatArray, int]:
    """A binomial law and its least count, by logarithms of factorials; to 1e-9 of each."""
    k = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return trimmed(np.exp(ways + xlogy(k, p) + xlog1py(n - k, -p)), 0)


def tables(course: Course) -> list[FloatArray]:
    """`lower` at each look, for every count."""
    return [course.lower(look, np.arange(look + 1)) for look in course.looks.tolist()]


def error(looks: IntArray, lower: list[FloatArray], p: float) -> float:
    """Probability that the largest lower bound so far is above p at some look."""
    wrong, before, law, least = 0.0, 0, np.ones(1), 0
    for look, bounds in zip(looks.tolist(), lower, strict=True):
        step, first = binomial(look - before, p)
        before, law, least = look, np.convolve(law, step), least + first
        above = bounds[least : least + len(law)] > p
        wrong += float(law[above].sum())
        law = np.where(above, 0.0, law)
        if law.max() < 1e-20:
            break
        law, least = trimmed(law, least)
    return wrong


def just_below(looks: IntArray, lower: list[FloatArray]) -> list[float]:
    """Values that the bound may take, less one float: where errors jump."""
    values: set[float] = set()
    for j in {0, len(looks) // 2, len(looks) - 1}:
        k = (np.array([0.6, 0.9, 0.97, 0.99, 1.0]) * looks[j]).astype(np.int64)
        values |= set(np.nextafter(lower[j][k], 0).tolist())
    return sorted(p for p in values if p > 0.01)


def assert_errs_at_most_alpha(course: Course) -> None:
    lower = tables(course)
    found = [error(course.looks, lower, p) for p in just_below(course.looks, lower)]
    assert found
    assert max(found) <= course.alpha * (1 + 1e-7)  # of the law by logarithms


@each_alpha
@each_stopping_rule
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: type(bound).__name__)
def test_exact_coverage_at_all_looks(rule: Stop, bound: Bound | None, alpha: float) -> None:
    if isinstance(rule, Precision) and isinstance(bound, Calibrated):
        with pytest.raises(PlanError, match="thresholds known in advance only"):
            rule.course(200, alpha, bound, CERTIFICATE)
        return
    assert_errs_at_most_alpha(rule.course(200, alpha, bound, CERTIFICATE))


@each_alpha
@pytest.mark.parametrize("spec", ["at_radius:0.5", "radii:0,0.3,0.8,1.1,1.5"])
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: type(bound).__name__)
def test_exact_coverage_of_a_long_run(spec: str, bound: Bound | None, alpha: float) -> None:
    course = STOPS.build(spec).course(20_000, alpha, bound, CERTIFICATE)
    assert_errs_at_most_alpha(course)


@pytest.mark.slow
@each_alpha
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: type(bound).__name__)
def test_exact_coverage_of_a_long_run_for_precision(bound: Bound | None, alpha: float) -> None:
    if not isinstance(bound, Calibrated):
        assert_errs_at_most_alpha(Precision().course(20_000, alpha, bound, CERTIFICATE))


class _Lowered(Course):
    """A boundary that is one vote too low."""

    def __init__(self, course: Course) -> None:
        super().__init__(course.looks, course.bound, course.alpha)
        object.__setattr__(self, "right", course)

    def lower(self, look: int, k: IntArray | int) -> FloatArray:
        right: Course = self.right  # type: ignore[attr-defined]
        return right.lower(look, np.minimum(np.asarray(k) + 1, look))

    def done(self, look: int, k: IntArray | int, lower: FloatArray | float) -> np.ndarray:
        return np.zeros(np.shape(k), dtype=bool)


@each_alpha
@pytest.mark.parametrize("spec", ["at_radius:0.5", "radii:0,0.3,0.8"])
def test_the_check_catches_a_boundary_that_is_too_low(spec: str, alpha: float) -> None:
    course = STOPS.build(spec).course(2_000, alpha, None, CERTIFICATE)
    with pytest.raises(AssertionError):
        assert_errs_at_most_alpha(_Lowered(course))


@each_rule
def test_a_bound_for_a_fixed_n_is_refused_unless_all_are_drawn(rule: Stop) -> None:
    if isinstance(rule, Never):
        assert rule.course(300, 0.01, ClopperPearson(), CERTIFICATE).looks.tolist() == [300]
        return
    with pytest.raises(PlanError) as caught:
        rule.course(300, 0.01, ClopperPearson(), CERTIFICATE)
    assert str(caught.value).startswith(
        "clopper_pearson holds for a fixed n only, and so not under early stopping: "
        "take one of betting, calibrated, hybrid, "
    )


@each_rule
def test_looks_rise_to_n(rule: Stop) -> None:
    for n in (100, 4_321):
        looks = rule.course(n, 0.01, None, CERTIFICATE).looks
        assert looks.dtype == np.int64
        assert np.all(np.diff(looks) > 0)
        assert looks[-1] == n
    looks = rule.course(4_321, 0.01, None, CERTIFICATE, multiple=50).looks
    assert not np.any(looks[:-1] % 50)
    assert looks[-1] == 4_321


@each_rule
def test_at_the_last_look_it_is_done(rule: Stop) -> None:
    course = rule.course(200, 0.01, None, CERTIFICATE)
    k = np.arange(201)
    assert np.all(course.done(200, k, course.lower(200, k)))


@each_rule
def test_vectorised_is_scalar(rule: Stop) -> None:
    course = rule.course(500, 0.01, None, CERTIFICATE)
    look = int(course.looks[-1 if len(course.looks) == 1 else 6])
    k = np.array([[0, look // 2, look - 1], [look - 3, 1, look]])
    lower = course.lower(look, k)
    done = course.done(look, k, lower)
    assert lower.shape == done.shape == k.shape
    assert (lower.dtype, done.dtype) == (np.float64, np.bool_)
    for at in np.ndindex(k.shape):
        assert course.lower(look, int(k[at])) == lower[at]
        assert course.done(look, int(k[at]), float(lower[at])) == done[at]


@each_rule
def test_a_count_that_is_no_look_is_refused(rule: Stop) -> None:
    course = rule.course(500, 0.01, None, CERTIFICATE)
    for look in (31, 33, 501):
        with pytest.raises(ValueError, match="look must be one of the course's looks, got"):
            course.lower(look, 3)
        with pytest.raises(ValueError, match="look must be one of the course's looks, got"):
            course.done(look, 3, 0.0)


@each_rule
def test_it_can_be_sent_to_another_process(rule: Stop) -> None:
    course = rule.course(500, 0.01, None, CERTIFICATE)
    copy = pickle.loads(pickle.dumps(course))
    look, k = int(course.looks[-1]), np.arange(501)
    np.testing.assert_array_equal(copy.lower(look, k), course.lower(look, k))


@each_stopping_rule
@pytest.mark.parametrize(
    "certificate", [CERTIFICATE, LaplaceL1(Laplace(0.5))], ids=lambda c: type(c).__name__
)
def test_lower_is_a_probability_with_a_radius(rule: Stop, certificate: Certificate) -> None:
    course = rule.course(400, 0.01, None, certificate)
    for look in course.looks.tolist():
        lower = course.lower(look, np.arange(look + 1))
        assert np.all(np.diff(lower) >= 0)
        assert np.all((lower >= 0) & (lower <= np.arange(look + 1) / look))
    assert certificate.radius(ClassBounds.one_sided(lower[-1])) > 0


@each_rule
def test_spec_round_trip(rule: Stop) -> None:
    assert STOPS.build(STOPS.spec_of(rule)) == rule
