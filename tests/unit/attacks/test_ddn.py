from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from radii.attacks import DDN


def network():
    module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(3)
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def by_hand(model, x, label, steps, init_norm, gamma, epsilon):
    """Algorithm 1 of Rony et al. for one input; the step goes from 1 to 0.01 by a cosine."""
    delta, length, best, found = torch.zeros_like(x), init_norm, None, None
    for k in range(steps):
        leaf = (x + delta).requires_grad_()
        scores = model(leaf[None])[0]
        (g,) = torch.autograd.grad(-torch.log_softmax(scores, 0)[label], [leaf])
        wrong = int(scores.argmax()) != label
        if wrong and (best is None or delta.norm() < best):
            best, found = delta.norm(), delta
        alpha = 0.01 + 0.99 * (1 + math.cos(math.pi * k / steps)) / 2
        delta = delta + alpha * g / g.norm()
        length = length * (1 - gamma) if wrong else length * (1 + gamma)
        delta = length * delta / delta.norm()
    found = delta if found is None else found
    if epsilon is not None and found.norm() > epsilon:
        found = epsilon * found / found.norm()
    return x + found


@pytest.mark.parametrize("epsilon", [None, 0.15])
def test_it_follows_the_paper(epsilon):
    model = network()
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = model(x).argmax(1)
    y[0] = (y[0] + 1) % 3  # one is wrong from the start
    attack = DDN(steps=25, init_norm=0.3, gamma=0.1, epsilon=epsilon)
    found = attack.perturb(model, x, y, generator=torch.Generator())
    expected = torch.stack(
        [by_hand(model, x[i], int(y[i]), 25, 0.3, 0.1, epsilon) for i in range(10)]
    )
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[0], x[0])


def test_where_nothing_is_found_the_last_attempt_is_returned():
    def plane(x):
        return torch.stack([x[:, 0], -x[:, 0]], dim=1)

    x, y = torch.tensor([[50.0, 0.0]]), torch.tensor([0])
    found = DDN(steps=3, init_norm=1.0, gamma=0.1).perturb(plane, x, y, generator=torch.Generator())
    # The gradient vanishes in float32 at a margin of 100: the input stays where it is.
    assert torch.equal(found, x)
    x = torch.tensor([[5.0, 0.0]])
    found = DDN(steps=3, init_norm=1.0, gamma=0.1).perturb(plane, x, y, generator=torch.Generator())
    torch.testing.assert_close(found, torch.tensor([[5 - 1.1**3, 0.0]]))


@pytest.mark.parametrize("gamma", [0.0, 1.0, math.nan])
def test_a_gamma_outside_its_interval_is_refused(gamma):
    with pytest.raises(ValueError, match=r"gamma must be in \(0, 1\)"):
        DDN(gamma=gamma)


def test_an_init_norm_that_is_no_length_is_refused():
    with pytest.raises(ValueError, match="init_norm must be positive and finite, got 0"):
        DDN(init_norm=0)


def test_scaling_scales_the_ball_and_the_first_norm():
    assert DDN(epsilon=2.0, init_norm=1.0).scaled(0.25) == DDN(epsilon=0.5, init_norm=0.25)


def test_one_start_gives_the_bits_of_a_plain_loop():
    model = network().float()
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    for low, high in ((None, None), (-4.0, 4.0)):
        delta, best = torch.zeros_like(x), torch.zeros_like(x)
        length = torch.full((40, 1), 0.3)
        smallest = torch.full((40, 1), math.inf)
        for k in range(20):
            leaf = (x + delta).requires_grad_()
            scores = model(leaf)
            loss = nn.functional.cross_entropy(scores, y, reduction="none").sum()
            (gradient,) = torch.autograd.grad(loss, [leaf])
            wrong = (scores.argmax(1) != y)[:, None]
            norms = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
            better = wrong & (norms < smallest)
            best, smallest = torch.where(better, delta, best), torch.where(better, norms, smallest)
            step = 0.01 + 0.99 * (1 + math.cos(math.pi * k / 20)) / 2
            length = torch.where(wrong, length * (1 - 0.05), length * (1 + 0.05))
            moved = delta + step * unit(gradient)
            delta = length * unit(moved)
            if low is not None:
                delta = (x + delta).clamp(low, high) - x
        expected = x + torch.where(smallest.isfinite(), best, delta)
        attack = DDN(steps=20, init_norm=0.3, low=low, high=high)
        found = attack.search(model, x, y, generator=torch.Generator())
        assert torch.equal(found.x, expected)
        assert found.queries.tolist() == [20] * 40


def unit(rows):
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(norms > 0, norms, 1.0)


def test_restarts_keep_the_smallest():
    model = network()
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = model(x).argmax(1)
    one = DDN(steps=30, init_norm=0.5, random_start=True)
    generator = torch.Generator().manual_seed(1)
    ends = [one.perturb(model, x, y, generator=generator) for _ in range(4)]
    lengths = torch.stack(
        [torch.where(model(end).argmax(1) != y, (end - x).norm(dim=1), math.inf) for end in ends]
    )
    attack = DDN(steps=30, init_norm=0.5, random_start=True, restarts=4)
    found = attack.search(model, x, y, generator=torch.Generator().manual_seed(1))
    best = lengths.amin(0)
    reached = best.isfinite()
    assert int(reached.sum()) > 30
    assert len(lengths.argmin(0).unique()) > 1
    torch.testing.assert_close((found.x - x).norm(dim=1)[reached], best[reached])
    assert found.queries.tolist() == [4 * 30 + 1] * 40


def test_an_input_that_is_wrong_stays_with_a_random_start_too():
    model = network()
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (model(x).argmax(1) + 1) % 3
    attack = DDN(steps=5, random_start=True, restarts=2)
    assert torch.equal(attack.perturb(model, x, y, generator=torch.Generator()), x)
