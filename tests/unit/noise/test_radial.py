"""What is particular to radial noise with exponential decay."""

from __future__ import annotations

import math
import typing
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import gammainc

from radii.noise import Gaussian, Radial
from radii.noise._spheres import SphereNorm, log_gamma_draws
from tests.unit.noise.radial_laws import (
    ORDERS,
    assert_independent_of_direction,
    assert_uniform,
    assert_uniform_direction,
    drawn,
)

NORMS: tuple[SphereNorm, ...] = typing.get_args(SphereNorm)


@pytest.mark.parametrize(
    ("field", "value"),
    [("scale", 0.0), ("scale", math.inf), ("exponent", -1.0), ("pole", -0.1), ("pole", math.inf)],
)
def test_refuses_a_parameter(field: str, value: float) -> None:
    given: dict[str, Any] = {"norm": "l2", "scale": 1.0, "exponent": 2.0, field: value}
    with pytest.raises(ValueError, match=rf"{field} must be .* finite, got {value}"):
        Radial(**given)


def test_refuses_another_norm() -> None:
    norm: Any = "l0"
    with pytest.raises(ValueError, match="norm must be one of l1, l2, linf, got 'l0'"):
        Radial(norm, 1.0, 2.0)


def test_refuses_a_dimension_that_the_pole_leaves_no_mass() -> None:
    noise = Radial("l2", 1.0, 2.0, pole=3.0)
    message = "pole must be below the number of coordinates, got 3.0 with 3 coordinates"
    with pytest.raises(ValueError, match=message):
        noise.draw((2, 3), generator=torch.Generator())
    with pytest.raises(ValueError, match=message):
        noise.log_density(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=message):
        noise.energy(3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("exponent", "pole", "dim", "draws"),
    [(2.0, 0.0, 2, 100_000), (1.0, 2.5, 3, 100_000), (0.5, 1.0, 5, 50_000), (4.0, 90.0, 100, 5000)],
)
def test_radius_and_direction(
    norm: SphereNorm, exponent: float, pole: float, dim: int, draws: int
) -> None:
    z = drawn(Radial(norm, 0.7, exponent, pole), draws, dim)
    radius = np.linalg.norm(z, ORDERS[norm], axis=1)
    assert_uniform(gammainc((dim - pole) / exponent, (radius / 0.7) ** exponent))
    assert_uniform_direction(z, norm)
    assert_independent_of_direction(z, norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("pole", [0.0, 150_000.0])
def test_many_coordinates(norm: SphereNorm, pole: float) -> None:
    dim = 150_528
    noise = Radial(norm, 0.7, 2.0, pole)
    z = drawn(noise, 40, dim)
    radius = np.linalg.norm(z, ORDERS[norm], axis=1)
    assert_uniform(gammainc((dim - pole) / 2, (radius / 0.7) ** 2))
    log_density = noise.log_density(torch.from_numpy(z))
    assert bool(log_density.isfinite().all())
    assert noise.log_density(torch.from_numpy(z).float()).dtype == torch.float32
    mean = float(np.mean(z**2))
    spread = float(np.std(np.mean(z**2, axis=1))) / math.sqrt(len(z))
    assert abs(mean - noise.energy(dim)) < 6 * spread + 1e-6 * mean


def test_a_gamma_of_tiny_shape_keeps_its_digits() -> None:
    shape = 0.001  # half of the variables are below 1e-301, where float64 ends
    log_gamma = log_gamma_draws(
        shape, 50_000, torch.Generator().manual_seed(0), torch.device("cpu")
    ).numpy()
    assert log_gamma.min() < -5000
    # P(G <= g) = g^shape / Gamma(1 + shape) to all digits, for small g.
    small = np.exp(shape * log_gamma) / math.gamma(1 + shape)
    large = gammainc(shape, np.exp(np.maximum(log_gamma, -600)))
    assert_uniform(np.where(log_gamma < -50, small, large))


def test_with_l2_and_exponent_2_it_is_gaussian() -> None:
    z = torch.linspace(-2, 3, 60, dtype=torch.float64).reshape(10, 2, 3)
    radial, gaussian = Radial("l2", 0.5 * math.sqrt(2), 2.0), Gaussian(0.5)
    np.testing.assert_allclose(radial.log_density(z), gaussian.log_density(z), rtol=1e-13)
    assert radial.energy(3072) == pytest.approx(0.25, rel=1e-11)


def test_with_l1_and_exponent_1_it_is_laplace() -> None:
    z = torch.linspace(-2, 3, 60, dtype=torch.float64).reshape(10, 2, 3)
    by_hand = -(z.flatten(1).abs() / 0.4).sum(1) - 6 * math.log(2 * 0.4)
    np.testing.assert_allclose(Radial("l1", 0.4, 1.0).log_density(z), by_hand, rtol=1e-13)
    assert Radial("l1", 0.4, 1.0).energy(3072) == pytest.approx(2 * 0.4**2, rel=1e-11)


@pytest.mark.parametrize(("norm", "exponent"), [("l2", 2.0), ("l1", 1.0)])
def test_scales_of_equal_energy(norm: SphereNorm, exponent: float) -> None:
    # Mean squares of a chi (l2) and of a Gamma variable (l1), each with dim - pole in place of dim.
    dim, pole = 3072, 100.0
    ratio = dim / (dim - pole)
    if norm == "l1":
        ratio = dim * (dim + 1) / ((dim - pole) * (dim - pole + 1))
    wider = Radial(norm, math.sqrt(ratio), exponent, pole)
    assert wider.energy(dim) == pytest.approx(Radial(norm, 1.0, exponent).energy(dim), rel=1e-10)


def test_the_gamma_draws_follow_their_stream_alone() -> None:
    before = torch.get_rng_state()
    first, second = (drawn(Radial("l1", 1.0, 1.0, 1.0), 7, 3) for _ in range(2))
    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_density_at_the_pole_is_infinite() -> None:
    assert Radial("l2", 1.0, 2.0, 1.0).log_density(torch.zeros(1, 2)).item() == math.inf
    assert Radial("l2", 1.0, 2.0).log_density(torch.zeros(1, 2)).isfinite().all()


def test_inputs_around_which_float32_ends_are_refused() -> None:
    noise = Radial("l2", 0.5, 0.05)
    message = noise.objection(torch.zeros(1, 28, 28))
    assert message is not None
    assert "must have fewer coordinates than 784" in message
    drawn = noise.draw((4, 784), generator=torch.Generator().manual_seed(0))
    assert not bool(drawn.isfinite().all())  # which is why
    for fine, dim in (
        (Radial("l2", 0.5, 0.5), 784),
        (Radial("l1", 1.0, 0.1), 2),
        (Radial("linf", 1e20, 2.0), 784),
    ):
        assert fine.objection(torch.zeros(dim)) is None
        assert bool(
            fine.draw((100, dim), generator=torch.Generator().manual_seed(0)).isfinite().all()
        )
