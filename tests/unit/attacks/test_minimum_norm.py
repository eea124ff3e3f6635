from __future__ import annotations

import pytest
import torch

from radii.attacks import DDN, FGSM, PGDL1, PGDL2, MinimumNorm, PGDLinf


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def sphere(x):
    """Wrong for label 0 outside the unit ball, on each axis at distance 1 from the origin."""
    score = 4 * (x**2).flatten(1).sum(1) - 4
    return torch.stack([-score, score], dim=1)


def test_each_input_gets_a_radius_of_its_own():
    x = torch.tensor([[0.1, 0.0], [0.5, 0.0], [0.9, 0.0], [1.5, 0.0]], dtype=torch.float64)
    y = torch.zeros(4, dtype=torch.int64)
    found = MinimumNorm(PGDL2(epsilon=1.0)).search(sphere, x, y, generator=start())
    length = (found.x - x).norm(dim=1)
    torch.testing.assert_close(
        length, torch.tensor([0.9, 0.5, 0.1, 0.0], dtype=torch.float64), atol=1 / 512, rtol=0
    )
    assert sphere(found.x).argmax(1).tolist() == [1, 1, 1, 1]
    assert found.queries.tolist() == [1 + 10 * 11] * 4  # a forward pass after each search


@pytest.mark.parametrize("attack", [PGDL1(1.0), PGDLinf(1.0), FGSM(1.0), PGDL2(1.0, restarts=2)])
def test_more_searches_come_nearer(attack):
    x = torch.tensor([[0.3, 0.2]], dtype=torch.float64)
    y = torch.zeros(1, dtype=torch.int64)
    order = {"l1": 1, "l2": 2, "linf": float("inf")}[attack.norm]
    lengths = []
    for searches in (1, 3, 6, 12):
        found = MinimumNorm(attack, searches).perturb(sphere, x, y, generator=start())
        assert int(sphere(found).argmax(1)) == 1
        lengths.append(float(torch.linalg.vector_norm((found - x).flatten(), order)))
    assert sorted(lengths, reverse=True) == lengths
    # In linf along the diagonal: (0.3 + t)^2 + (0.2 + t)^2 = 1.
    if attack.norm == "linf":
        t = (-0.5 + (0.25 + 2 * 0.87) ** 0.5) / 2
        assert t <= lengths[-1] <= t + 1 / 2**10


def test_the_norm_counts_and_not_the_radius():
    # The attack may stop short of the boundary of its ball: with a step of 0.2 it ends at 0.6.
    def plane(x):
        return torch.stack([0.5 - x[:, 0], x[:, 0] - 0.5], dim=1)

    x, y = torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64)
    attack = MinimumNorm(PGDL2(epsilon=100.0, steps=3, step=0.2), searches=1)
    found = attack.perturb(plane, x, y, generator=start())
    assert float(found) == pytest.approx(0.6)


def test_where_nothing_is_found_the_last_perturbation_is_returned():
    x, y = torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)
    x[0, 0] = 0.1
    found = MinimumNorm(PGDL2(epsilon=0.5), searches=4).perturb(sphere, x, y, generator=start())
    assert int(sphere(found).argmax(1)) == 0
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.0]]))


def test_bounds_and_norm_are_those_of_the_attack():
    attack = MinimumNorm(PGDLinf(epsilon=0.5, low=0.0, high=1.0))
    assert (attack.norm, attack.low, attack.high, attack.epsilon) == ("linf", 0.0, 1.0, 0.5)
    assert attack.minimal
    assert attack.needs == "gradients"
    assert attack.scaled(0.5) == MinimumNorm(PGDLinf(epsilon=0.25, low=0.0, high=1.0))


def test_only_attacks_on_a_ball_are_taken():
    for attack in (DDN(), MinimumNorm(PGDL2(1.0))):
        with pytest.raises(ValueError, match=r"must search a ball by gradients.*fgsm, pgd_l1"):
            MinimumNorm(attack)
    with pytest.raises(ValueError, match="searches must be at least 1, got 0"):
        MinimumNorm(PGDL2(1.0), searches=0)
