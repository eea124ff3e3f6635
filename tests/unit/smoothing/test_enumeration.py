"""Noise that is enumerated: exact probabilities, no alpha, no seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from radii.bounds import Exact
from radii.errors import PlanError
from radii.noise import Gaussian, Splitting
from radii.records import Counts
from radii.smoothing import SamplingPlan, SmoothedClassifier

LEVELS = 20
NOISE = Splitting(half_width=0.5, levels=LEVELS, deterministic=True)


def bright(x: Tensor) -> Tensor:
    """Class 2 where the mean is high, 1 in the middle, else 0."""
    return (x.mean(1) > 0.55).long() + (x.mean(1) > 0.5).long()


def smoothed(**options: object) -> SmoothedClassifier:
    made = SmoothedClassifier(bright, NOISE, num_classes=3)
    return dataclasses.replace(made, **options)  # type: ignore[arg-type]


def on_grid(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(LEVELS + 1, (rows, 4), generator=generator) / LEVELS


def test_votes_are_those_of_every_outcome_once() -> None:
    x = on_grid(5)
    results = smoothed().certify(x, norm="l1")
    assert isinstance(results, list)
    for one, result in zip(x, results, strict=True):
        labels = bright(NOISE.outcomes(one.expand(LEVELS, 4), first=0))
        assert isinstance(result.estimation, Counts)
        assert result.estimation.votes.tolist() == torch.bincount(labels, minlength=3).tolist()
        assert result.selection is None
        first, second = sorted(result.estimation.votes.tolist(), reverse=True)[:2]
        assert result.radius == pytest.approx(0.5 * (first - second) / LEVELS, rel=1e-9)
        assert result.radius <= 0.5 * (first - second) / LEVELS
        assert (result.prediction is None) == (first == second)


@pytest.mark.parametrize("block", [3, 7, 100])
def test_the_same_whatever_the_seed_the_block_and_the_plan(block: int) -> None:
    x = on_grid(3)
    plans = [SamplingPlan(), SamplingPlan(n=50, n0=7, alpha=0.3, seed=9, block=block)]
    a, b = (smoothed().certify(x, plan, norm="l1") for plan in plans)
    assert isinstance(a, list)
    assert isinstance(b, list)
    assert [(r.prediction, r.radius) for r in a] == [(r.prediction, r.radius) for r in b]


def test_no_grid_point_inside_the_radius_is_answered_otherwise() -> None:
    x = on_grid(4, seed=1)
    results = smoothed().certify(x, norm="l1")
    assert isinstance(results, list)
    generator = torch.Generator().manual_seed(2)
    tried = 0
    for one, result in zip(x, results, strict=True):
        steps = torch.randint(-4, 5, (3_000, 4), generator=generator)
        near = ((one * LEVELS).round() + steps).clamp(0, LEVELS) / LEVELS
        inside = near[(near - one).abs().sum(1) < result.radius]
        if len(inside):
            there = smoothed().predict(inside[:100])
            assert isinstance(there, list)
            assert {p.prediction for p in there} == {result.prediction}
            tried += len(there)
    assert tried > 20


def test_prediction_is_exact() -> None:
    x = on_grid(6)
    certified, predicted = smoothed().certify(x, norm="l1"), smoothed().predict(x, n=1)
    assert isinstance(certified, list)
    assert isinstance(predicted, list)
    assert [r.prediction for r in certified] == [p.prediction for p in predicted]
    assert {p.p_value for p in predicted} <= {0.0, 1.0}


def test_a_plan_becomes_exact_under_noise_that_is_enumerated_only() -> None:
    plan = SamplingPlan(seed=3, block=50)
    assert plan.under(Gaussian(0.5)) is plan
    exact = plan.under(NOISE)
    assert exact == SamplingPlan(n0=0, n=LEVELS, alpha=0, bound=Exact(), block=50, seed=0)
    assert exact.under(NOISE) == exact
    with pytest.raises(PlanError, match="needs noise that is enumerated"):
        exact.under(Gaussian(0.5))


def test_exact_plans_are_about_nothing_random() -> None:
    with pytest.raises(ValueError, match="n0 and alpha must be 0"):
        SamplingPlan(bound=Exact())
    with pytest.raises(ValueError, match="alpha must be in"):
        SamplingPlan(alpha=0)


def test_inputs_off_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 1/20"):
        smoothed().certify(torch.full((4,), 0.33), norm="l1")


def test_a_tie_abstains() -> None:
    def half(x: Tensor) -> Tensor:
        return (x[:, 0] > 0.5).long()

    noise = Splitting(half_width=0.5, levels=2, deterministic=True)
    result = SmoothedClassifier(half, noise, num_classes=2).certify(np.full(1, 0.5), norm="l1")
    assert not isinstance(result, list)
    assert isinstance(result.estimation, Counts)
    assert result.estimation.votes.tolist() == [1, 1]
    assert (result.prediction, result.radius) == (None, 0)
