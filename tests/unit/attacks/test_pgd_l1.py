from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize

from radii.attacks import PGDL1
from radii.attacks._l1_ball import into_l1_ball, uniform_in_l1_ball


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def nearest(delta, radius, low, high):
    """The point of ball and interval nearest to a vector, by a search for the multiplier."""

    def at(t):
        return np.clip(np.sign(delta) * np.maximum(np.abs(delta) - t, 0), low, high)

    if np.abs(at(0.0)).sum() <= radius:
        return at(0.0)
    t = brentq(lambda t: np.abs(at(t)).sum() - radius, 0.0, np.abs(delta).max(), xtol=1e-15)
    return at(t)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("radius", [0.3, 1.0, 5.0, 1000.0])
def test_the_projection_is_the_nearest_point(dtype, bounded, radius):
    delta = torch.randn(20, 2, 15, generator=start(), dtype=torch.float64)
    x = torch.rand(20, 2, 15, generator=start(1), dtype=torch.float64)
    room = torch.where(delta > 0, 1 - x, x) if bounded else None
    got = into_l1_ball(delta.to(dtype), radius, None if room is None else room.to(dtype))
    assert got.dtype == dtype
    low, high = (-x.numpy(), 1 - x.numpy()) if bounded else (-np.inf, np.inf)
    for i in range(20):
        limits = (low[i], high[i]) if bounded else (low, high)
        tolerance = 3e-6 if dtype == torch.float32 else 1e-12
        expected = nearest(delta[i].numpy(), radius, *limits)
        np.testing.assert_allclose(got[i].numpy(), expected, atol=tolerance)
    assert bool((got.double().abs().sum((1, 2)) <= radius * (1 + 1e-6)).all())


def test_the_multiplier_of_the_oracle_is_that_of_a_general_solver():
    # `nearest` shares the form of the answer with the code; a solver that knows only the problem.
    delta = np.array([0.9, -0.5, 0.2, 0.7])
    low, high = np.array([-0.1, -0.3, -1, -1]), np.array([0.25, 1, 1, 1])
    # As a difference of two parts that are not negative, the l1 norm is linear.
    solved = minimize(
        lambda z: ((z[:4] - z[4:] - delta) ** 2).sum(),
        np.zeros(8),
        bounds=[*((0, h) for h in high), *((0, -b) for b in low)],
        constraints={"type": "ineq", "fun": lambda z: 1.0 - z.sum()},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    got = solved.x[:4] - solved.x[4:]
    np.testing.assert_allclose(got, nearest(delta, 1.0, low, high), atol=1e-6)


def test_each_input_may_have_a_radius_of_its_own():
    delta = torch.randn(3, 1, 6, generator=start(), dtype=torch.float64)
    radii = torch.tensor([0.0, 0.5, 100.0], dtype=torch.float64)
    got = into_l1_ball(delta, radii.reshape(3, 1, 1))
    assert torch.equal(got[0], 0 * delta[0])
    torch.testing.assert_close(got[1:2], into_l1_ball(delta[1:2], 0.5))
    assert torch.equal(got[2], delta[2])


def test_a_start_in_the_l1_ball_is_uniform():
    # The share of the volume within r is r^d; and signs and coordinates are alike.
    count, dim = 20_000, 3
    found = uniform_in_l1_ball(torch.zeros(count, 1, dim), start()).flatten(1)
    volume = found.abs().sum(1) ** dim
    distance = (volume.sort().values - torch.arange(count) / count).abs().max()
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))
    # |z_i| follows Beta(1, d): P(|z_i| > t) = (1 - t)^d.
    for i in range(dim):
        tail = (1 - found[:, i].abs()) ** dim
        distance = (tail.sort().values - torch.arange(count) / count).abs().max()
        assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))
        assert abs(float((found[:, i] > 0).double().mean()) - 0.5) < 6 * 0.5 / math.sqrt(count)


def linear(w):
    w = torch.tensor(w)
    return lambda x: torch.stack([-(x @ w), x @ w], dim=1)


def test_a_step_moves_the_share_of_coordinates_with_the_largest_gradients():
    seen = []

    def model(x):
        seen.append(x.detach().clone())
        return linear([1.0, -5.0, 2.0, 0.0, -4.0, 3.0, 0.5, 0.1])(x)

    x, y = torch.zeros(1, 8), torch.tensor([0])
    found = PGDL1(epsilon=3.0, steps=3, sparsity=0.375).perturb(model, x, y, generator=start())
    third = 2 / 3  # a step of length 2 epsilon / steps = 2 over three coordinates
    torch.testing.assert_close(seen[1][0], third * torch.tensor([0.0, -1, 0, 0, -1, 1, 0, 0]))
    torch.testing.assert_close(found[0], torch.tensor([0.0, -1, 0, 0, -1, 1, 0, 0]))


def test_of_a_plane_between_bounds_it_finds_the_corner():
    # The optimum fills the coordinates in the order of their weights, each up to its bound.
    w = [1.0, -5.0, 2.0, 0.0, -4.0, 3.0, 0.5, 0.1]
    x = torch.tensor([[0.5, 0.3, 0.1, 0.5, 0.4, 0.9, 0.5, 0.5]])
    attack = PGDL1(epsilon=1.0, steps=60, low=0.0, high=1.0)
    found = attack.perturb(linear(w), x, torch.tensor([0]), generator=start())
    #                          -0.3 of w1, -0.4 of w4, +0.1 of w5, and the rest, 0.2, of w2
    expected = x + torch.tensor([[0.0, -0.3, 0.2, 0.0, -0.4, 0.1, 0.0, 0.0]])
    gained = float(((found - x) @ torch.tensor(w)).sum())
    best = float(((expected - x) @ torch.tensor(w)).sum())
    assert 0.95 * best < gained < best * (1 + 1e-5)


def test_where_every_coordinate_is_stopped_it_stays():
    x = torch.tensor([[1.0, 0.0]])
    attack = PGDL1(epsilon=1.0, low=0.0, high=1.0)
    found = attack.perturb(linear([1.0, -1.0]), x, torch.tensor([0]), generator=start())
    assert torch.equal(found, x)


@pytest.mark.parametrize("sparsity", [0.0, 1.5, math.nan])
def test_a_sparsity_that_is_no_share_is_refused(sparsity):
    with pytest.raises(ValueError, match=r"sparsity must be in \(0, 1\]"):
        PGDL1(epsilon=1.0, sparsity=sparsity)
