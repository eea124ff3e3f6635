from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from radii.attacks import PGDL1, PGDL2, Auto, PGDLinf

BALLS = {"l1": PGDL1, "l2": PGDL2, "linf": PGDLinf}
each_norm = pytest.mark.parametrize("norm", BALLS)


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    module = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=start(3), std=1.5)
    return module


def batch():
    x = torch.randn(40, 4, generator=start(1), dtype=torch.float64)
    return x, network()(x).argmax(1)


def badness(model, x, y):
    """Wrong before right, then the larger loss."""
    scores = model(x)
    losses = cross_entropy(scores, y, reduction="none").detach()
    return losses + 1e6 * (scores.argmax(1) != y)


@each_norm
def test_it_is_never_weaker_than_its_first_part_alone(norm):
    model = network()
    x, y = batch()
    share = {"l1": 20, "l2": 16, "linf": 20}[norm]  # of 40; ddn has none but in l2
    alone = BALLS[norm](epsilon=0.7, steps=share, keep="worst")
    first = badness(model, alone.perturb(model, x, y, generator=start()), y)
    all_of_them = Auto(epsilon=0.7, budget=40, norm=norm)
    found = badness(model, all_of_them.perturb(model, x, y, generator=start()), y)
    assert bool((found >= first).all())


def margin(scores, y):
    """The largest other score less that of the label."""
    own = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, y[:, None], True)
    return scores.masked_fill(own, -torch.inf).amax(1) - scores[own]


class Plateau(nn.Module):
    """Flat around the inputs, wrong far along the first coordinate; its base shows the way."""

    def __init__(self, with_base):
        super().__init__()
        self.attack_loss = margin  # as a soft classifier has one
        if with_base:
            self.base = nn.Linear(50, 2, bias=False)
            with torch.no_grad():
                self.base.weight.zero_()
                self.base.weight[1, 0] = 1.0

    def forward(self, x):
        score = 10 * (x[:, 0] - 0.8).clamp(min=0) - 0.1
        return torch.stack([0 * score, score], dim=1)


@pytest.mark.parametrize("with_base", [True, False])
def test_it_starts_from_what_the_base_alone_shows(with_base):
    x, y = torch.zeros(3, 50), torch.zeros(3, dtype=torch.int64)
    model = Plateau(with_base)
    found = Auto(epsilon=1.0, budget=50).search(model, x, y, generator=start())
    assert bool((model(found.x).argmax(1) == with_base).all())
    assert found.facts["base_queries"].tolist() == [20.0 * with_base] * 3


def test_what_a_network_of_the_user_calls_its_base_is_not_asked():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.base, self.head = nn.Conv2d(1, 2, 3), nn.Linear(32, 2)

        def forward(self, x):
            return self.head(self.base(x).flatten(1))

    x, y = torch.zeros(3, 1, 6, 6), torch.zeros(3, dtype=torch.int64)
    found = Auto(epsilon=1.0, budget=10).search(Backbone(), x, y, generator=start())
    assert found.facts["base_queries"].tolist() == [0.0] * 3


@each_norm
@pytest.mark.parametrize("budget", [10, 37, 64])
def test_it_spends_its_budget_and_a_pass_for_each_part(norm, budget):
    model = network()
    x, y = batch()
    asked = {"model": 0, "base": 0}

    class Counted:
        def __call__(self, z):
            asked["model"] += 1
            return model(z)

        def base(self, z):
            asked["base"] += 1
            return model(z)

        def attack_loss(self, scores, y):
            return margin(scores, y)

    found = Auto(epsilon=0.5, budget=budget, norm=norm).search(Counted(), x, y, generator=start())
    assert found.queries.tolist() == [asked["model"]] * 40
    assert found.facts["base_queries"].tolist() == [asked["base"]] * 40
    parts = 4 if norm == "l2" else 3
    assert asked == {"model": budget + parts, "base": 20}


def test_the_generator_decides():
    model = network()
    x, y = batch()
    state = torch.random.get_rng_state()
    attack = Auto(epsilon=0.5, budget=20)
    first, again = (attack.perturb(model, x, y, generator=start(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0.0"),
        ({"epsilon": math.inf}, "epsilon must be positive and finite, got inf"),
        ({"budget": 9}, "budget must be at least 10, got 9"),
        ({"norm": "l0"}, "norm must be l1, l2 or linf, got 'l0'"),
        ({"low": 0.0}, "low and high must be given together, got 0.0 and None"),
    ],
)
def test_wrong_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Auto(**{"epsilon": 0.5, **fields})
