from __future__ import annotations

import pytest
import torch
from torch import nn

from radii.models import DenoisedClassifier
from radii.noise import Gaussian
from radii.objectives import OBJECTIVES
from radii.smoothing import SmoothedClassifier

CASES = [
    (name, dict(example)) for name in OBJECTIVES.names() for example in OBJECTIVES[name].examples
]


def linear(seed: int) -> nn.Module:
    base = nn.Linear(2, 2)
    with torch.no_grad():
        base.weight.normal_(generator=torch.Generator().manual_seed(seed))
        base.bias.zero_()
    return base


def base_for(objective, seed: int) -> nn.Module:
    """Linear; where the objective trains a denoiser, before a classifier that tells the blobs."""
    module = linear(seed)
    if not objective.denoises:
        return module
    behind = linear(0).requires_grad_(False)
    behind.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    return DenoisedClassifier(module, behind.eval())


def blobs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two Gaussian blobs, 4 standard deviations apart."""
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(count) % 2
    x = 0.5 * torch.randn(count, 2, generator=generator)
    x[:, 0] += 2.0 * y - 1.0
    return x, y


@pytest.mark.parametrize(("name", "example"), CASES)
def test_gradients_are_finite_and_reach_every_parameter(name, example):
    objective = OBJECTIVES.build({"name": name, **example})
    base = base_for(objective, 0)
    x, y = blobs(64)
    generator = torch.Generator().manual_seed(0)
    loss = objective.loss(SmoothedClassifier(base, Gaussian(0.25), 2), x, y, generator=generator)
    assert loss.shape == ()
    loss.backward()
    for parameter in base.parameters():
        if not parameter.requires_grad:  # of the classifier behind a denoiser
            continue
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "example"), CASES)
def test_the_loss_halves_on_two_blobs(name, example):
    objective = OBJECTIVES.build({"name": name, **example})
    base = base_for(objective, 3)
    smoothed = SmoothedClassifier(base, Gaussian(0.25), 2)
    x, y = blobs(512)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.SGD(base.parameters(), lr=0.5)
    losses = []
    for _ in range(60):
        loss = objective.loss(smoothed, x, y, generator=generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(("name", "example"), CASES)
def test_the_loss_depends_on_the_generator_alone(name, example):
    objective = OBJECTIVES.build({"name": name, **example})
    smoothed = SmoothedClassifier(base_for(objective, 0), Gaussian(0.25), 2)
    x, y = blobs(32)
    before = torch.random.get_rng_state()
    first, again, other = (
        float(
            objective.loss(smoothed, x, y, generator=torch.Generator().manual_seed(seed)).detach()
        )
        for seed in (5, 5, 6)
    )
    assert first == again
    assert (first != other) == objective.random
    assert torch.equal(before, torch.random.get_rng_state())
