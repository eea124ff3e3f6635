from __future__ import annotations

import pytest
import torch
from torch import nn

from radii.noise import Gaussian
from radii.objectives import OBJECTIVES
from radii.objectives._ascent import searching
from radii.smoothing import SmoothedClassifier

SEARCHES = {
    "smoothadv": "smoothadv:draws=2,warmup=0,attack=pgd_l2(epsilon=0.5,steps=3)",
    "smoothadv by ddn": "smoothadv:draws=2,warmup=0,attack=ddn(epsilon=0.5,steps=3)",
    "smoothmix": "smoothmix:draws=2,strength=5,steps=3,warmup=0",
    "catrs": "catrs:draws=2,strength=1,epsilon=0.5,steps=3",
    "trades": "trades:epsilon=0.5,steps=3",
}


class Watched(nn.Module):
    """Notes of each backward pass whether it is asked for the gradient of the weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3))
        self.asked: list[bool] = []
        asked = self.asked

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, weight):
                ctx.save_for_backward(x, weight)
                return x @ weight

            @staticmethod
            def backward(ctx, gradient):
                x, weight = ctx.saved_tensors
                asked.append(ctx.needs_input_grad[1])
                return gradient @ weight.T, x.T @ gradient if ctx.needs_input_grad[1] else None

        self.apply_to = Function.apply

    def forward(self, x):
        return self.apply_to(x, self.weight)


@pytest.mark.parametrize("name", SEARCHES)
def test_gradients_of_weights_are_computed_for_the_step_alone(name):
    base = Watched()
    module = nn.Sequential(base, nn.Linear(3, 3))
    module[1].bias.requires_grad_(False)
    x = 5 * torch.eye(3)
    smoothed = SmoothedClassifier(module, Gaussian(0.1), 3)
    with torch.no_grad():
        module[1].weight.copy_(torch.eye(3))
        module[1].bias.zero_()
    objective = OBJECTIVES.build(SEARCHES[name])
    loss = objective.loss(smoothed, x, torch.arange(3), generator=torch.Generator())
    assert base.asked == [False] * 3  # steps
    loss.backward()
    assert set(base.asked[3:]) == {True}
    assert base.weight.grad is not None
    assert [each.requires_grad for each in module.parameters()] == [True, True, False]


def test_a_search_that_fails_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3).eval())
    module[0].bias.requires_grad_(False)
    seen = []

    def search():
        with searching(module, torch.zeros(1, 3)):
            seen.extend(each.requires_grad for each in module.parameters())
            seen.extend(each.training for each in module.modules())
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        search()
    assert not any(seen)
    assert [each.requires_grad for each in module.parameters()] == [True, False, True, True]
    assert [each.training for each in module.modules()] == [True, True, False]


@pytest.mark.parametrize("name", SEARCHES)
def test_batch_norm_computes_for_the_step_alone(name):
    norm, seen = nn.BatchNorm2d(4), []
    module = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    compute = norm._check_input_dim
    norm._check_input_dim = lambda x: (seen.append((norm.training, len(x))), compute(x))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    smoothed = SmoothedClassifier(module.train(), Gaussian(0.1), 3)
    with torch.no_grad():
        y = module.eval()(x).argmax(1)  # so that catrs and smoothmix search for all of them
    module.train()
    seen.clear()
    OBJECTIVES.build(SEARCHES[name]).loss(smoothed, x, y, generator=torch.Generator()).backward()
    tried = [rows for training, rows in seen if not training]
    assert tried == [1, 1]  # to see what belongs together, and what the scores are
    assert any(training for training, _ in seen)
    assert all(each.grad is not None for each in module.parameters())
