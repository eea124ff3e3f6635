"""Where the radii of Gaussian noise come from, by numerical integration, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import ndtr
from torch import Tensor

from radii.certificates import (
    Certificate,
    GaussianL1,
    GaussianL2,
    GaussianL2ChiSquare,
    GaussianL2Hellinger,
    GaussianL2HockeyStick,
    GaussianL2KL,
    GaussianL2PixelDP,
    GaussianL2Renyi,
    GaussianL2TotalVariation,
    GaussianLinf,
)
from radii.certificates._divergence import least_divergence, log_ratio
from radii.errors import NotCoveredError
from radii.noise import Gaussian, Noise
from radii.records import ClassBounds

Divergence = Callable[[float], float]  # f of the sum of P f(Q / P)

PAIRS = [(0.7, 0.3), (0.99, 0.01), (0.5, 0.1), (0.3, 0.25), (0.2, 1e-3), (0.9, 1e-4)]
UNIT = Gaussian(sigma=1.0)
F_DIVERGENCES: list[tuple[Certificate, Divergence]] = [
    (GaussianL2KL(UNIT), lambda t: t * math.log(t) if t > 0 else 0.0),
    (GaussianL2Hellinger(UNIT), lambda t: 1 - math.sqrt(t)),
    (GaussianL2ChiSquare(UNIT), lambda t: (t - 1) ** 2),
    (GaussianL2TotalVariation(UNIT), lambda t: abs(t - 1) / 2),
]


class _Other(Noise):
    """A noise that is not Gaussian."""

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        return x


def radius(certificate: Certificate, pA: float, pB: float) -> float:
    return float(certificate.radius(ClassBounds(np.array(pA), np.array(pB))))


def of_gaussians(f: Divergence, distance: float) -> float:
    """The divergence of `N(distance, 1)` from `N(0, 1)`, by quadrature."""

    def integrand(z: float) -> float:
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return density * f(math.exp(distance * z - distance**2 / 2))

    value, _ = quad(
        integrand, -20, 20 + distance, points=[0, distance / 2, 2 * distance], limit=400
    )
    return float(value)


def at_a_tie(f: Divergence, pA: float, pB: float) -> float:
    """The least divergence of class distributions that give A and B the same mass."""
    rest = 1 - pA - pB

    def divergence(q: float) -> float:
        others = rest * f((1 - 2 * q) / rest) if rest > 1e-12 else 0.0
        return pA * f(q / pA) + pB * f(q / pB) + others

    if rest <= 1e-12:
        return divergence(0.5)
    found = minimize_scalar(divergence, bounds=(0, 0.5), method="bounded", options={"xatol": 1e-10})
    return float(found.fun)


@pytest.mark.parametrize(
    ("certificate", "f"), F_DIVERGENCES, ids=[type(one).__name__ for one, _ in F_DIVERGENCES]
)
@pytest.mark.parametrize(("pA", "pB"), PAIRS)
def test_at_the_radius_the_gaussians_are_as_far_apart_as_a_tie(
    certificate: Certificate, f: Divergence, pA: float, pB: float
) -> None:
    reached = of_gaussians(f, radius(certificate, pA, pB))
    assert reached == pytest.approx(at_a_tie(f, pA, pB), rel=1e-6)


@pytest.mark.parametrize(("pA", "pB"), PAIRS)
def test_every_renyi_order_gives_a_radius_and_the_best_is_taken(pA: float, pB: float) -> None:
    orders = [0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0]
    squares = []
    for a in orders:
        sign = math.copysign(1, a - 1)
        tie = sign * at_a_tie(lambda t, a=a, sign=sign: sign * t**a, pA, pB)  # type: ignore[misc]
        squares.append(2 / a * math.log(tie) / (a - 1))
        moments = of_gaussians(lambda t, a=a: t**a, 0.7)  # type: ignore[misc]
        assert math.log(moments) / (a - 1) == pytest.approx(a * 0.7**2 / 2, rel=1e-6)
    best = max(squares)
    ours = radius(GaussianL2Renyi(UNIT), pA, pB) ** 2
    assert best * (1 - 1e-6) <= ours <= best * 1.05


@given(st.floats(0.5, 4), st.integers(0, 2**32))
def test_no_distribution_with_a_tie_is_closer(order: float, seed: int) -> None:
    if order == 1:
        return
    rng = np.random.default_rng(seed)
    p = np.sort(rng.dirichlet(rng.choice([0.3, 1, 5]) * np.ones(4)))[::-1]
    q = rng.dirichlet(np.ones(4), 300)
    q[:, 0] = q[:, 1] = (q[:, 0] + q[:, 1]) / 2
    far = np.log((p * (q / p) ** order).sum(1)) / (order - 1)
    least = least_divergence(ClassBounds(p[0], p[1]), order)
    assert np.all(far >= least * (1 - 1e-9) - 1e-12)


@pytest.mark.parametrize(("b", "distance"), [(0.3, 0.5), (1, 1.2), (2.5, 0.8), (40, 3)])
def test_hockey_stick_divergence_of_gaussians(b: float, distance: float) -> None:
    middle = math.log(b) / distance
    formula = ndtr(distance / 2 - middle) - b * ndtr(-distance / 2 - middle)
    assert of_gaussians(lambda t: max(t - b, 0), distance) == pytest.approx(formula, abs=1e-8)


def test_the_gaussian_mechanism_is_as_private_as_pixeldp_takes_it() -> None:
    e, d = np.meshgrid(np.linspace(0.001, 1, 200), np.geomspace(1e-12, 0.5, 200))
    distance = e / np.sqrt(2 * np.log(1.25 / d))
    excess = ndtr(distance / 2 - e / distance) - np.exp(e) * ndtr(-distance / 2 - e / distance)
    assert np.all(excess <= d)
    # And the largest d of the search is below 1/2: (pA - exp(2e) pB) / (1 + exp e) at pB = 0.


ABOVE = [
    (GaussianL2PixelDP, GaussianL2),
    (GaussianL2Renyi, GaussianL2),
    (GaussianL2KL, GaussianL2Renyi),
    (GaussianL2Hellinger, GaussianL2Renyi),
    (GaussianL2ChiSquare, GaussianL2Renyi),
    (GaussianL2TotalVariation, GaussianL2),
]


def assert_ordered(bounds: ClassBounds) -> None:
    for less, more in ABOVE:
        low, high = less(UNIT).radius(bounds), more(UNIT).radius(bounds)
        # gaussian_l2 gives up 1e-13 of each quantile, which next to a tie is more than the rest.
        assert np.all(low <= high * (1 + 1e-11) + 4e-12), f"{less.__name__} above {more.__name__}"
    lecuyer, li = (kind(UNIT).radius(bounds) for kind in (GaussianL2PixelDP, GaussianL2Renyi))
    assert np.all((lecuyer <= li) | (bounds.pA_lower + bounds.pB_upper < 0.11))
    hockey, cohen = (kind(UNIT).radius(bounds) for kind in (GaussianL2HockeyStick, GaussianL2))
    finite = np.isfinite(cohen)
    assert np.array_equal(finite, np.isfinite(hockey))
    assert np.all(np.abs(hockey - np.where(finite, cohen, 0))[finite] < 1e-9)


@given(st.floats(0, 1, exclude_min=True), st.floats(0, 1))
@example(0.5 + 1e-9, 1.0)
@example(1 - 1e-12, 1.0)
@example(1.0, 0.0)
@example(0.5, 0.0)
@example(1e-290, 0.3)
def test_orderings(pA: float, share: float) -> None:
    pB = share * min(pA, 1 - pA)
    if 0 < pB < 1e-300:  # counted as 1e-300 by some
        return
    assert_ordered(ClassBounds(np.array(pA), np.array(pB)))


def test_orderings_on_a_grid() -> None:
    pA, share = np.meshgrid(np.linspace(0.005, 1, 200), np.linspace(0, 1, 200))
    bounds = ClassBounds(pA, share * np.minimum(pA, 1 - pA))
    assert_ordered(bounds)


def test_the_orderings_are_strict_somewhere() -> None:
    given = ClassBounds(np.array(0.9), np.array(0.1))
    lecuyer, li, cohen = (
        float(kind(UNIT).radius(given)) for kind in (GaussianL2PixelDP, GaussianL2Renyi, GaussianL2)
    )
    assert lecuyer < 0.5 * li
    assert li < 0.9 * cohen


def test_differential_privacy_beats_divergences_where_both_probabilities_are_small() -> None:
    # Privacy sees the ratio of probabilities, a divergence their size.
    lecuyer, li, cohen = (
        radius(kind(UNIT), 0.001, 0.0001)
        for kind in (GaussianL2PixelDP, GaussianL2Renyi, GaussianL2)
    )
    assert 2 * li < lecuyer < cohen


def test_log_ratio_next_to_a_tie_and_at_zero() -> None:
    pA, pB = np.array([0.5 + 1e-12, 0.5, 0.3, 1.0]), np.array([0.5, 0.5, 0.4, 0.0])
    ratio = log_ratio(ClassBounds(pA, pB))
    wanted = [math.log1p((pA[0] - 0.5) / 0.5), 0, 0, 300 * math.log(10)]
    np.testing.assert_allclose(ratio, wanted, rtol=1e-14)


def test_radii_where_nothing_is_known_of_no_other_class() -> None:
    """At pA = 1 and pB = 0: the limits that the docstrings state."""
    assert radius(GaussianL2Hellinger(UNIT), 1, 0) == pytest.approx(2 * math.sqrt(math.log(2)))
    assert radius(GaussianL2TotalVariation(UNIT), 1, 0) == pytest.approx(1.3489795)  # 2 Phi^-1(3/4)
    e = math.sqrt(2 * math.log(1.25 * (1 + math.e)))
    assert radius(GaussianL2PixelDP(UNIT), 1, 0) == pytest.approx(1 / e)
    assert radius(GaussianL2PixelDP(UNIT), 1, 0) < 0.571
    for kind in (GaussianL2KL, GaussianL2ChiSquare, GaussianL2Renyi, GaussianL2HockeyStick):
        assert radius(kind(UNIT), 1, 0) == math.inf
    assert radius(GaussianL2KL(UNIT), 0.9, 0) == pytest.approx(math.sqrt(-2 * math.log(0.1)))


def test_conversions() -> None:
    given = ClassBounds.one_sided(np.array([0.5, 0.6, 0.99]))
    noise = Gaussian(0.5)
    cohen = GaussianL2(noise).radius(given)
    assert np.array_equal(GaussianL1(noise).radius(given), cohen)
    for dim in (1, 2, 784, 150_528):
        linf = GaussianLinf(noise, dim).radius(given)
        assert np.all(linf <= cohen / math.sqrt(dim))
        np.testing.assert_allclose(linf, cohen / math.sqrt(dim), rtol=1e-14)


@pytest.mark.parametrize("dim", [0, -3, 2.0, True])
def test_a_dimension_that_is_none(dim: int) -> None:
    with pytest.raises(ValueError, match=r"dim must be a whole number of at least 1, got"):
        GaussianLinf(Gaussian(0.5), dim)


@pytest.mark.parametrize("kind", [kind for kind, _ in ABOVE] + [GaussianL1, GaussianL2HockeyStick])
def test_another_noise_is_refused(kind: type[Certificate]) -> None:
    with pytest.raises(NotCoveredError, match="does not cover"):
        kind(_Other())
    with pytest.raises(NotCoveredError, match="does not cover"):
        GaussianLinf(_Other(), 2)  # type: ignore[arg-type]
