"""Functional radii of radial noise: reductions, exactness, refusals, speed that tables buy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from radii.certificates import (
    Certificate,
    RadialL1Functional,
    RadialL2,
    RadialL2Functional,
    RadialLinfFunctional,
    _functional,
    _functional_pairs,
    covering,
    find,
)
from radii.certificates._functional import functional_radius, kept
from radii.certificates._radial_law import RadialLaw
from radii.errors import NotCoveredError
from radii.noise import Gaussian, Radial
from radii.records import ClassBounds, FloatArray

PA = np.array([0.501, 0.6, 0.8, 0.99, 0.9999, 1 - 1e-7, 1 - 1e-12])
CLOSE = 0.5 + np.array([1e-9, 1e-7, 1e-5])
PAIRS = np.array([(0.5, 0.1), (0.6, 0.2), (0.9, 0.01), (0.2, 0.05), (0.99, 1e-6)])
DIMS = [2, 3072, 150_528]


def one_sided(certificate: Certificate, pA: FloatArray) -> FloatArray:
    return certificate.radius(ClassBounds.one_sided(pA))


def laplace_quantile(p: FloatArray) -> FloatArray:
    return np.where(p < 0.5, np.log(2 * p), -np.log(2 * (1 - p)))


@pytest.mark.parametrize("dim", DIMS)
def test_in_l2_without_a_pole_it_is_the_gaussian_radius(dim: int) -> None:
    # Cohen et al. 2019, Theorem 1; the quadrature knows nothing of it.
    certificate = RadialL2Functional(Radial("l2", 0.5 * math.sqrt(2), 2.0), dim)
    radius, exact = one_sided(certificate, PA), 0.5 * ndtri(PA)
    assert np.all(radius < exact)
    np.testing.assert_allclose(radius, exact, rtol=2e-6 if dim > 16 else 2e-5)
    close = one_sided(certificate, CLOSE) / (0.5 * ndtri(CLOSE))
    assert np.all((close < 1) & (close > 0.98))
    bounds = ClassBounds(*PAIRS.T)
    two = certificate.radius(bounds) / (0.25 * (ndtri(PAIRS[:, 0]) - ndtri(PAIRS[:, 1])))
    assert np.all((two < 1) & (two > 0.998))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(
    ("norm", "kind"), [("l1", RadialL1Functional), ("linf", RadialLinfFunctional)]
)
def test_without_a_pole_and_with_exponent_1_it_is_the_laplace_radius(
    norm: Any, kind: Any, dim: int
) -> None:
    # l1: Teng et al. 2020; linf: Yang et al. 2020, Table 1, -scale ln(2 (1 - pA)).
    radius = one_sided(kind(Radial(norm, 0.5, 1.0), dim), PA)
    assert np.all(radius < 0.5 * laplace_quantile(PA))
    np.testing.assert_allclose(radius, 0.5 * laplace_quantile(PA), rtol=2e-6)
    # The quadrature gives the same, where a pole does not yet make itself felt.
    near = one_sided(kind(Radial(norm, 0.5, 1.0, pole=1e-6), dim), PA)
    np.testing.assert_allclose(near, 0.5 * laplace_quantile(PA), rtol=2e-5)


@pytest.mark.parametrize(
    ("shape", "exponent"), [("ball", 2.0), ("polytope", 1.0), ("polytope", 2.0)]
)
@pytest.mark.parametrize(("pole", "dim"), [(0.25, 2), (100.0, 3072), (3000.0, 3072)])
def test_table_against_the_quadrature_itself(
    shape: Any, exponent: float, pole: float, dim: int
) -> None:
    law = RadialLaw(exponent, pole, dim, shape)
    norm, kind = {"ball": ("l2", RadialL2Functional), "polytope": ("l1", RadialL1Functional)}[shape]
    certificate: Certificate = kind(Radial(norm, 1.0, exponent, pole), dim)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    pA = np.concatenate([rng.uniform(0.501, 1, 20), 1 - 10 ** rng.uniform(-12, -1, 20)])
    radius = one_sided(certificate, pA)
    half = np.full(pA.shape, 0.5)
    # At the radius the top class still has more than one half, and just beyond it no more.
    assert np.all(kept(law, radius, half) > 1 - pA)
    assert np.all(kept(law, radius * (1 + 3e-5), half) < 1 - pA)
    pB = (1 - pA) * rng.uniform(0.01, 0.95, len(pA))
    two = certificate.radius(ClassBounds(pA, pB))
    assert np.all(two >= radius * (1 - 1e-12))
    assert np.all(kept(law, two, 1 - pA) + kept(law, two, pB) > 1)


@pytest.mark.parametrize("shape", ["ball", "polytope"])
@pytest.mark.parametrize(
    ("exponent", "pole", "dim"), [(0.5, 3.0, 20), (1.5, 1.0, 5), (2.0, 150_000.0, 150_528)]
)
def test_exponents_and_poles_far_out(shape: Any, exponent: float, pole: float, dim: int) -> None:
    law = RadialLaw(exponent, pole, dim, shape)
    pA = np.array([0.51, 0.7, 0.99, 1 - 1e-6, 1 - 1e-12])
    radius = functional_radius(law, ClassBounds.one_sided(pA))
    half = np.full(pA.shape, 0.5)
    assert np.all(kept(law, radius, half) > 1 - pA)
    assert np.all(kept(law, radius * (1 + 3e-5), half) < 1 - pA)


@pytest.mark.parametrize(
    ("shape", "exponent", "pole", "dim"),
    [
        ("ball", 2.0, 100.0, 784),
        ("ball", 2.0, 700.0, 784),
        ("polytope", 1.0, 100.0, 784),
        ("polytope", 2.0, 700.0, 784),
        ("polytope", 2.0, 0.01, 3072),
        ("polytope", 1.0, 1.0, 5),
    ],
)
def test_two_classes_lose_at_most_a_thousandth(
    shape: Any, exponent: float, pole: float, dim: int
) -> None:
    law = RadialLaw(exponent, pole, dim, shape)
    rng = np.random.default_rng(1)
    pA = rng.uniform(0.2, 0.999, 60)
    pB = np.minimum(0.9 * pA, 1 - pA) * 10 ** rng.uniform(-3, -0.05, 60)
    radius = functional_radius(law, ClassBounds(pA, pB))

    def left(r: FloatArray) -> FloatArray:
        return kept(law, r, 1 - pA) + kept(law, r, pB) - 1

    assert np.all(left(radius) > 0)
    assert np.all(left(radius * (1 + (1e-3 if dim > 64 else 3e-3))) < 0)


def test_small_radii_where_the_slope_has_no_limit() -> None:
    # At pole = dim - 1 what a set loses to a shift r goes as r ln(1/r), steeper than any line.
    law = RadialLaw(1.0, 1.0, 2, "polytope")
    pA = np.array([0.7, 0.5, 0.35, 0.22, 0.5, 0.5])
    pB = pA - np.array([1e-2, 1e-1, 1e-2, 5e-2, 1e-3, 1e-4])
    pB[0] = 0.29
    radius = functional_radius(law, ClassBounds(pA, pB))
    assert np.all(radius > 0)
    assert np.all(kept(law, radius, 1 - pA) + kept(law, radius, pB) > 1)


@pytest.mark.parametrize(
    ("shape", "exponent", "pole", "dim"),
    [
        ("ball", 2.0, 8.9, 10),
        ("ball", 2.0, 98.5, 100),
        ("ball", 2.0, 3071.0, 3072),
        ("polytope", 1.0, 98.99, 100),
    ],
)
def test_near_a_tie_where_the_pole_is_near_dim(
    shape: Any, exponent: float, pole: float, dim: int
) -> None:
    """These radii are below the first shift of the table, and no power law leads there."""
    law, rng = RadialLaw(exponent, pole, dim, shape), np.random.default_rng(2)
    pB = rng.uniform(0.005, 0.45, 30)
    pA = pB * (1 + 10 ** rng.uniform(-6, -1.5, 30))
    radius = functional_radius(law, ClassBounds(pA, pB))
    assert np.all(radius > 0)
    assert np.all(kept(law, radius, 1 - pA) + kept(law, radius, pB) > 1)


def test_the_check_lowers_a_coarse_table(monkeypatch: pytest.MonkeyPatch) -> None:
    law, pA = RadialLaw(2.0, 3000.0, 3072, "ball"), np.linspace(0.9, 0.99999, 40)
    half, bounds = np.full(pA.shape, 0.5), ClassBounds.one_sided(pA)
    fine = functional_radius(law, bounds)
    for cache in (_functional._middle, _functional_pairs.pair_table):
        cache.cache_clear()
    monkeypatch.setattr(_functional, "_NODES", 12)
    monkeypatch.setattr(_functional_pairs, "_EFFORT", {"ball": (6, 1, 4)})
    coarse = functional_radius(law, bounds)
    assert np.all(kept(law, coarse, half) > 1 - pA)
    assert np.min(coarse / fine) < 1 - 1e-5  # it has to be lowered more than the fine one
    assert np.all(coarse > 0.95 * fine)
    two = functional_radius(law, ClassBounds(pA, (1 - pA) / 3))
    assert np.all(kept(law, two, 1 - pA) + kept(law, two, (1 - pA) / 3) > 1)
    for cache in (_functional._middle, _functional_pairs.pair_table):
        cache.cache_clear()


def test_what_a_set_keeps_is_its_own_inverse() -> None:
    # T_r(T_r(u)) = u: the noise is symmetric, so that both hypotheses can be exchanged.
    law, u = RadialLaw(1.0, 30.0, 784, "polytope"), np.array([0.05, 0.3, 0.5, 0.8])
    r = np.full(u.shape, 0.7)
    np.testing.assert_allclose(kept(law, r, kept(law, r, u)), u, rtol=1e-6)


@pytest.mark.parametrize(
    ("norm", "kind", "exponent"), [("l2", RadialL2Functional, 2.0), ("l1", RadialL1Functional, 1.0)]
)
def test_a_pole_changes_little_at_equal_energy(norm: Any, kind: Any, exponent: float) -> None:
    # Zhang et al. 2020, section 5: scales that grow by sqrt(d/(d - k)) in l2 and d/(d - k) in l1.
    dim, pole = 3072, 100.0
    wider = (dim / (dim - pole)) ** (1 / exponent)
    plain = one_sided(kind(Radial(norm, 1.0, exponent), dim), PA[:5])
    poled = one_sided(kind(Radial(norm, wider, exponent, pole), dim), PA[:5])
    np.testing.assert_allclose(poled, plain, rtol=1e-4)


def test_another_norm_is_refused() -> None:
    with pytest.raises(NotCoveredError, match=r"RadialL2Functional does not cover .*norm='l1'"):
        RadialL2Functional(Radial("l1", 1.0, 1.0), 10)
    wrong: Any = Gaussian(1.0)
    with pytest.raises(NotCoveredError, match="RadialL2Functional does not cover Gaussian"):
        RadialL2Functional(wrong, 10)
    assert "radial_l2_functional" not in covering(Radial("l1", 1.0, 1.0), "l2", 10)
    assert "radial_l1_functional" not in covering(Radial("l1", 1.0, 2.5), "l1", 10)
    assert "radial_l1_functional" in covering(Radial("l1", 1.0, 1.0), "l1", 10)
    with pytest.raises(NotCoveredError, match=r"no certificate covers Radial noise in l2; .*: l1"):
        find(Radial("l1", 1.0, 1.0), "l2", "radial_l2_functional", dim=10)


@pytest.mark.parametrize(
    "kind", [RadialL1Functional, RadialL2Functional, RadialLinfFunctional], ids=lambda k: k.norm
)
def test_it_covers_its_own_norm_and_the_exponents_that_were_tested(kind: Any) -> None:
    for norm in ("l1", "l2", "linf"):
        assert kind.covers(Radial(norm, 1.0, 1.0)) == (norm == kind.norm)
    for exponent, tested in ((0.49, False), (0.5, True), (2.0, True), (2.01, False), (3.0, False)):
        assert kind.covers(Radial(kind.norm, 1.0, exponent)) == tested


@pytest.mark.parametrize("pole", [0.0, 0.5, 1.0])
def test_up_to_a_pole_of_dim_minus_1_there_is_a_radius(pole: float) -> None:
    """At 1 there is no differential certificate; a radius shrinks with the pole at one scale."""
    noise = Radial("l2", 1.0, 2.0, pole)
    radius = one_sided(RadialL2Functional(noise, 2), np.array([0.6, 0.9]))
    assert 0 < radius[0] < radius[1] <= ndtri(0.9) / math.sqrt(2)
    if pole < 1:
        assert np.all(radius >= one_sided(RadialL2(noise, 2), np.array([0.6, 0.9])))


def test_dimensions_in_which_there_is_no_such_noise_are_refused() -> None:
    with pytest.raises(ValueError, match="dim must be at least 2, got 1"):
        RadialL2Functional(Radial("l2", 1.0, 2.0), 1)
    with pytest.raises(ValueError, match=r"pole must be at most dim - 1 .* got 8.5 with dim=9"):
        RadialLinfFunctional(Radial("linf", 1.0, 2.0, 8.5), 9)


def test_one_that_does_not_exist_in_a_dimension_hides_no_other() -> None:
    noise = Radial("l2", 1.0, 2.0, 8.5)
    assert "radial_l2_functional" in covering(noise, "l2", 10)
    assert "radial_l2_functional" not in covering(noise, "l2", 9)
    with pytest.raises(ValueError, match=r"pole must be at most dim - 1 .* got 8.5 with dim=9"):
        find(noise, "l2", "radial_l2_functional", dim=9)
    with pytest.raises(ValueError, match="dim must be a whole number of at least 1, got 0"):
        covering(noise, "l2", 0)
    # The differential certificate, which comes first, does not exist for a pole of dim - 1.
    at_the_end = Radial("l2", 1.0, 2.0, 8.0)
    assert list(covering(at_the_end, "l2", 9)) == ["radial_l2_functional"]


def test_radius_is_finite_at_the_ends() -> None:
    certificate = RadialL1Functional(Radial("l1", 1.0, 1.0, 10.0), 784)
    ends = certificate.radius(ClassBounds(np.array([1.0, 0.7]), np.array([0.0, 0.0])))
    assert np.all(np.isfinite(ends) & (ends > 0))
