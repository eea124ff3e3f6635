from __future__ import annotations

import pytest
import torch

from radii.training import OPTIMISERS, SGD, AdamW


def stepped(optimiser, steps=3):
    """A weight after some steps with gradients 1, 2, 3, ..., at the learning rate 0.1."""
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    made = optimiser.over([weight], 0.1)
    for step in range(steps):
        weight.grad = torch.tensor([step + 1.0], dtype=torch.float64)
        made.step()
    return float(weight.detach())


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_its_formula(nesterov):
    weight, velocity = 1.0, 0.0
    for step in range(3):
        gradient = step + 1.0 + 0.01 * weight
        velocity = gradient if step == 0 else 0.9 * velocity + gradient
        weight -= 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    assert stepped(SGD(0.9, 0.01, nesterov)) == pytest.approx(weight, rel=1e-12)


def test_adamw_follows_its_formula():
    # Loshchilov and Hutter 2019, Algorithm 2, with lr for both the step and the decay
    weight, mean, square = 1.0, 0.0, 0.0
    for step in range(1, 4):
        gradient = float(step)
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.9 * square + 0.1 * gradient**2
        moved = (mean / (1 - 0.8**step)) / ((square / (1 - 0.9**step)) ** 0.5 + 1e-6)
        weight -= 0.1 * (moved + 0.5 * weight)
    found = stepped(AdamW(weight_decay=0.5, beta1=0.8, beta2=0.9, epsilon=1e-6))
    assert found == pytest.approx(weight, rel=1e-12)


def test_the_default_is_that_of_the_papers():
    assert OPTIMISERS.build("sgd") == SGD(momentum=0.9, weight_decay=1e-4, nesterov=False)


@pytest.mark.parametrize("name", OPTIMISERS.names())
def test_examples_lower_a_loss(name):
    for example in OPTIMISERS[name].examples:
        optimiser = OPTIMISERS.build({"name": name, **example})
        assert OPTIMISERS.build(OPTIMISERS.spec_of(optimiser)) == optimiser
        weight = torch.nn.Parameter(torch.tensor([3.0]))
        made = optimiser.over([weight], 0.05)
        for _ in range(100):
            made.zero_grad()
            (weight**2).sum().backward()
            made.step()
        assert abs(float(weight.detach())) < 0.5


@pytest.mark.parametrize(
    ("optimiser", "options"),
    [
        (SGD, {"momentum": 1.0}),
        (SGD, {"momentum": 0.0, "nesterov": True}),
        (SGD, {"weight_decay": -1.0}),
        (AdamW, {"weight_decay": float("inf")}),
        (AdamW, {"beta1": 1.0}),
        (AdamW, {"beta2": -0.1}),
        (AdamW, {"epsilon": 0.0}),
    ],
)
def test_what_is_no_optimiser_is_refused(optimiser, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        optimiser(**options)
