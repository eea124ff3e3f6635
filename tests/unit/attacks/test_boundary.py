from __future__ import annotations

import sys

import pytest
import torch

from radii.attacks import Boundary, HopSkipJump
from radii.errors import RadiiError

W = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
both = pytest.mark.parametrize(
    "attack", [Boundary(steps=40), HopSkipJump(steps=2)], ids=["boundary", "hopskipjump"]
)


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def batch():
    x = torch.randn(6, 5, generator=start(1))
    return x, (x @ W > 0).long()


def one_hot(x):
    return torch.nn.functional.one_hot((x @ W > 0).long(), 2).float()


@both
def test_the_model_sees_the_whole_batch_and_only_what_is_searched_for_moves(attack):
    x, y = batch()
    y[2] = 1 - y[2]
    seen = []

    def model(z):
        assert z.shape == x.shape
        assert z.dtype == x.dtype
        seen.append(z.clone())
        return one_hot(z)

    found = attack.search(model, x, y, generator=start())
    assert all(torch.equal(z[2], x[2]) for z in seen)
    assert torch.equal(found.x[2], x[2])
    assert found.queries[2] == 1
    assert found.facts["found"].tolist() == [1.0] * 6
    others = [0, 1, 3, 4, 5]
    assert bool((one_hot(found.x)[others].argmax(1) != y[others]).all())


@both
def test_every_pass_is_a_query_of_an_input_that_is_searched_for(attack):
    x, y = batch()
    asked = []

    def model(z):
        asked.append(len(z))
        return one_hot(z)

    found = attack.search(model, x[:1], y[:1], generator=start())
    assert found.queries.tolist() == [len(asked)]


@both
def test_the_nearest_wrong_input_that_was_asked_about_is_returned(attack):
    x, y = batch()
    nearest = torch.full((6,), torch.inf)

    def model(z):
        scores = one_hot(z)
        wrong = scores.argmax(1) != y
        nearest[wrong] = torch.minimum(nearest, (z - x).norm(dim=1))[wrong]
        return scores

    found = attack.perturb(model, x, y, generator=start())
    torch.testing.assert_close((found - x).norm(dim=1), nearest)


@both
def test_an_input_without_a_starting_point_stays_as_it_is(attack):
    x, y = batch()

    def model(z):  # wrong nowhere near the inputs with label 0
        scores = one_hot(z)
        scores[y == 0] = torch.tensor([1.0, 0.0])
        return scores

    assert 0 < int(y.sum()) < 6
    found = attack.search(model, x, y, generator=start())
    assert torch.equal(found.x[y == 0], x[y == 0])
    assert torch.equal(found.facts["found"], y.float())
    assert int(found.queries[y == 0].max()) < int(found.queries[y == 1].min())


@both
@pytest.mark.parametrize("queries", [1, 5, 20, 100])
def test_the_queries_allowed_are_not_exceeded(attack, queries):
    x, y = batch()
    asked = []

    def model(z):
        asked.append(len(z))
        return one_hot(z)

    limited = type(attack)(steps=1000, queries=queries)
    found = limited.search(model, x, y, generator=start())
    assert int(found.queries.max()) <= queries
    assert len(asked) == queries


@both
def test_with_bounds_a_lone_input_finds_a_start_in_the_box(attack):
    def model(z):  # another answer in dark inputs only
        dark = (z.flatten(1).mean(1) < 0.3).float()
        return torch.stack([0.5 + 0 * dark, dark], dim=1)

    x = torch.full((1, 1, 4, 4), 0.9)
    bounded = type(attack)(steps=4, low=0.0, high=1.0)
    found = bounded.search(model, x, torch.tensor([0]), generator=start())
    assert found.facts["found"].tolist() == [1.0]
    assert 0 <= float(found.x.min()) <= float(found.x.max()) <= 1


@both
def test_without_foolbox_the_error_names_the_extra(attack, monkeypatch):
    x, y = batch()
    monkeypatch.setitem(sys.modules, "foolbox.attacks", None)
    with pytest.raises(RadiiError, match=r'pip install "radii\[attacks\]"'):
        attack.perturb(one_hot, x, y, generator=start())


def test_the_defaults_come_near_the_boundary_within_its_steps():
    x, y = batch()
    found = Boundary(steps=1500).perturb(one_hot, x, y, generator=start())
    fewer = Boundary(steps=100).perturb(one_hot, x, y, generator=start())
    distance = (x @ W).abs() / W.norm()
    assert bool(((found - x).norm(dim=1) < (fewer - x).norm(dim=1)).all())
    assert bool(((found - x).norm(dim=1) < 1.25 * distance).all())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"queries": 0}, "queries must be positive and finite, got 0"),
        ({"spherical_step": 0.0}, "spherical_step must be positive and finite, got 0.0"),
        ({"source_step": -1.0}, "source_step must be positive and finite, got -1.0"),
        ({"step_adaptation": 1.0}, "step_adaptation must be above 1, got 1.0"),
    ],
)
def test_wrong_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Boundary(**fields)
