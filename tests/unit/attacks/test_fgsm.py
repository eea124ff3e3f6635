from __future__ import annotations

import pytest
import torch
from torch import nn

from radii.attacks import FGSM


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=start(3))
    return module


def gradient_of(model, x, y):
    leaf = x.clone().requires_grad_()
    nn.functional.cross_entropy(model(leaf), y, reduction="sum").backward()
    return leaf.grad


@pytest.mark.parametrize("bounds", [(None, None), (-1.0, 1.0)])
def test_it_is_one_step_along_the_sign(bounds):
    low, high = bounds
    model, x = network(), torch.rand(10, 4, generator=start())
    y = torch.arange(10) % 3
    found = FGSM(0.3, low=low, high=high).search(model, x, y, generator=start())
    expected = x + 0.3 * gradient_of(model, x, y).sign()
    torch.testing.assert_close(found.x, expected if low is None else expected.clamp(low, high))
    assert found.queries.tolist() == [1] * 10


def test_from_a_random_start_the_step_is_longer_than_the_ball():
    model, x, y = network(), torch.rand(10, 4, generator=start()), torch.arange(10) % 3
    found = FGSM(0.3, random_start=True).perturb(model, x, y, generator=start(5))
    delta = torch.empty_like(x).uniform_(-0.3, 0.3, generator=start(5))
    moved = delta + 1.25 * 0.3 * gradient_of(model, x + delta, y).sign()
    torch.testing.assert_close(found, x + moved.clamp(-0.3, 0.3))


def test_restarts_never_make_it_weaker():
    model, x, y = network(), torch.rand(50, 4, generator=start()), torch.arange(50) % 3

    def losses(attack):
        found = attack.perturb(model, x, y, generator=start(5))
        scores = model(found).detach()
        return scores.argmax(1) != y, nn.functional.cross_entropy(scores, y, reduction="none")

    wrong, loss = losses(FGSM(0.5, random_start=True))
    wrong_of_ten, loss_of_ten = losses(FGSM(0.5, random_start=True, restarts=10))
    assert bool((wrong_of_ten | ~wrong).all())
    assert bool((loss_of_ten >= loss - 1e-6)[wrong == wrong_of_ten].all())
    assert float(loss_of_ten.mean()) > float(loss.mean())


def test_scaling_scales_a_step_that_was_given():
    assert FGSM(1.0, step=0.5).scaled(0.1) == FGSM(0.1, step=0.05)
    assert FGSM(1.0).scaled(0.1) == FGSM(0.1)


def test_a_step_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="step must be positive and finite, got 0"):
        FGSM(1.0, step=0.0)
