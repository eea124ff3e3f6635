"""How the radii under Laplace, uniform and related noise relate to each other."""

from __future__ import annotations

import math

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

from radii.certificates import (
    GaussianL2,
    IidExponentialL1,
    LaplaceL1,
    LaplaceL1Pixeldp,
    LaplaceL1Renyi,
    LaplaceL1Teng,
    LaplaceLinf,
    ParetoL1,
    UniformBallL2,
    UniformL1,
    UniformLinf,
    find,
)
from radii.certificates.laplace_l1_teng import minus_log_rest
from radii.noise import Gaussian, IidExponential, Laplace, Pareto, Uniform, UniformBall
from radii.records import ClassBounds

GRID = [(a, b) for a in np.linspace(0.02, 0.999, 45) for b in np.linspace(0.001, 0.5, 40) if a > b]
TWO_SIDED = ClassBounds(*(np.array(side) for side in zip(*GRID, strict=True)))
ONE_SIDED = ClassBounds.one_sided(np.array([0.5 + 1e-9, 0.51, 0.6, 0.75, 0.9, 0.999, 1 - 1e-12]))
B = 0.7
NOISE = Laplace(B)


def test_every_laplace_l1_radius_is_at_most_the_tight_one() -> None:
    for given in (TWO_SIDED, ONE_SIDED):
        tight = LaplaceL1(NOISE).radius(given) * (1 + 1e-12)
        teng = LaplaceL1Teng(NOISE).radius(given)
        assert np.all(LaplaceL1Pixeldp(NOISE).radius(given) <= teng)
        assert np.all(teng <= tight)
        assert np.all(LaplaceL1Renyi(NOISE).radius(given) <= tight)


@pytest.mark.parametrize("gap", [1e-300, 1e-15, 1e-9, 0.3, 0.5, 0.7, 1 - 1e-12])
def test_what_no_set_grows_by_keeps_its_digits(gap: float) -> None:
    """`-ln(1 - gap)`, next to a tie and next to certainty."""
    given = ClassBounds(np.array(gap), np.array(0.0))
    with mpmath.workdps(40):
        exact = float(-mpmath.log1p(-mpmath.mpf(gap)))
    assert float(minus_log_rest(given)) == pytest.approx(exact, rel=4e-16, abs=0)


def test_teng_is_tight_only_for_two_classes_or_a_small_lead() -> None:
    tight, teng = LaplaceL1(NOISE), LaplaceL1Teng(NOISE)
    np.testing.assert_allclose(teng.radius(ONE_SIDED), tight.radius(ONE_SIDED), rtol=1e-12)
    small = ClassBounds(np.array([0.5, 0.3]), np.array([0.1, 0.2]))
    np.testing.assert_allclose(teng.radius(small), tight.radius(small), rtol=1e-12)
    # max(ln(3) / 2, -ln(0.6)) against (ln(2.5) - ln(0.8)) / 2
    between = ClassBounds(np.array(0.6), np.array(0.2))
    assert float(teng.radius(between)) == pytest.approx(B * math.log(3) / 2)
    assert float(tight.radius(between)) == pytest.approx(B * math.log(2.5 / 0.8) / 2)


def test_renyi_is_tight_for_two_classes_by_its_largest_order() -> None:
    exact = LaplaceL1(NOISE).radius(ONE_SIDED)
    np.testing.assert_allclose(LaplaceL1Renyi(NOISE).radius(ONE_SIDED), exact, rtol=1e-11)


def test_renyi_has_a_finite_best_order_with_a_third_class() -> None:
    # The limit of large orders gives -ln(0.6) = .511 there. The sup over orders, .647, was worked
    # out in 40-digit arithmetic; see tests/reference.
    given = ClassBounds(np.array(0.5), np.array(0.1))
    assert float(LaplaceL1Renyi(Laplace(1.0)).radius(given)) == pytest.approx(0.647, abs=5e-4)


def test_renyi_without_a_chance_of_b() -> None:
    given = ClassBounds(np.array([0.6, 1.0, 0.0]), np.zeros(3))
    least = ClassBounds(np.array([0.6, 1.0, 0.0]), np.full(3, np.finfo(np.float64).tiny))
    renyi = LaplaceL1Renyi(NOISE)
    assert np.array_equal(renyi.radius(given), renyi.radius(least))
    assert np.isfinite(renyi.radius(given)).all()


def test_laplace_linf_in_one_dimension_is_laplace_l1() -> None:
    for given in (TWO_SIDED, ONE_SIDED):  # up to the margin, a share of each half
        np.testing.assert_allclose(
            LaplaceLinf(NOISE, 1).radius(given),
            LaplaceL1(NOISE).radius(given),
            rtol=1e-10,
            atol=1e-10 * B,
        )


@pytest.mark.parametrize("dim", [2, 3, 784, 150_528])
def test_laplace_linf_is_more_than_the_conversion_from_l1(dim: int) -> None:
    for given in (TWO_SIDED, ONE_SIDED):
        converted = LaplaceL1(NOISE).radius(given) / dim
        assert np.all(LaplaceLinf(NOISE, dim).radius(given) >= converted - 1e-10 * B / dim)


def test_laplace_linf_in_high_dimension_approaches_the_normal_law() -> None:
    # By the central limit theorem; the error of the binomial tail falls as 1 / dim.
    dim = 150_528
    given = ClassBounds.one_sided(np.array([0.6, 0.9, 0.99]))
    normal = GaussianL2(Gaussian(B)).radius(given) / math.sqrt(dim)
    np.testing.assert_allclose(LaplaceLinf(NOISE, dim).radius(given), normal, rtol=1e-4)


def test_laplace_linf_with_masses_beyond_its_table() -> None:
    pB = np.array([1e-300, 1e-304, 1e-306, 5e-324])
    radius = LaplaceLinf(NOISE, 150_528).radius(ClassBounds(np.full(4, 0.9), pB))
    assert np.all(np.diff(radius) > 0)
    assert np.isfinite(radius).all()


def test_exponents_1_and_2_are_laplace_and_gaussian() -> None:
    for given in (TWO_SIDED, ONE_SIDED):
        for general, special in (
            (IidExponential(B, 1.0), LaplaceL1(NOISE)),
            (IidExponential(B * 2**0.5, 2.0), GaussianL2(Gaussian(B))),
            (IidExponential(B, 1 - 1e-9), LaplaceL1(NOISE)),  # the other branch
        ):
            np.testing.assert_allclose(
                IidExponentialL1(general).radius(given), special.radius(given), rtol=1e-6
            )


def test_heavy_exponents_certify_no_more_than_a_fixed_radius() -> None:
    # The integral converges at 0: scale Gamma(1 + 1/k) zeta(1/k), here 2 pi^2 / 6.
    given = ClassBounds(np.array([1 - 1e-16, 1.0]), np.array([1e-300, 0.0]))
    radius = IidExponentialL1(IidExponential(1.0, 0.5)).radius(given)
    assert float(radius[0]) == pytest.approx(math.pi**2 / 3, rel=1e-6)
    assert radius[1] == math.inf


def test_uniform_certificates_agree_in_one_dimension() -> None:
    for given in (TWO_SIDED, ONE_SIDED):
        line = UniformL1(Uniform(B)).radius(given)
        np.testing.assert_allclose(UniformLinf(Uniform(B), 1).radius(given), line, rtol=1e-12)
        np.testing.assert_allclose(UniformBallL2(UniformBall(B), 1).radius(given), line, rtol=1e-11)


def test_pareto_with_a_light_tail_is_laplace() -> None:
    # (1 + t / (a b))^-a tends to exp(-t / b).
    light = ParetoL1(Pareto(1e7 * B, 1e7)).radius(TWO_SIDED)
    np.testing.assert_allclose(light, LaplaceL1(NOISE).radius(TWO_SIDED), rtol=1e-4)


def test_the_tight_certificate_is_the_default() -> None:
    assert find(NOISE, "l1") == LaplaceL1(NOISE)
    assert find(NOISE, "linf", dim=784) == LaplaceLinf(NOISE, 784)


@pytest.mark.parametrize("dim", [0, -1, 2.0, True])
def test_refuses_a_dimension(dim: int) -> None:
    message = rf"dim must be a whole number of at least 1, got {dim}"
    for make in (
        lambda: LaplaceLinf(NOISE, dim),
        lambda: UniformLinf(Uniform(B), dim),
        lambda: UniformBallL2(UniformBall(B), dim),
    ):
        with pytest.raises(ValueError, match=message):
            make()
