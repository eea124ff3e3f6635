from __future__ import annotations

import math

import pytest
import torch

from radii.attacks import PGDL2, PGDLinf


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def quadratic(x):
    """Its cross entropy for label 0 is steep where the first coordinate is small."""
    score = (x**2).sum(1) - x[:, 0]
    return torch.stack([score, -score], dim=1)


def rows(count, dim):
    return 0.1 * torch.randn(count, dim, generator=start(1), dtype=torch.float64)


def by_hand(x, y, epsilon, steps, step, low, high):
    """Projected gradient ascent in l2 for one input after another, as the paper writes it."""
    found = []
    for x0, label in zip(x, y, strict=True):
        z = x0.clone()
        for _ in range(steps):
            leaf = z.clone().requires_grad_()
            loss = -torch.log_softmax(quadratic(leaf[None]), dim=1)[0, label]
            loss.backward()
            z = z + step * leaf.grad / leaf.grad.norm()
            z = z.clamp(low, high)
            if (z - x0).norm() > epsilon:
                z = x0 + epsilon * (z - x0) / (z - x0).norm()
        found.append(z)
    return torch.stack(found)


@pytest.mark.parametrize("bounds", [(None, None), (-0.2, 0.3)])
@pytest.mark.parametrize("step", [None, 0.03])
def test_l2_follows_the_paper(bounds, step):
    low, high = bounds
    x = rows(6, 4).clamp(-0.2, 0.3)
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    attack = PGDL2(epsilon=0.25, steps=7, step=step, low=low, high=high)
    expected = by_hand(
        x,
        y,
        0.25,
        7,
        step or 2 * 0.25 / 7,
        -math.inf if low is None else low,
        math.inf if high is None else high,
    )
    torch.testing.assert_close(attack.perturb(quadratic, x, y, generator=start()), expected)


@pytest.mark.parametrize(("attack", "length"), [(PGDL2, 2.0), (PGDLinf, 2.5)])
def test_the_default_step_is_a_multiple_of_epsilon_over_steps(attack, length):
    def plane(x):
        return torch.stack([x[:, 0], -x[:, 0]], dim=1)

    seen = []

    def model(x):
        seen.append(x.detach())
        return plane(x)

    x, y = torch.zeros(1, 3), torch.tensor([0])
    attack(epsilon=0.6, steps=6).perturb(model, x, y, generator=start())
    assert len(seen) == 6
    assert float(seen[0].abs().max()) == 0
    assert float(seen[1].abs().max()) == pytest.approx(length * 0.6 / 6)


def test_a_start_in_the_l2_ball_is_uniform():
    # With no step worth mentioning the start is returned. In d dimensions the share of the volume
    # within r epsilon is r^d, so that norm^d is uniform.
    count, dim = 20_000, 3
    x = torch.zeros(count, dim)
    attack = PGDL2(epsilon=2.0, steps=1, step=1e-9, random_start=True)
    found = attack.perturb(quadratic, x, torch.zeros(count, dtype=torch.int64), generator=start())
    volume = (found.norm(dim=1) / 2.0) ** dim
    # Dvoretzky-Kiefer-Wolfowitz: larger with probability below 1e-9.
    distance = (volume.sort().values - torch.arange(count) / count).abs().max()
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))
    assert float(found.mean(0).abs().max()) < 6 * 2.0 / math.sqrt(5 * count)


def test_a_start_in_the_linf_ball_is_uniform():
    count = 20_000
    x = torch.ones(count, 1)
    attack = PGDLinf(epsilon=0.5, steps=1, step=1e-9, random_start=True)
    found = attack.perturb(quadratic, x, torch.zeros(count, dtype=torch.int64), generator=start())
    distance = ((found[:, 0] - 0.5).sort().values - torch.arange(count) / count).abs().max()
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))


def test_a_step_that_is_no_number_is_refused():
    for step in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="step must be positive and finite"):
            PGDL2(epsilon=1.0, step=step)


def test_scaling_scales_a_step_that_was_given():
    assert PGDL2(1.0, step=0.5).scaled(0.1) == PGDL2(0.1, step=0.05)
    assert PGDLinf(1.0).scaled(0.1) == PGDLinf(0.1)


def test_a_model_with_a_loss_of_its_own_is_taken_at_its_word():
    class Model:
        def attack_loss(self, scores, y):
            return -scores.gather(1, y[:, None]).squeeze(1)

        def __call__(self, x):
            # The log-probability of class 0 falls along the first coordinate; the other one falls
            # faster along the second, which only a softmax would make a gain for class 0.
            return torch.stack([-x[:, 0], -5 * x[:, 1]], dim=1)

    x, y = torch.zeros(1, 2), torch.tensor([0])
    found = PGDL2(epsilon=1.0).perturb(Model(), x, y, generator=start())
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]]))
    ordinary = PGDL2(epsilon=1.0).perturb(lambda x: Model()(x), x, y, generator=start())
    assert float(ordinary[0, 1]) < -0.5
