"""Functional radii of mixed linf noise: reductions, exactness, the worst shift, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri

from radii.certificates import GaussianLinf, MixedLinfFunctional
from radii.certificates._functional import functional_radius
from radii.certificates._mixed_law import MixedLaw
from radii.certificates._mixed_pairs import pair_radius
from radii.certificates._mixed_plane import MixedPlaneLaw
from radii.certificates._truncated_sum import tail_score
from radii.errors import NotCoveredError
from radii.noise import Gaussian, Generators, MixedLinf, Stream
from radii.records import ClassBounds, FloatArray
from tests.falsifier import worst_case

PA = np.array([0.501, 0.6, 0.8, 0.99, 0.9999, 1 - 1e-7, 1 - 1e-12])
PAIRS = np.array([(0.5, 0.1), (0.6, 0.2), (0.9, 0.01), (0.2, 0.05), (0.99, 1e-6)])


def ratios(noise: MixedLinf, delta: torch.Tensor, draws: int) -> FloatArray:
    """Log ratios of exact draws around 0 for a shift."""
    generator = Generators(torch.device("cpu"))(Stream(0, 0, "estimation", 0))
    found = []
    for _ in range(max(draws // 2**14, 1)):
        z = noise.draw((min(draws, 2**14), *delta.shape), generator=generator).double()
        found.append((noise.log_density(z - delta) - noise.log_density(z)).numpy())
    return np.concatenate(found)


@pytest.mark.parametrize("dim", [64, 784, 150_528])
def test_without_a_pole_the_quadrature_gives_the_gaussian_radius(dim: int) -> None:
    # Cohen et al. 2019, Theorem 1, over sqrt(dim); the sums of truncated normals know nothing of it
    law = MixedLaw(0.0, dim)
    radius = functional_radius(law, ClassBounds.one_sided(PA))
    np.testing.assert_allclose(radius, ndtri(PA) / math.sqrt(dim), rtol=3e-6)
    two = pair_radius(law, 1 - PAIRS[:, 0], PAIRS[:, 1])
    exact = (ndtri(PAIRS[:, 0]) - ndtri(PAIRS[:, 1])) / (2 * math.sqrt(dim))
    assert np.all((two < exact) & (two > exact * (1 - 2e-3)))


def test_without_a_pole_it_is_gaussian_linf() -> None:
    bounds = ClassBounds(*PAIRS.T)
    expected = GaussianLinf(Gaussian(0.5), 10).radius(bounds)
    assert np.array_equal(MixedLinfFunctional(MixedLinf(0.5, 0.0), 10).radius(bounds), expected)


def test_less_than_half_is_enough_where_the_others_have_little() -> None:
    """It grows with pA across one half, and is 0 without a lead."""
    certificate = MixedLinfFunctional(MixedLinf(0.5, 0.5), 2)
    pA = np.array([0.2, 0.35, 0.499, 0.5, 0.501, 0.6])
    radius = certificate.radius(ClassBounds(pA, np.full(6, 0.1)))
    assert np.all(np.diff(radius) > 0)
    assert radius[0] > 0
    assert abs(radius[3] / radius[2] - 1) < 0.01
    assert certificate.radius(ClassBounds(np.array([0.1, 0.3]), np.array([0.1, 0.4]))).max() == 0


@pytest.mark.parametrize(("pole", "share", "digits"), [(10.0, 0.9987, 4), (100.0, 0.85, 2)])
def test_a_pole_costs_radius_at_equal_energy(pole: float, share: float, digits: int) -> None:
    # Computed before this code and apart from it, at sigma_k = sigma sqrt(d / (d - k)), pA = 0.6.
    dim = 3072
    noise = MixedLinf(math.sqrt(dim / (dim - pole)), pole)
    radius = MixedLinfFunctional(noise, dim).radius(ClassBounds.one_sided(0.6))
    assert round(float(radius) * math.sqrt(dim) / ndtri(0.6), digits) == share


@pytest.mark.parametrize(
    ("dim", "pole", "r", "draws"),
    [
        (784, 10.0, 0.05, 2**14),
        (784, 392.0, 0.006, 2**14),
        (64, 32.0, 0.1, 2**17),
        (2, 1.0, 0.5, 2**19),
    ],
)
def test_law_of_the_ratio_against_exact_draws(dim: int, pole: float, r: float, draws: int) -> None:
    found = ratios(MixedLinf(1.0, pole), torch.full((dim,), r, dtype=torch.float64), draws)
    t = np.quantile(found, [0.002, 0.05, 0.3, 0.5, 0.7, 0.95, 0.998])
    law = MixedPlaneLaw(pole) if dim == 2 else MixedLaw(pole, dim)
    p = law.exceeds(np.full(t.shape, r), t)
    seen = (found[:, None] > t).mean(axis=0)
    assert np.all(np.abs(p - seen) < 5 * np.sqrt(p * (1 - p) / len(found)))


@pytest.mark.parametrize(("dim", "pole"), [(784, 10.0), (3072, 100.0), (150_528, 1000.0)])
def test_the_shifted_density_has_mass_1(dim: int, pole: float) -> None:
    # E exp(L) = 1 is the integral of exp(t) P(L > t), for every r.
    law, t = MixedLaw(pole, dim), np.linspace(-60, 60, 4001)
    for size in (1.0, 4.0):
        p = law.exceeds(np.full(t.shape, size * law.unit), t)
        assert abs(float(np.trapezoid(np.exp(t) * p, t)) - 1) < 1e-6


def test_sum_of_uniform_numbers() -> None:
    # Normals truncated to a tiny interval are uniform: Irwin and Hall's distribution of 16 of them.
    n, z = 16, np.array([-2.0, 0.5, 2.0, 4.0])
    w = tail_score(n, np.full(4, -0.01), np.full(4, 0.01), z)
    for zi, wi in zip(z, w, strict=True):
        x = n / 2 - zi * math.sqrt(n / 12)
        terms = [(-1) ** k * math.comb(n, k) * max(x - k, 0) ** n for k in range(n + 1)]
        assert ndtr(-wi) == pytest.approx(math.fsum(terms) / math.factorial(n), rel=1e-4)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("pole", [0.25, 0.9])
def test_a_corner_is_the_worst_shift(dim: int, pole: float) -> None:
    noise, r = MixedLinf(1.0, pole), 0.5
    corner = worst_case(noise, torch.full((dim,), r, dtype=torch.float64), 0.7, 0.2)
    rng = torch.Generator().manual_seed(1)
    others = [torch.eye(dim, dtype=torch.float64)[0] * r]
    for _ in range(4):
        ray = torch.randn(dim, dtype=torch.float64, generator=rng)
        others.append(ray * (r / float(ray.abs().max())))
    for delta in others:
        other = worst_case(noise, delta, 0.7, 0.2)
        assert other.margin > corner.margin - corner.error - other.error


@pytest.mark.parametrize(("dim", "pole"), [(784, 10.0), (784, 392.0), (150_528, 15_000.0)])
def test_radius_at_which_a_set_keeps_one_half(dim: int, pole: float) -> None:
    certificate, law = MixedLinfFunctional(MixedLinf(1.0, pole), dim), MixedLaw(pole, dim)
    radius = certificate.radius(ClassBounds.one_sided(PA))
    for factor, sign in ((1.0, 1), (1 + 3e-5, -1)):
        r = radius * factor
        low, high = -200 * np.ones(r.shape), 200 * np.ones(r.shape)
        for _ in range(50):  # the median of L
            middle = (low + high) / 2
            above = law.exceeds(r, middle) > 0.5
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        assert np.all(sign * (law.exceeds(r, -low) - (1 - PA)) > 0)


def test_what_it_was_not_tested_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dim must be 2 or at least 64 .* got 10"):
        MixedLinfFunctional(MixedLinf(1.0, 0.5), 10)
    with pytest.raises(ValueError, match=r"pole must be at most 392 .* dim=784, got 400\.0"):
        MixedLinfFunctional(MixedLinf(1.0, 400.0), 784)
    with pytest.raises(ValueError, match="pole must be at most 15519"):
        MixedLinfFunctional(MixedLinf(1.0, 20_000.0), 150_528)
    wrong: Any = Gaussian(1.0)
    with pytest.raises(NotCoveredError, match="MixedLinfFunctional does not cover Gaussian"):
        MixedLinfFunctional(wrong, 784)


def test_radius_is_finite_at_the_ends() -> None:
    certificate = MixedLinfFunctional(MixedLinf(1.0, 10.0), 784)
    ends = certificate.radius(ClassBounds(np.array([1.0, 0.7]), np.array([0.0, 0.0])))
    assert np.all(np.isfinite(ends) & (ends > 0))
