from __future__ import annotations

import pytest
import torch

from radii.attacks import HopSkipJump
from radii.errors import RadiiError


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def plane(x):
    score = x.sum(1)
    return torch.stack([-score, score], dim=1)


def inputs(count, dim=20):
    """All the same input, at distance 1 from the plane."""
    return torch.full((count, dim), dim**-0.5), torch.ones(count, dtype=torch.int64)


def test_a_larger_batch_makes_no_steps_shorter():
    attack = HopSkipJump(steps=3, gradient_queries=200)
    starts = 5 * torch.randn(64, 20, generator=start(2))
    starts = starts[plane(starts).argmax(1) == 0][:1]  # all begin where the first does
    norms = {}
    for count in (1, 32):
        x, y = inputs(count)
        x, y = torch.cat([x, starts]), torch.cat([y, torch.tensor([0])])
        found = attack.perturb(plane, x, y, generator=start())
        norms[count] = float((found - x).norm(dim=1)[:count].median())
    assert norms[1] < 1.3
    assert norms[32] < 1.3


def test_bounds_far_from_zero_to_one_are_kept_and_used():
    x, y = inputs(4)
    x = 100 * x
    found = HopSkipJump(steps=8, low=-200.0, high=200.0).search(plane, x, y, generator=start())
    assert found.facts["found"].tolist() == [1.0] * 4
    assert float((found.x - x).norm(dim=1).max()) < 1.1 * 100


def test_linf_is_the_norm_that_is_made_small():
    x, y = inputs(4)
    found = HopSkipJump(norm="linf", steps=10).perturb(plane, x, y, generator=start())
    assert float((found - x).abs().amax()) < 1.1 * 20**-0.5


def test_a_model_that_changes_its_mind_is_refused():
    x, y = inputs(8)
    noise = start(3)

    def fickle(z):
        return plane(z + 0.3 * torch.randn(z.shape, generator=noise))

    with pytest.raises(RadiiError, match="give it noise that does not change"):
        HopSkipJump(steps=50).perturb(fickle, x, y, generator=start())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"norm": "l1"}, "norm must be l2 or linf, got 'l1'; pgd_l1"),
        ({"gradient_queries": 0}, "gradient_queries must be positive and finite, got 0"),
        ({"max_gradient_queries": 0}, "max_gradient_queries must be positive and finite, got 0"),
        ({"gamma": 0.0}, "gamma must be positive and finite, got 0.0"),
    ],
)
def test_wrong_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        HopSkipJump(**fields)
