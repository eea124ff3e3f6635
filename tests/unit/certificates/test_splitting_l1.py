"""The l1 radii of splitting noise, against the total variation that they bound."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch

from radii.certificates import SplittingL1, SplittingL1Box, UniformL1, covering, find
from radii.errors import NotCoveredError
from radii.noise import Splitting, Uniform
from radii.records import ClassBounds
from radii.smoothing import SamplingPlan, SmoothedClassifier

PROBABILITIES = np.array([0.5 + 1e-9, 0.51, 0.6, 0.75, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12, 1.0])


def lost(delta: tuple[float, ...], width: float) -> float:
    """The most that independent random cuts can take from a class and give to another."""
    return 1 - math.prod(max(1 - abs(d) / width, 0) for d in delta)


def test_is_that_of_uniform_noise_of_the_same_width() -> None:
    bounds = ClassBounds.one_sided(PROBABILITIES)
    uniform = UniformL1(Uniform(0.7)).radius(bounds)
    assert np.array_equal(SplittingL1(Splitting(0.7)).radius(bounds), uniform)


def test_the_width_of_deterministic_noise_is_that_of_its_grid() -> None:
    noise = Splitting(1 / 3, deterministic=True)  # 170 levels, as 1/3 is not exactly
    radius = SplittingL1(noise).radius(ClassBounds(np.array(1.0), np.array(0.0)))
    assert 0.999999 * 85 / 255 < radius <= 85 / 255


def test_the_radius_of_deterministic_noise_is_about_its_grid_and_no_other() -> None:
    assert SplittingL1(Splitting(0.5)).domain is None
    whole = SplittingL1(Splitting(0.5, deterministic=True)).domain
    assert whole == "inputs whose coordinates are all multiples of 1/255"


@pytest.mark.parametrize("half_width", [0.2, 0.5, 0.6, 1.0, 4.0, 30.0])
def test_box_radius_is_where_the_lead_is_lost(half_width: float) -> None:
    noise = Splitting(half_width)
    bounds = ClassBounds.one_sided(PROBABILITIES)
    with mpmath.workdps(40):
        width = 2 * mpmath.mpf(half_width)
        for pA, pB, radius in zip(
            bounds.pA_lower, bounds.pB_upper, SplittingL1Box(noise).radius(bounds), strict=True
        ):
            whole = int(radius) if width > 1 else 0
            kept = (1 - 1 / width) ** whole * (1 - (mpmath.mpf(radius) - whole) / width)
            gone = 1 - kept
            gap = (mpmath.mpf(pA) - mpmath.mpf(pB)) / 2
            assert gone <= gap
            assert gone >= gap * (1 - mpmath.mpf(10) ** -11)


def test_no_point_of_the_box_within_the_radius_loses_the_lead() -> None:
    # All points of a grid of the cube in three dimensions, seen from a corner.
    noise = Splitting(0.9)
    grid = np.linspace(0, 1, 21)
    deltas = list(itertools.product(grid, repeat=3))
    for pA in (0.6, 0.8, 0.95):
        radius = float(SplittingL1Box(noise).radius(ClassBounds.one_sided(pA)))
        inside = [d for d in deltas if sum(d) < radius]
        assert all(2 * lost(d, 1.8) < 2 * pA - 1 + 1e-9 for d in inside)
        beyond = [d for d in deltas if radius < sum(d) <= 1.05 * radius + 0.05]
        assert any(2 * lost(d, 1.8) > 2 * pA - 1 for d in beyond)


def test_the_box_never_costs_and_pays_beyond_one() -> None:
    bounds = ClassBounds.one_sided(PROBABILITIES)
    for half_width in (0.3, 0.5, 1.0, 5.0):
        plain = SplittingL1(Splitting(half_width)).radius(bounds)
        box = SplittingL1Box(Splitting(half_width)).radius(bounds)
        assert np.all(box >= plain * (1 - 1e-11))
        assert np.all(box[plain > 1.01] > plain[plain > 1.01])


def test_the_box_does_not_cover_one_shared_offset() -> None:
    noise = Splitting(2.0, deterministic=True)
    assert list(covering(noise, "l1")) == ["splitting_l1"]
    with pytest.raises(NotCoveredError, match="splitting_l1"):
        find(noise, "l1", "splitting_l1_box")
    assert isinstance(find(Splitting(2.0), "l1"), SplittingL1)


def test_inputs_outside_the_box_are_refused() -> None:
    smoothed = SmoothedClassifier(lambda x: (x[:, 0] > 0.3).long(), Splitting(1.0), 2)
    plan = SamplingPlan(n=100, seed=1)

    def certify(x: list[float], name: str) -> float:
        return smoothed.certify(torch.tensor(x), plan, norm="l1", certificate=name).radius

    certify([0.0, 1.0], "splitting_l1_box")
    for x, said in (([0.5, 1.25], "1.25"), ([-0.25, 0.0], "-0.25")):
        certify(x, "splitting_l1")
        words = rf"input 0 must lie in \[0, 1\] for splitting_l1_box, got {said}; scale"
        with pytest.raises(ValueError, match=words):
            certify(x, "splitting_l1_box")
