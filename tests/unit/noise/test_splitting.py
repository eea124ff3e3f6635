"""What is particular to splitting noise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from radii.noise import NOISES, Generators, Splitting, Stream


def generator() -> torch.Generator:
    return Generators(torch.device("cpu"))(Stream(0, 0, "estimation", 0))


def middle_of_piece(x: float, offset: float, width: float) -> float:
    """The definition: cuts at `offset + k width`, the piece that holds x, its part in [0, 1]."""
    k = math.floor((x - offset) / width)
    low, high = offset + k * width, offset + (k + 1) * width
    return (max(low, 0) + min(high, 1)) / 2


@pytest.mark.parametrize("half_width", [0.1, 0.5, 2.0])
def test_random_pieces_are_those_of_the_definition(half_width: float) -> None:
    x = torch.linspace(0, 1, 7)
    noisy = Splitting(half_width).apply(x.expand(2_000, 7), generator=generator())
    offset = torch.rand(2_000, 7, generator=generator()) * (2 * half_width)
    expected = [
        [middle_of_piece(float(a), float(s), 2 * half_width) for a, s in zip(x, row, strict=True)]
        for row in offset
    ]
    close = (noisy.double() - torch.tensor(expected)).abs() < 1e-5
    assert float(close.double().mean()) > 0.999  # rounding moves a cut across x now and then


@pytest.mark.parametrize("half_width", [0.3, 0.75, 3.0])
def test_a_shift_changes_the_piece_as_often_as_the_theorem_says(half_width: float) -> None:
    noise, rows = Splitting(half_width), 200_000
    for shift in (0.1, 0.4):
        a = noise.apply(torch.full((rows, 1), 0.2), generator=generator())
        b = noise.apply(torch.full((rows, 1), 0.2 + shift), generator=generator())
        changed = float((a != b).double().mean())
        p = min(shift / (2 * half_width), 1)
        assert changed == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / rows) + 1e-5)


@pytest.mark.parametrize(("half_width", "levels"), [(0.5, 255), (1 / 6, 3), (2.0, 4), (1.5, 1)])
def test_outcomes_are_pieces_of_a_grid_of_cuts(half_width: float, levels: int) -> None:
    noise = Splitting(half_width, levels=levels, deterministic=True)
    count = noise.num_outcomes
    assert count == round(2 * half_width * levels)
    x = torch.arange(levels + 1, dtype=torch.float32) / levels
    shown = noise.outcomes(x.expand(count, -1), first=0)
    for i, column in enumerate(shown.T.double()):
        cuts = [(j + 0.5) / levels for j in range(count)]
        expected = sorted(middle_of_piece(i / levels, cut, 2 * half_width) for cut in cuts)
        np.testing.assert_allclose(column.sort().values.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("half_width", "levels"), [(0.5, 4), (1.0, 3), (0.25, 6)])
def test_probabilities_are_lipschitz_in_l1_on_the_grid(half_width: float, levels: int) -> None:
    # Any set of outcomes: the total variation between two inputs is at most the l1 distance over
    # the width, however the offsets of the coordinates hang together.
    noise = Splitting(half_width, levels=levels, deterministic=True)
    count = noise.num_outcomes
    assert count is not None
    points = torch.cartesian_prod(*[torch.arange(levels + 1) / levels] * 2)
    shown = [noise.outcomes(point.expand(count, 2), first=0) for point in points]
    worst = 0.0
    for a, b in itertools.combinations(range(len(points)), 2):
        moved = float((shown[a] != shown[b]).any(1).double().mean())
        distance = float((points[a] - points[b]).abs().sum())
        assert moved <= distance / (2 * half_width) + 1e-6
        worst = max(worst, moved / (distance / (2 * half_width)))
    assert worst == pytest.approx(1)


def test_outcomes_do_not_depend_on_where_a_batch_starts() -> None:
    noise = Splitting(0.5, levels=10, deterministic=True)
    x = (torch.arange(6) / 10).reshape(1, 2, 3)
    whole = noise.outcomes(x.expand(10, 2, 3), first=0)
    parts = [noise.outcomes(x.expand(5, 2, 3), first=first) for first in (0, 5)]
    assert torch.equal(whole, torch.cat(parts))


def test_inputs_off_the_grid_are_refused() -> None:
    noise = Splitting(0.5, deterministic=True)
    noise.outcomes(torch.full((1, 2), 7 / 255), first=0)
    with pytest.raises(ValueError, match="multiples of 1/255"):
        noise.outcomes(torch.full((1, 2), 7.2 / 255), first=0)


def test_random_noise_has_outcomes_without_number() -> None:
    assert Splitting(0.5).num_outcomes is None
    with pytest.raises(NotImplementedError, match="without number"):
        Splitting(0.5).outcomes(torch.zeros(1, 2), first=0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("splitting:half_width=0", "half_width must be positive"),
        ("splitting:half_width=0.5,levels=10", "levels belongs to deterministic"),
        ("splitting:half_width=0.5,levels=0,deterministic=true", "levels must be a whole number"),
        ("splitting:half_width=0.3333,deterministic=true", "take 0.333333"),
        ("splitting:half_width=9000,deterministic=true", "must be at most"),
    ],
)
def test_wrong_parameters_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NOISES.build(spec)
