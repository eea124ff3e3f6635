"""Trade-offs and the tables of radii made from them, for noise on a line with known radii.

The noises have closed forms, and the search, the splines and the tables know nothing of them: so
what they give is compared with exact radii, and what they ask of a law is counted.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from scipy.special import expit, logit, ndtr, ndtri

from radii.certificates import _functional, _functional_pairs, _mixed_pairs
from radii.certificates._functional import functional_radius
from radii.certificates._radial_law import RadialLaw
from radii.certificates._tradeoff import (
    kept,
    largest_shift,
    probability,
    quantile,
    worst_ratio,
)
from radii.records import ClassBounds, FloatArray


class Line:
    """Noise `scale Q(U)` on a line, U uniform, with a log-concave even density; it is its own law.

    Ratios rise with z, so the set that loses most is a half-line: `T_r(u) = F(F^-1(1 - u) - r)`,
    and the radius is half the distance of the quantiles of pA and pB. The dimension only chooses
    how much is spent on a table.
    """

    pole: ClassVar[float] = 0.0
    exponent: ClassVar[float] = 2.0
    deviation: ClassVar[float] = 1.0
    shape: Literal["ball", "polytope"] = "ball"

    def __init__(self, dim: int = 3072, scale: float = 1.0) -> None:
        self.dim, self.scale, self.unit = dim, scale, scale * self.deviation
        self.asked: list[int] = []

    def exceeds(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)`."""
        self.asked.append(r.size)
        return self.tail(r / self.scale, t)

    def tail(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """The same at scale 1."""
        return np.asarray(ndtr(-t / r - r / 2))

    def quantile(self, p: FloatArray) -> FloatArray:
        """Q, at scale 1."""
        return np.asarray(ndtri(p))

    def level(self, z: FloatArray) -> FloatArray:
        """The inverse of Q."""
        return np.asarray(ndtr(z))

    def kept(self, r: FloatArray, u: FloatArray) -> FloatArray:
        """`T_r(u)`."""
        return self.level(-self.quantile(u) - r / self.scale)

    def radius(self, pA: FloatArray, pB: FloatArray) -> FloatArray:
        """The largest at which no classifier flips."""
        return self.scale * (self.quantile(pA) - self.quantile(pB)) / 2


class Logistic(Line):
    """`F(z) = 1 / (1 + exp(-z))`."""

    deviation = math.sqrt(3)
    shape: Literal["ball", "polytope"] = "polytope"

    def tail(self, r: FloatArray, t: FloatArray) -> FloatArray:
        inside = np.clip(t, -r, r)
        with np.errstate(over="ignore"):  # odds of a z at which the ratio is t
            few, most = -np.expm1((inside - r) / 2), np.expm1((inside + r) / 2)
        return np.asarray(few / (few + most))

    def quantile(self, p: FloatArray) -> FloatArray:
        return np.asarray(logit(p))

    def level(self, z: FloatArray) -> FloatArray:
        return np.asarray(expit(z))


class Bent(Line):
    """`F(z) = Phi(sinh(z / 10) 10)`: tails that are shorter than normal ones."""

    def tail(self, r: FloatArray, t: FloatArray) -> FloatArray:
        def fall(z: FloatArray) -> FloatArray:
            """By how much the log density is lower than at 0."""
            return np.asarray(50 * np.sinh(z / 10) ** 2 - np.log(np.cosh(z / 10)))

        def slope(z: FloatArray) -> FloatArray:
            return np.asarray(5 * np.sinh(z / 5) - np.tanh(z / 10) / 10)

        r = np.minimum(r, 200)
        t = np.clip(t, -1e20, 1e20)
        z = r / 2 + 5 * np.arcsinh(t / (50 * np.sinh(r / 10)))  # but for the second part of it
        for _ in range(4):  # Newton's method
            z = z - (fall(z) - fall(z - r) - t) / (slope(z) - slope(z - r))
        return np.asarray(ndtr(-10 * np.sinh(z / 10)))

    def quantile(self, p: FloatArray) -> FloatArray:
        return np.asarray(10 * np.arcsinh(ndtri(p) / 10))

    def level(self, z: FloatArray) -> FloatArray:
        return np.asarray(ndtr(10 * np.sinh(z / 10)))


LEAST = 1.2e-16  # probabilities below it are taken as this
KINDS = (Line, Bent, Logistic)
LINES = pytest.mark.parametrize("kind", KINDS)
rng = np.random.default_rng(0)
PA = np.append(rng.uniform(0.501, 1, 500), 1 - 10 ** -rng.uniform(0.31, 15.5, 500))
PAIRED = np.append(rng.uniform(0.05, 1, 500), 1 - 10 ** -rng.uniform(0.31, 12, 500))
PB = np.minimum(0.99 * PAIRED, 1 - PAIRED) * 10 ** -rng.uniform(0.05, 5, 1000)
PB = np.maximum(PB, LEAST)


@LINES
def test_quantiles_and_probabilities_are_inverse(kind: type[Line]) -> None:
    law = kind()
    p = np.concatenate([10.0 ** -np.arange(300, 0, -13), np.linspace(0.1, 0.9, 17)])
    np.testing.assert_allclose(probability(law, quantile(law, p)), p, rtol=1e-12)
    near = 10.0 ** -np.arange(1.0, 16)
    np.testing.assert_allclose(1 - probability(law, quantile(law, 1 - near)), near, rtol=0.2)
    if law.shape == "polytope":  # Laplace's quantile function
        np.testing.assert_allclose(quantile(law, near / 2), np.log(near), rtol=1e-13)
        np.testing.assert_allclose(quantile(law, 1 - near / 2), -np.log(near), rtol=0.02)
        assert np.all(np.isfinite(quantile(law, np.array([0.0, 1.0]))))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    ("kind", "miss", "each", "most"),
    [(Line, 1e-5, 8.5, 13), (Bent, 1e-5, 12.5, 19), (Logistic, math.inf, 31, 78)],
)
def test_a_few_questions_tell_what_a_set_keeps(
    kind: type[Line], miss: float, each: float, most: int, scale: float
) -> None:
    """The ratio has few digits, which is enough: what is kept is lower by their square."""
    law = kind(scale=scale)
    masses = np.concatenate([10.0 ** -np.arange(12, 1, -2), [0.1, 0.3, 0.5, 0.7, 0.9, 0.999]])
    r, u = np.meshgrid(np.array([1e-3, 0.03, 0.3, 1.0, 3.0]) * law.unit, masses)
    t = worst_ratio(law, r, u)
    assert t.shape == u.shape
    assert sum(law.asked) < each * r.size
    assert len(law.asked) < most
    error = quantile(law, law.tail(r / scale, t)) - quantile(law, u)
    assert np.all(np.abs(error) * law.unit < miss * r)
    share = kept(law, r, u) / law.kept(r, u)
    assert np.all((share > 1 - 2e-8) & (share < 1 + 1e-10))


@LINES
def test_the_longest_shift_keeps_what_is_taken_for_the_rarest(kind: type[Line]) -> None:
    for scale in (1e-3, 1.0, 1e3):
        law = kind(scale=scale)
        r = np.array(largest_shift(law))
        assert 1e-16 < law.kept(r, np.array(0.5)) < 1.2e-16
        assert sum(law.asked) < 400


def asked(law: Line) -> int:
    """How much of the law was asked for since the last time."""
    count = sum(law.asked)
    law.asked.clear()
    return count


@pytest.mark.parametrize(
    ("dim", "loss", "times"), [(3072, 4e-6, 1), (64, 4e-6, 1), (63, 1.4e-6, 1.8), (8, 1.4e-6, 1.8)]
)
@pytest.mark.parametrize(("kind", "most"), [(Line, 920), (Bent, 1220), (Logistic, 1410)])
def test_a_spline_gives_the_radius(
    kind: type[Line], most: int, dim: int, loss: float, times: float
) -> None:
    """Below 64 coordinates, where ratios are less regular, it has twice as many nodes."""
    law = kind(dim, 5.0)
    share = functional_radius(law, ClassBounds.one_sided(PA)) / law.radius(PA, 1 - PA)
    assert np.all((share < 1 - 9.9e-7) & (share > 1 - loss))
    assert 0.9 * times * most < asked(law) < times * most
    close = 0.5 + np.array([1e-12, 1e-10, 1e-8, 1e-6])  # below the first node
    share = functional_radius(law, ClassBounds.one_sided(close)) / law.radius(close, 1 - close)
    assert np.all((share < 1 - 0.0099) & (share > 1 - 0.0103))


@LINES
def test_the_ends_have_finite_radii(kind: type[Line]) -> None:
    law = kind(scale=5.0)
    rarest = -5 * law.quantile(np.array(LEAST))
    one = functional_radius(law, ClassBounds.one_sided(np.array([1.0, 1 - 1.1e-16])))
    two = functional_radius(law, ClassBounds(np.array([1.0, 1 - 1e-15]), np.array([0.0, 1e-17])))
    assert np.all((one > (1 - 2e-6) * rarest) & (one < rarest))
    assert np.all((two > (1 - 0.05) * rarest) & (two < rarest))
    none = ClassBounds(np.array([0.0, 0.0, 0.3, 0.5]), np.array([0.0, 1.0, 0.3, 0.5]))
    assert functional_radius(law, none).max() == 0


@pytest.mark.parametrize(("dim", "times"), [(3072, 1), (64, 1), (63, 2.3)])
@pytest.mark.parametrize(
    ("kind", "loss", "most"), [(Line, 4.1e-4, 3900), (Bent, 1e-3, 4150), (Logistic, 7e-4, 12_700)]
)
def test_a_table_gives_the_radius_of_two_bounds(
    kind: type[Line], loss: float, most: int, dim: int, times: float
) -> None:
    law = kind(dim, 5.0)
    radius = _functional_pairs.pair_radius(law, 1 - PAIRED, PB)
    share = radius / law.radius(PAIRED, PB)
    assert 0.9 * times * most < asked(law) < times * most
    likely = (PB > 1e-6) & (1 - PAIRED > 1e-6) & (PAIRED - PB > 1e-3)
    assert np.all((share < 1 - 3.7e-4) & (share > 1 - np.where(likely, loss, 0.05)))
    assert np.median(share) > 1 - 6e-4
    one = functional_radius(law, ClassBounds.one_sided(PAIRED))
    wider = functional_radius(law, ClassBounds(PAIRED, PB))
    np.testing.assert_allclose(wider, np.maximum(radius, one), rtol=1e-9)
    same = functional_radius(law, ClassBounds(PA, (1 - PA) * (1 - 1e-12)))
    assert np.array_equal(same, functional_radius(law, ClassBounds.one_sided(PA)))


@pytest.mark.parametrize("dim", [3072, 63])
@LINES
def test_a_table_errs_low_however_rare_one_class_is(kind: type[Line], dim: int) -> None:
    """Where one of the curves beside a point ends before it, too."""
    some = np.random.default_rng(3)
    pA = np.append(some.uniform(0.001, 0.999, 500), 10 ** -some.uniform(0, 7, 500))
    pB = np.minimum(pA, 1 - pA) * 10 ** -some.uniform(0.05, 14, 1000)
    pB = np.maximum(pB, 1.3e-16)
    law = kind(dim, 5.0)
    share = _functional_pairs.pair_radius(law, 1 - pA, pB) / law.radius(pA, pB)
    assert np.all(share < 1 - 3.5e-4)
    assert np.median(share) > 1 - 7e-4
    assert np.quantile(share[:500], 0.1) > 1 - 3e-3


@pytest.mark.parametrize(
    ("exponent", "pole", "dim"),
    [(2.0, 700.0, 784), pytest.param(1.0, 0.0, 2, marks=pytest.mark.slow)],
)
def test_no_radius_is_too_large_however_rare_one_class_is(
    exponent: float, pole: float, dim: int
) -> None:
    law = RadialLaw(exponent, pole, dim, "ball")
    pA = np.append(np.linspace(0.05, 0.99, 20), 10 ** -np.linspace(1, 5, 10))
    pB = np.minimum(pA, 1 - pA) * 10 ** -np.tile([1.0, 3.0, 6.0, 9.0, 13.0], 6)
    radius = functional_radius(law, ClassBounds(pA, np.maximum(pB, 1.3e-16)))
    left = kept(law, radius, 1 - pA) + kept(law, radius, np.maximum(pB, 1.3e-16))
    assert np.all((left > 1) | (radius == 0))
    assert np.mean(radius > 0) > 0.9


@pytest.mark.parametrize(("kind", "loss"), [(Line, 2.01e-4), (Bent, 0.0205)])
def test_curves_give_the_radius_of_two_bounds(kind: type[Line], loss: float) -> None:
    law = kind(scale=5.0)
    share = _mixed_pairs.pair_radius(law, 1 - PAIRED, PB) / law.radius(PAIRED, PB)
    assert np.all((share < 1 - 1.99e-4) & (share > 1 - loss))
    assert asked(law) < 9200
    pA = np.array([0.5 + 1e-5, 0.3, 1 - 1e-15, 0.0011, 0.0009])
    pB = np.array([0.5 - 1e-5, 0.3 - 1e-5, 2e-16, 0.0001, 0.0001])
    share = _mixed_pairs.pair_radius(law, 1 - pA, pB) / law.radius(pA, pB)
    assert np.all((share[:4] < 1 - 1.99e-4) & (share[:4] > 1 - 0.0205))
    assert share[4] == 0  # pA is below a thousandth
    less = _mixed_pairs.pair_radius(law, np.array([0.5, 0.7]), np.array([0.5, 0.4]))
    assert np.array_equal(less, np.zeros(2))


@pytest.mark.parametrize("dim", [2, 784])
def test_laplace_radii_err_low_by_a_millionth_or_by_rounding(dim: int) -> None:
    # Teng et al. 2020: half the distance of the quantiles.
    law = RadialLaw(1.0, 0.0, dim, "polytope")
    pA = np.concatenate([PAIRED, [0.5, 0.5 + 1e-15, 0.3, 0.7, 1e-300, 1e-5, 1.0, 1 - 1e-16]])
    pB = np.concatenate([PB, [0.5 - 1e-15, 0.5, 0.3 - 1e-15, 0.7 - 1e-15, 1e-301, 0.0, 0.0, 1e-16]])
    with mpmath.workdps(40):

        def quantile(p: float) -> mpmath.mpf:
            exact = mpmath.mpf(min(max(p, LEAST), 1 - LEAST))
            return mpmath.log(2 * exact) if exact < 0.5 else -mpmath.log(2 * (1 - exact))

        exact = np.array(
            [float(quantile(a) - quantile(b)) / 2 for a, b in zip(pA, pB, strict=True)]
        )
        size = np.array(
            [float(abs(quantile(a))) + float(abs(quantile(b))) for a, b in zip(pA, pB, strict=True)]
        )
    radius = functional_radius(law, ClassBounds(pA, pB))
    assert np.all(radius <= exact)
    assert np.all(radius >= (1 - 1.01e-6) * exact - 3e-15 * size)


@pytest.mark.parametrize(
    ("kind", "nodes", "loss"),
    [
        (Line, 6, 0.007),
        (Bent, 6, 0.04),
        (Bent, 9, 0.0045),
        (Logistic, 6, 0.08),
        (Logistic, 9, 0.014),
    ],
)
def test_a_spline_of_few_nodes_is_lowered(
    kind: type[Line], nodes: int, loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_functional, "_NODES", nodes)
    law = kind()
    share = functional_radius(law, ClassBounds.one_sided(PA)) / law.radius(PA, 1 - PA)
    assert np.all((share < 1 - 9.9e-7) & (share > 1 - loss))
    assert share.min() < 1 - loss / 2


@pytest.mark.parametrize(
    ("kind", "least", "worst", "half"),
    [(Bent, 3.6e-4, 0.16, 2.4e-3), (Logistic, 1e-4, 7.5e-3, 2.1e-3)],
)
def test_a_table_of_few_shifts_is_lowered(
    kind: type[Line], least: float, worst: float, half: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    effort = (9, 2, 4)
    monkeypatch.setattr(_functional_pairs, "_EFFORT", {"ball": effort, "polytope": effort})
    law = kind()
    share = _functional_pairs.pair_radius(law, 1 - PAIRED, PB) / law.radius(PAIRED, PB)
    assert np.all((share < 1 - least) & (share > 1 - worst))
    assert 1 - half < np.median(share) < 1 - 0.8 * half
