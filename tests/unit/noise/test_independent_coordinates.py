"""What is particular to noises with independent coordinates, and to the uniform ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import gammainc

from radii.noise import (
    AdditiveNoise,
    Gaussian,
    IidExponential,
    Laplace,
    Pareto,
    Uniform,
    UniformBall,
)
from radii.noise._signed import LEAST, signed_uniform
from tests.unit.noise.radial_laws import (
    FloatArray,
    assert_uniform,
    assert_uniform_direction,
    drawn,
)


def distribution(noise: AdditiveNoise, size: FloatArray) -> FloatArray:
    """P(|z| <= size) for one coordinate."""
    if isinstance(noise, Laplace):
        return -np.expm1(-size / noise.b)
    if isinstance(noise, Uniform):
        return size / noise.half_width
    if isinstance(noise, Pareto):
        return -np.expm1(-noise.a * np.log1p(size / noise.scale))
    assert isinstance(noise, IidExponential)
    return np.asarray(gammainc(1 / noise.exponent, (size / noise.scale) ** noise.exponent))


COORDINATES = [
    Laplace(0.5),
    Uniform(0.3),
    Pareto(0.5, 0.5),
    Pareto(1.0, 3.0),
    IidExponential(0.5, 0.1),
    IidExponential(0.5, 1.0),
    IidExponential(0.5, 40.0),
]


@pytest.mark.parametrize("noise", COORDINATES, ids=str)
def test_sizes_and_signs_of_coordinates(noise: AdditiveNoise) -> None:
    z = drawn(noise, 100_000, 3)
    assert np.isfinite(z).all()
    for column in z.T:
        assert_uniform(distribution(noise, np.abs(column)))
        # The sign of the first half of the sizes, and of the second, is fair.
        large = np.abs(column) > np.median(np.abs(column))
        for half in (column[large], column[~large]):
            assert abs(np.sign(half).mean()) < 6 / math.sqrt(len(half))
    assert abs((np.sign(z[:, 0]) * np.sign(z[:, 1])).mean()) < 6 / math.sqrt(len(z))


def test_signed_uniform_is_never_0_and_reaches_far() -> None:
    u = signed_uniform(torch.empty(2**24), torch.Generator().manual_seed(0)).double().abs()
    assert float(u.min()) >= LEAST
    # Steps of 2^-24 would show here: 2^24 sizes below 2^-16 number 256, 6 standard errors 96.
    small = u[u < 2.0**-16]
    assert 160 < len(small) < 352
    assert not torch.equal(small * 2**24, (small * 2**24).round())
    assert float(u.max()) <= 1


def test_signed_uniform_at_the_ends_of_its_integers() -> None:
    ends = torch.tensor([0, 2**30 - 1, 2**30, 2**31 - 1], dtype=torch.int32)

    class Fixed(torch.Tensor):
        """Yields the ends in place of random bits."""

        def view(self, *_: object) -> torch.Tensor:  # type: ignore[override]
            return Ends(self)

    class Ends:
        def __init__(self, out: torch.Tensor) -> None:
            self.out = out

        def random_(self, generator: torch.Generator) -> torch.Tensor:
            return ends.clone()

    out = torch.empty(4).as_subclass(Fixed)
    u = signed_uniform(out, torch.Generator()).as_subclass(torch.Tensor)
    assert u.tolist() == [-1, -LEAST, LEAST, 1]
    assert bool((-u.abs().log()).isfinite().all())


@pytest.mark.parametrize("half_width", [0.1, 0.3, 1 / 3, 1.0, 1e-3])
def test_uniform_noise_stays_in_its_cube(half_width: float) -> None:
    noise = Uniform(half_width)
    z = noise.draw((2**20, 4), generator=torch.Generator().manual_seed(0))
    assert float(z.double().abs().max()) <= half_width
    assert bool(noise.log_density(z).isfinite().all())
    assert bool(noise.log_density(z.double()).isfinite().all())
    outside = torch.tensor([[math.nextafter(half_width, 2), 0.0]], dtype=torch.float64)
    assert noise.log_density(outside).tolist() == [-math.inf]
    edge = torch.tensor([[half_width, 0.0]], dtype=torch.float64)
    np.testing.assert_allclose(noise.log_density(edge), -2 * math.log(2 * half_width), rtol=1e-15)


@pytest.mark.parametrize(("radius", "dim"), [(0.1, 1), (0.3, 2), (1 / 3, 784), (1.0, 20_000)])
def test_noise_of_a_ball_stays_in_it(radius: float, dim: int) -> None:
    noise = UniformBall(radius)
    z = noise.draw((max(2**20 // dim, 2000), dim), generator=torch.Generator().manual_seed(0))
    assert bool(z.isfinite().all())
    assert float(torch.linalg.vector_norm(z.double(), dim=1).max()) <= radius
    assert bool(noise.log_density(z).isfinite().all())
    outside = torch.zeros(1, dim, dtype=torch.float64)
    outside[0, 0] = radius * (1 + 1e-15)
    assert noise.log_density(outside).tolist() == [-math.inf]


@pytest.mark.parametrize("dim", [1, 2, 50])
def test_law_of_the_ball(dim: int) -> None:
    z = drawn(UniformBall(0.5), 50_000, dim)
    assert_uniform((np.linalg.norm(z, axis=1) / 0.5) ** dim)
    if dim > 1:
        assert_uniform_direction(z, "l2")


def test_noise_of_a_ball_survives_a_draw_of_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "normal_", lambda z, **_: z.zero_())
    z = UniformBall(0.5).draw((3, 1), generator=torch.Generator().manual_seed(0))
    assert z.tolist() == [[0.0]] * 3


def test_exponents_1_and_2_are_laplace_and_gaussian() -> None:
    z = torch.tensor([[0.0, 0.3], [-2.0, 1.5]], dtype=torch.float64)
    for general, special in (
        (IidExponential(0.5, 1.0), Laplace(0.5)),
        (IidExponential(0.5 * 2**0.5, 2.0), Gaussian(0.5)),
    ):
        np.testing.assert_allclose(general.log_density(z), special.log_density(z), rtol=1e-14)
        assert general.energy(2) == pytest.approx(special.energy(2), rel=1e-14)


def test_energy_of_pareto_noise() -> None:
    assert Pareto(1.0, 2.0).energy(3) == math.inf
    assert Pareto(2.0, 3.0).energy(3) == pytest.approx(4)  # 2 scale^2 / (2 * 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Laplace(0.0), "b must be positive and finite, got 0.0"),
        (lambda: Uniform(math.inf), "half_width must be positive and finite, got inf"),
        (lambda: UniformBall(-1.0), "radius must be positive and finite, got -1.0"),
        (lambda: Pareto(-1.0, 3.0), "scale must be positive and finite, got -1.0"),
        (lambda: Pareto(1.0, 0.4), "a must be at least 0.5 and finite, got 0.4; heavier tails"),
        (lambda: IidExponential(1e13, 2.0), r"scale must be from 1e-30 to 1e\+12"),
        (lambda: IidExponential(1.0, 0.01), "exponent must be at least 0.1 and finite, got 0.01"),
    ],
)
def test_refuses(make: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "noise",
    [Pareto(1e17, 0.5), IidExponential(1e11, 0.1), Laplace(1e30), Uniform(1e30)],
    ids=str,
)
def test_wide_noise_stays_in_the_range_of_float32(noise: AdditiveNoise) -> None:
    z = noise.draw((2**20, 2), generator=torch.Generator().manual_seed(0))
    assert bool(z.isfinite().all())
