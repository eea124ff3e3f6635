"""What every registered noise owes."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from radii.noise import NOISES, AdditiveNoise, Generators, Noise, Stream

CASES = [
    NOISES.build({"name": name, **example})
    for name in NOISES.names()
    for example in NOISES[name].examples
]
ADDITIVE = [noise for noise in CASES if isinstance(noise, AdditiveNoise)]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

each_noise = pytest.mark.parametrize("noise", CASES, ids=NOISES.spec_of)
each_additive = pytest.mark.parametrize("noise", ADDITIVE, ids=NOISES.spec_of)
each_device = pytest.mark.parametrize("device", DEVICES)

STREAM = Stream(seed=7, index=3, stage="estimation", block=2)


def start(stream: Stream = STREAM, device: str = "cpu") -> torch.Generator:
    """A generator of its own at the start of a stream."""
    return Generators(torch.device(device))(stream)


def one_input(device: str = "cpu") -> Tensor:
    """A small image."""
    return torch.linspace(0, 1, 24, device=device).reshape(2, 3, 4)


@pytest.mark.parametrize("name", NOISES.names())
def test_examples_are_given_and_are_frozen_dataclasses(name: str) -> None:
    assert NOISES[name].examples
    noise: Any = NOISES.build({"name": name, **NOISES[name].examples[0]})
    field = dataclasses.fields(noise)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noise, field, getattr(noise, field))


@each_noise
def test_spec_round_trip(noise: Noise) -> None:
    assert NOISES.build(NOISES.spec_of(noise)) == noise


@each_noise
def test_parameters_that_are_no_number_are_refused(noise: Any) -> None:
    values = {field.name: getattr(noise, field.name) for field in dataclasses.fields(noise)}
    for name in [name for name, value in values.items() if isinstance(value, float)]:
        with pytest.raises(ValueError, match=rf"{name}.*nan"):
            type(noise)(**{**values, name: math.nan})


@each_device
@each_noise
def test_apply_gives_float32_of_the_shape_on_the_device(noise: Noise, device: str) -> None:
    x = one_input(device).expand(5, 2, 3, 4)
    noisy = noise.apply(x, generator=start(device=device))
    assert noisy.shape == x.shape
    assert noisy.dtype == torch.float32
    assert noisy.device == x.device
    assert bool(noisy.isfinite().all())


@each_device
@each_noise
def test_apply_overwrites_and_returns_out(noise: Noise, device: str) -> None:
    x = one_input(device).expand(5, 2, 3, 4)
    out = torch.full(x.shape, torch.nan, device=device)
    assert noise.apply(x, generator=start(device=device), out=out) is out
    assert torch.equal(out, noise.apply(x, generator=start(device=device)))


@each_noise
def test_apply_leaves_its_input(noise: Noise) -> None:
    x = one_input()
    noise.apply(x.expand(5, 2, 3, 4), generator=start())
    assert torch.equal(x, one_input())


@each_noise
def test_same_stream_same_draws(noise: Noise) -> None:
    # 3 values are fewer than the generator makes at a time; the rest must not leak into the next.
    x = torch.zeros(1, 3)
    generators = Generators(torch.device("cpu"))
    alone = noise.apply(x, generator=start())
    noise.apply(x, generator=generators(Stream(1, 1, "selection", 1)))
    assert torch.equal(noise.apply(x, generator=generators(STREAM)), alone)


@each_noise
@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"index": 4}, {"stage": "selection"}, {"block": 3}], ids=str
)
def test_different_streams_differ(noise: Noise, change: dict[str, Any]) -> None:
    x = one_input().expand(5, 2, 3, 4)
    other = noise.apply(x, generator=start(dataclasses.replace(STREAM, **change)))
    same = other == noise.apply(x, generator=start())
    assert float(same.double().mean()) < 0.5


@each_noise
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_copies_meet_the_noise_of_each_stream(noise: Noise, dtype: torch.dtype) -> None:
    if noise.num_outcomes is not None:
        pytest.skip("its outcomes are enumerated")
    x = (one_input() * 255).round() / 255
    streams = [dataclasses.replace(STREAM, block=block) for block in (4, 5, 6)]
    generators = Generators(torch.device("cpu"))
    alone = [
        noise.at(x.expand(rows, *x.shape), stream, generators).to(dtype)
        for stream, rows in zip(streams, (7, 7, 3), strict=True)
    ]
    out = torch.empty((17, *x.shape), dtype=dtype)
    assert noise.copies(x, streams, 7, generators, out) is out
    assert torch.equal(out, torch.cat(alone))


@each_noise
def test_global_generators_are_left_alone(noise: Noise) -> None:
    def states() -> list[str]:
        return [
            str(torch.get_rng_state().tolist()),
            str(random.getstate()),
            str(np.random.get_state(legacy=False)),  # noqa: NPY002 it is the global one
        ]

    before = states()
    noise.apply(one_input().expand(5, 2, 3, 4), generator=start())
    assert states() == before


@each_noise
def test_rows_get_noise_of_their_own(noise: Noise) -> None:
    rows = 20_000
    noisy = noise.apply(torch.full((3,), 0.5).expand(rows, 3), generator=start()).double()
    high = (noisy > noisy.median(dim=0).values).double()
    assert 0.1 < float(high.mean()) < 0.9
    deviation = (high - high.mean(dim=0)) / high.std(dim=0)
    for lag in (1, 2, rows // 2):
        correlation = (deviation[lag:] * deviation[:-lag]).mean(dim=0).abs().max()
        assert float(correlation) < 5 / math.sqrt(rows - lag)


@pytest.mark.parametrize(
    "noise", [noise for noise in ADDITIVE if noise.domain is None], ids=NOISES.spec_of
)
def test_apply_adds_what_is_drawn(noise: AdditiveNoise) -> None:
    # Noise on a grid is rounded after the addition; its law is tested in unit/noise.
    x = one_input().expand(5, 2, 3, 4)
    assert torch.equal(
        noise.apply(x, generator=start()), x + noise.draw(x.shape, generator=start())
    )


@each_device
@each_additive
def test_draw_gives_float32_of_the_shape_on_the_device(noise: AdditiveNoise, device: str) -> None:
    z = noise.draw((5, 2, 3), generator=start(device=device))
    assert (z.shape, z.dtype, z.device.type) == ((5, 2, 3), torch.float32, device)
    out = torch.full((5, 2, 3), torch.nan, device=device)
    assert noise.draw((5, 2, 3), generator=start(device=device), out=out) is out
    assert torch.equal(out, z)


@each_additive
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_density_is_one_number_a_draw(noise: AdditiveNoise, dtype: torch.dtype) -> None:
    z = noise.draw((5, 2, 3), generator=start()).to(dtype)
    log_density = noise.log_density(z)
    assert (log_density.shape, log_density.dtype) == ((5,), dtype)
    assert bool(log_density.isfinite().all())
    singly = torch.cat([noise.log_density(row[None]) for row in z])
    assert torch.allclose(log_density, singly, rtol=1e-6)


def grid(noise: AdditiveNoise, points: int) -> tuple[Tensor, Tensor]:
    """Midpoints `(points,)` that reach over the whole line, and the width of each cell."""
    middle = noise.draw((10_001, 1), generator=start()).abs().median().double()
    theta = (torch.arange(points, dtype=torch.float64) + 0.5) * (math.pi / points) - math.pi / 2
    return middle * theta.tan(), middle * (math.pi / points) / theta.cos().square()


@each_additive
def test_density_on_a_line_is_that_of_the_draws(noise: AdditiveNoise) -> None:
    z, width = grid(noise, 20_000)
    mass = noise.log_density(z[:, None]).exp() * width
    assert float(mass.sum()) == pytest.approx(1, abs=1e-3)  # the rest is for jumps of the density
    n = 200_000
    drawn = noise.draw((n, 1), generator=start()).double().flatten().sort().values
    below = mass.cumsum(0)[torch.searchsorted(z, drawn).clamp(max=len(z) - 1)]
    distance = (below - torch.arange(n) / n).abs().max()
    # Dvoretzky-Kiefer-Wolfowitz: larger with probability below 1e-9.
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * n)) + 2e-3


@each_additive
def test_density_on_a_plane_is_that_of_the_draws(noise: AdditiveNoise) -> None:
    z, width = grid(noise, 1_500)
    plane = torch.cartesian_prod(z, z)
    log_density = noise.log_density(plane)
    mass = log_density.exp() * torch.outer(width, width).flatten()
    assert float(mass.sum()) == pytest.approx(1, abs=1e-2)
    n = 100_000
    drawn = noise.log_density(noise.draw((n, 2), generator=start()).double())
    for quantile in (0.1, 0.5, 0.9):
        level = drawn.quantile(quantile)
        expected = float(mass[log_density > level].sum())
        error = 5 * math.sqrt(0.25 / n) + 1e-2
        assert float((drawn > level).double().mean()) == pytest.approx(expected, abs=error)


@each_additive
def test_energy_is_that_of_the_draws(noise: AdditiveNoise) -> None:
    for dim in (1, 4, 50):
        energy = noise.energy(dim)
        assert energy > 0
        if math.isinf(energy):
            continue
        squares = noise.draw((200_000 // dim, dim), generator=start()).double().square().mean(1)
        error = float(squares.std()) / math.sqrt(len(squares))
        assert abs(float(squares.mean()) - energy) < 6 * error + 1e-6 * energy
