"""What is particular to radial noise with power-law decay."""

from __future__ import annotations

import math
import typing
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import betainc, gammaln

from radii.noise import RadialPower
from radii.noise._spheres import SphereNorm
from tests.unit.noise.radial_laws import (
    ORDERS,
    assert_independent_of_direction,
    assert_uniform,
    assert_uniform_direction,
    drawn,
)

NORMS: tuple[SphereNorm, ...] = typing.get_args(SphereNorm)


@pytest.mark.parametrize("field", ["scale", "exponent", "a"])
@pytest.mark.parametrize("value", [0.0, math.inf])
def test_refuses_a_parameter(field: str, value: float) -> None:
    given: dict[str, Any] = {"norm": "l2", "scale": 1.0, "exponent": 2.0, "a": 9.0, field: value}
    with pytest.raises(ValueError, match=rf"{field} must be positive and finite, got {value}"):
        RadialPower(**given)


def test_refuses_a_dimension_in_which_the_tail_is_too_heavy() -> None:
    noise = RadialPower("l2", 1.0, 2.0, a=2.0)
    with pytest.raises(ValueError, match=r"must be above .* a=2.0 .* 4 coordinates; raise a"):
        noise.draw((2, 4), generator=torch.Generator())
    with pytest.raises(ValueError, match="raise a"):
        noise.log_density(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="raise a"):
        noise.energy(4)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("exponent", "a", "dim", "draws"),
    [
        (2.0, 1.5, 2, 100_000),  # no second moment
        (1.0, 9.0, 3, 100_000),
        (0.5, 60.0, 20, 20_000),
        (2.0, 90_000.0, 150_528, 30),
    ],
)
def test_radius_and_direction(
    norm: SphereNorm, exponent: float, a: float, dim: int, draws: int
) -> None:
    noise = RadialPower(norm, 3.0, exponent, a)
    z = drawn(noise, draws, dim)
    power = (np.linalg.norm(z, ORDERS[norm], axis=1) / 3.0) ** exponent
    # A BetaPrime variable V has V / (1 + V) ~ Beta.
    assert_uniform(betainc(dim / exponent, a - dim / exponent, power / (1 + power)))
    assert bool(noise.log_density(torch.from_numpy(z)).isfinite().all())
    if draws > 1000:
        assert_uniform_direction(z, norm)
        assert_independent_of_direction(z, norm)


def test_with_l2_and_exponent_2_it_is_student_t() -> None:
    # A multivariate t with nu degrees of freedom: a = (nu + d)/2, scale = sigma sqrt(nu).
    nu, dim, sigma = 5.0, 6, 0.7
    z = torch.linspace(-2, 3, 60, dtype=torch.float64).reshape(10, 2, 3)
    squares = z.flatten(1).square().sum(1) / (nu * sigma**2)
    constant = gammaln((nu + dim) / 2) - gammaln(nu / 2) - dim / 2 * math.log(nu * math.pi)
    by_hand = constant - dim * math.log(sigma) - (nu + dim) / 2 * torch.log1p(squares)
    noise = RadialPower("l2", sigma * math.sqrt(nu), 2.0, (nu + dim) / 2)
    np.testing.assert_allclose(noise.log_density(z), by_hand, rtol=1e-13)
    assert noise.energy(dim) == pytest.approx(sigma**2 * nu / (nu - 2), rel=1e-12)


def test_energy_is_infinite_without_a_second_moment() -> None:
    noise = RadialPower("l1", 1.0, 1.0, 6.0)
    assert math.isfinite(noise.energy(3))
    assert noise.energy(4) == math.inf
    assert noise.energy(5) == math.inf


def test_density_is_finite_at_zero() -> None:
    for norm in NORMS:
        assert RadialPower(norm, 1.0, 2.0, 9.0).log_density(torch.zeros(1, 4)).isfinite().all()
