"""Parameters of laws are plain numbers, and no noise is narrower than its name says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from radii.noise import (
    NOISES,
    Gaussian,
    IidExponential,
    Laplace,
    Pareto,
    Splitting,
    Uniform,
)
from radii.noise._scales import float32_above
from radii.noise.streams import Generators, Stream
from radii.smoothing import SmoothedClassifier

SCALES = (0.1, 0.3, 0.7, 1 / 3, 0.12)


def test_the_next_float32_number_that_is_not_below() -> None:
    rng = np.random.default_rng(0)
    values = [*SCALES, *np.exp(rng.uniform(-60, 60, 1000)).tolist(), 0.25, 1.0]
    for value in values:
        found = float32_above(value)
        assert float(np.float32(found)) == found
        below = float(np.nextafter(np.float32(found), np.float32(0)))
        assert Fraction(below) < Fraction(value) <= Fraction(found)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "law",
    [
        Gaussian,
        Uniform,
        Laplace,
        lambda scale: Pareto(scale, 3.0),
        lambda scale: IidExponential(scale, 1.5),
    ],
)
def test_what_is_drawn_is_at_least_as_wide_as_its_name(law: type, scale: float) -> None:
    # Each product is rounded to float32, so a mean of many tells what it was multiplied by.
    drawn: list[torch.Tensor] = [
        law(each).draw((100_000,), generator=torch.Generator().manual_seed(0)).double()
        for each in (scale, 1.0)
    ]
    inside = drawn[1].abs() > 1e-3
    ratio = float((drawn[0] / drawn[1])[inside].mean())
    assert ratio > scale
    assert abs(ratio / float32_above(scale) - 1) < 4e-9


@pytest.mark.parametrize("law", [Gaussian, Uniform])
@pytest.mark.parametrize("native", [False, True])
def test_so_is_the_noise_of_a_named_stream(law: type, native: bool) -> None:
    generators = Generators(torch.device("cpu"), rng="chacha")
    if not native:
        generators.native = None
    stream = Stream(0, 0, "estimation", 0)
    x = torch.zeros(50_000)[None]
    wide, unit = (law(each).at(x, stream, generators).double() for each in (0.7, 1.0))
    inside = unit.abs() > 1e-3
    assert float((wide / unit)[inside].mean()) > 0.7


@pytest.mark.parametrize(
    ("x", "out"),
    [
        (torch.ones(2, 64, dtype=torch.float64), torch.empty(2, 64)),
        (torch.ones(2, 64), torch.empty(2, 64, dtype=torch.float16)),
        (torch.ones(2, 64), torch.empty(64, 2).t()),
    ],
)
def test_compiled_code_writes_only_what_it_knows(x: torch.Tensor, out: torch.Tensor) -> None:
    generators = Generators(torch.device("cpu"))
    if generators.native is None:
        pytest.skip("there is no compiler here")
    with pytest.raises((TypeError, ValueError), match=r"noise is added to"):
        Gaussian(0.5).at(x, Stream(0, 0, "estimation", 0), generators, out=out)


@pytest.mark.parametrize("name", NOISES.names())
def test_numbers_of_other_types_are_what_they_are_worth(name: str) -> None:
    for example in NOISES[name].examples:
        floats = {key for key, value in example.items() if type(value) is float}
        given = {k: np.float32(v) if k in floats else v for k, v in example.items()}
        if any(float(given[key]) != example[key] for key in floats):
            given = {k: np.float64(v) if k in floats else v for k, v in example.items()}
        noise = NOISES[name](**given)
        assert NOISES.build(NOISES.spec_of(noise)) == noise
        assert all(type(getattr(noise, key)) is float for key in floats)


def test_half_precision_keeps_its_own_value_in_the_spec() -> None:
    noise = Gaussian(np.float16(0.1))  # type: ignore[arg-type]
    assert noise.sigma == 0.0999755859375
    assert NOISES.build(NOISES.spec_of(noise)) == noise
    assert noise != Gaussian(0.1)


@pytest.mark.parametrize("given", [True, torch.tensor(0.1), "0.1", None])
def test_what_is_no_number_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be a number, got"):
        Gaussian(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [1e39, 1e-46])
@pytest.mark.parametrize("law", [Gaussian, Uniform, Laplace, Splitting])
def test_scales_that_float32_cannot_draw_with_are_refused(law: type, given: float) -> None:
    with pytest.raises(ValueError, match=r"must be from 1e-30 to 1e\+30"):
        law(given)


def test_deterministic_splitting_refuses_levels_beyond_the_halves_of_float32() -> None:
    noise = Splitting(half_width=1.5, levels=1, deterministic=True)
    smoothed = SmoothedClassifier(
        lambda x: (x[:, 0] > 4).long().numpy(), noise, 2, input_shape=(1,)
    )
    for x in (2.0**19 + 1, 8_388_611.0, -8_388_612.0):
        with pytest.raises(ValueError, match="must be at most 524288 levels in size"):
            smoothed.certify(torch.tensor([x]), norm="l1")
        with pytest.raises(ValueError, match="must be at most 524288 levels in size"):
            noise.outcomes(torch.tensor([[x]]), 0)
    with pytest.raises(ValueError, match="levels must be a whole number"):
        Splitting(half_width=1.5, levels=255.0, deterministic=True)  # type: ignore[arg-type]
    assert 0 <= float(noise.outcomes(torch.tensor([[1.0]]), 0)) <= 1
