"""What is particular to Gaussian noise with a pole in linf."""

from __future__ import annotations

import math

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from scipy.special import erf, gammainc

from radii.noise import Gaussian, MixedLinf
from radii.noise._mixed_radius import radius_law
from tests.unit.noise.radial_laws import FloatArray, assert_uniform, drawn

CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 30


def mass(pole: float, dim: int, low: float, high: float) -> mpmath.mpf:
    """Integral of `rho^-pole phi(rho) (2 Phi(rho) - 1)^(dim - 1)` from low to high, by mpmath."""

    def density(x: mpmath.mpf) -> mpmath.mpf:  # in x = ln rho
        rho = CONTEXT.exp(x)
        core = CONTEXT.erf(rho / CONTEXT.sqrt(2)) ** (dim - 1)
        return CONTEXT.exp((1 - pole) * x) * CONTEXT.npdf(rho) * core

    return CONTEXT.quad(density, np.linspace(math.log(low), math.log(high), 25).tolist())


def test_refuses_a_parameter() -> None:
    with pytest.raises(ValueError, match=r"sigma must be positive and finite, got 0.0"):
        MixedLinf(0.0, 1.0)
    with pytest.raises(ValueError, match=r"pole must be at least 0 and finite, got -1.0"):
        MixedLinf(1.0, -1.0)


def test_refuses_a_dimension_that_the_pole_leaves_no_mass() -> None:
    noise = MixedLinf(1.0, 3.0)
    message = "pole must be below the number of coordinates, got 3.0 with 3 coordinates"
    with pytest.raises(ValueError, match=message):
        noise.draw((2, 3), generator=torch.Generator())
    with pytest.raises(ValueError, match=message):
        noise.log_density(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=message):
        noise.energy(3)


@pytest.mark.parametrize(
    ("pole", "dim", "low", "high", "quantiles"),
    [
        (0.0, 1, 1e-30, 12.0, [0.01, 0.5, 2.0]),
        (0.75, 1, 1e-100, 12.0, [1e-9, 0.01, 2.0]),
        (2.0, 3, 1e-20, 12.0, [1e-6, 0.3, 3.0]),
        (100.0, 3072, 2.0, 8.0, [2.6, 2.8, 3.0]),
        (150_000.0, 150_528, 0.06, 0.2, [0.1, 0.103, 0.106]),
    ],
)
def test_law_of_the_linf_norm(
    pole: float, dim: int, low: float, high: float, quantiles: list[float]
) -> None:
    law = radius_law(pole, dim)
    total = mass(pole, dim, low, high)
    assert law.log_mass == pytest.approx(float(CONTEXT.log(2 * dim * total)), abs=1e-8)
    for rho in quantiles:
        below = float(mass(pole, dim, low, rho) / total)
        assert 1e-9 < below < 1 - 1e-9
        logit = float(np.interp(math.log(rho), law.x, law.logit))
        assert logit == pytest.approx(math.log(below / (1 - below)), abs=2e-4)


@pytest.mark.parametrize(("pole", "dim", "draws"), [(1.5, 3, 50_000), (50.0, 784, 2_000)])
def test_draws(pole: float, dim: int, draws: int) -> None:
    z = drawn(MixedLinf(2.0, pole), draws, dim) / 2
    size = np.abs(z)
    rho = size.max(axis=1)
    law = radius_law(pole, dim)
    assert_uniform(1 / (1 + np.exp(-np.interp(np.log(rho), law.x, law.logit))))
    place = size.argmax(axis=1)
    assert abs(np.mean(place < dim / 2) - np.mean(np.arange(dim) < dim / 2)) < 3 / math.sqrt(draws)
    assert abs(np.sign(z[np.arange(draws), place]).mean()) < 6 / math.sqrt(draws)
    inner: FloatArray = np.where(place == 0, z[:, 1], z[:, 0])
    assert_uniform((1 + erf(inner / math.sqrt(2)) / erf(rho / math.sqrt(2))) / 2)


def test_without_a_pole_it_is_gaussian() -> None:
    z = torch.linspace(-2, 3, 60, dtype=torch.float64).reshape(10, 2, 3)
    np.testing.assert_allclose(
        MixedLinf(0.5, 0.0).log_density(z), Gaussian(0.5).log_density(z), rtol=1e-12
    )
    for dim in (1, 2, 784, 150_528):
        assert MixedLinf(0.5, 0.0).energy(dim) == pytest.approx(0.25, rel=1e-10)
    z = torch.from_numpy(drawn(MixedLinf(0.5, 0.0), 20_000, 3))
    assert_uniform(np.asarray(torch.special.ndtr(z[:, 0] / 0.5)))


def test_energy_by_quadrature() -> None:
    # E||z||_2^2 = E[rho^2 + (dim - 1) v(rho)], v the variance of a normal truncated to [-rho, rho].
    law = radius_law(2.0, 5)
    rho = np.exp(law.x)
    probability = 1 / (1 + np.exp(-law.logit))
    variance = gammainc(1.5, rho**2 / 2) / gammainc(0.5, rho**2 / 2)
    squares = rho**2 + 4 * variance
    mean = float(np.sum((squares[1:] + squares[:-1]) / 2 * np.diff(probability)))
    assert MixedLinf(3.0, 2.0).energy(5) == pytest.approx(9 * mean / 5, rel=1e-5)
