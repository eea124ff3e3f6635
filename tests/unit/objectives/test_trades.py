from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from radii.noise import Gaussian
from radii.objectives import Standard, Trades
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import divergence, normal_parameters, slope, softmax

X = torch.tensor([[0.5, -1.0], [2.0, 0.25], [-0.4, 0.9]], dtype=torch.float64)
Y = torch.tensor([2, 0, 1])


def net(seed: int = 0) -> nn.Module:
    base = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
    return normal_parameters(base.double(), seed)


def loss_of(objective, base, x=X, y=Y, seed=3):
    return objective.loss(
        SmoothedClassifier(base, Gaussian(1.0), 3),
        x,
        y,
        generator=torch.Generator().manual_seed(seed),
    )


def probabilities(base, row):
    return softmax(base(row[None])[0])


def plainly_perturbed(base, objective, x, seed):
    """Algorithm 1 of the paper, one input at a time, with the numbers of its code."""
    starts = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))
    factor = {"l2": 2.0, "linf": 2.5}[objective.norm]
    step = objective.step or factor * objective.epsilon / objective.steps
    found = []
    for row, start in zip(x, starts, strict=True):
        p = [each.detach() for each in probabilities(base, row)]
        near = row + 0.001 * start
        for _ in range(objective.steps):
            near = near.detach().requires_grad_()
            (g,) = torch.autograd.grad(divergence(p, probabilities(base, near)), [near])
            near = near.detach() + step * (g.sign() if objective.norm == "linf" else g / g.norm())
            if objective.low is not None:
                near = torch.clamp(near, objective.low, objective.high)
            delta = near - row
            if objective.norm == "linf":
                delta = torch.clamp(delta, -objective.epsilon, objective.epsilon)
            elif delta.norm() > objective.epsilon:
                delta = delta * objective.epsilon / delta.norm()
            near = row + delta
        found.append(near.detach())
    return found


def plain_loss(base, objective, x, y, near):
    total = 0.0
    for row, label, other in zip(x, y.tolist(), near, strict=True):
        p = probabilities(base, row)
        total = total - p[label].log()
        total = total + objective.strength * divergence(p, probabilities(base, other))
    return total / len(x)


CASES = [
    Trades(epsilon=0.3, strength=2.0, steps=4),
    Trades(epsilon=0.3, strength=6.0, norm="l2", steps=5),
    Trades(epsilon=0.5, strength=1.0, norm="l2", steps=3, step=0.4, low=-1.1, high=2.1),
    Trades(epsilon=0.5, strength=1.0, steps=3, step=0.1, low=-1.1, high=2.1),
]


@pytest.mark.parametrize("objective", CASES)
def test_value_and_gradient_are_those_of_a_plain_evaluation(objective):
    base = net()
    near = plainly_perturbed(base, objective, X, seed=3)
    expected = plain_loss(base, objective, X, Y, near)
    loss = loss_of(objective, base)
    assert abs(loss.item() - expected.item()) < 1e-10
    found = torch.autograd.grad(loss, list(base.parameters()))
    for parameter, gradient in zip(base.parameters(), found, strict=True):
        flat, expected_gradient = parameter.data.view(-1), gradient.reshape(-1)
        for index in range(len(flat)):  # the perturbed inputs stay what they are
            difference = slope(lambda: plain_loss(base, objective, X, Y, near), flat, index, h=1e-6)
            assert abs(difference - expected_gradient[index].item()) < 1e-7 * (1 + abs(difference))


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_the_search_ends_where_the_divergence_is_largest(norm, dual):
    """Of two linear scores it depends on their margin alone, so it is largest at an end of it."""
    base = nn.Linear(2, 2).double()
    near = Trades(epsilon=0.4, norm=norm, steps=20)._perturbed(base, X, torch.Generator())
    order = 2 if norm == "l2" else math.inf
    assert float(torch.linalg.vector_norm(near - X, ord=order, dim=1).max()) < 0.4 * (1 + 1e-9)
    row = base.weight[1] - base.weight[0]
    change = (near - X) @ row
    reach = 0.4 * torch.linalg.vector_norm(row, ord=dual)
    torch.testing.assert_close(change.abs(), reach.expand(3), rtol=1e-3, atol=0)


def test_without_strength_it_is_the_standard_objective():
    base = net()
    loss = loss_of(Trades(epsilon=0.3, strength=0.0), base)
    torch.testing.assert_close(loss, loss_of(Standard(), base))


def test_the_divergence_is_positive():
    base = net(1)
    assert loss_of(Trades(epsilon=0.3), base).item() > loss_of(Standard(), base).item()


def test_nothing_is_left_in_the_callers_objects():
    base = net()
    x = X.clone()
    loss_of(Trades(epsilon=0.3, steps=2), base, x=x)
    assert all(parameter.grad is None for parameter in base.parameters())
    assert all(parameter.requires_grad for parameter in base.parameters())
    assert not x.requires_grad
    assert base.training
    assert torch.equal(x, X)


def test_the_search_leaves_batch_norm_alone():
    norm = nn.BatchNorm1d(2).double()
    base = nn.Sequential(norm, net())
    loss_of(Trades(epsilon=0.3, steps=4), base)
    assert norm.num_batches_tracked == 1
    assert all(part.training for part in base.modules())


def test_works_in_bfloat16():
    base = net().float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(Trades(epsilon=0.3, steps=2), base, x=X.float())
    assert loss.dtype == torch.float32
    exact = loss_of(Trades(epsilon=0.3, steps=2), base, x=X.float())
    assert loss.item() == pytest.approx(exact.item(), rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0.0"),
        ({"epsilon": 1.0, "step": -1.0}, "step must be positive and finite, got -1.0"),
        ({"epsilon": 1.0, "steps": 0}, "steps must be at least 1, got 0"),
        ({"epsilon": 1.0, "strength": -1.0}, "strength must be at least 0, got -1.0"),
        ({"epsilon": 1.0, "norm": "l1"}, "norm must be l2 or linf, got 'l1'"),
        ({"epsilon": 1.0, "low": 0.0}, "low and high must be given together"),
    ],
)
def test_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Trades(**arguments)


def test_refuses_inputs_outside_the_bounds():
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got values from -1 to 2"):
        loss_of(Trades(epsilon=0.1, low=0.0, high=1.0), net())
