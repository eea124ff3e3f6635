"""What every registered attack owes that needs decisions or the base classifier's scores alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.attacks import ATTACKS, Attack

CASES = [
    attack
    for name in ATTACKS.names()
    for example in ATTACKS[name].examples
    for attack in [ATTACKS.build({"name": name, **example})]
    if attack.needs != "gradients"
]
ORDERS = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
DUALS = {"l1": math.inf, "l2": 2.0, "linf": 1.0}

each_attack = pytest.mark.parametrize("attack", CASES, ids=ATTACKS.spec_of)

# One attack of each class, cut short where its strength is not the question.
one_of_a_kind = pytest.mark.parametrize(
    "attack",
    [
        dataclasses.replace(attack, steps=2)  # type: ignore[type-var]
        for attack in {type(attack): attack for attack in CASES}.values()
    ],
    ids=ATTACKS.spec_of,
)


class Plane(nn.Module):
    """Two classes on the sides of a plane, so sharply that a softmax is a decision.

    Computed by numpy: there is nothing to differentiate.
    """

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]))
        self.dropout = nn.Dropout(0.5)
        self.rows: list[int] = []

    def margin(self, x: Tensor) -> Tensor:
        """Positive in class 1."""
        return torch.from_numpy(x.double().flatten(1).numpy() @ self.w.detach().double().numpy())

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        score = 1e6 * self.margin(x)
        return torch.stack([-score, score], dim=1).float()


def batch() -> tuple[Tensor, Tensor]:
    """Inputs at l2 distances 0.1 to 1 from the plane, on the right side of it."""
    plane = Plane()
    x = torch.randn(10, 5, generator=start(7))
    y = torch.arange(10) % 2
    w = plane.w.detach()
    wanted = (2 * y - 1) * torch.linspace(0.1, 1, 10) * w.norm()
    x += ((wanted - plane.margin(x)) / w.norm() ** 2).float()[:, None] * w
    torch.testing.assert_close(plane.margin(x).float(), wanted)
    return x.reshape(10, 1, 5), y


def start(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def norms(attack: Attack, delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(delta.double().flatten(1), ORDERS[attack.norm], dim=1)


@each_attack
def test_on_a_half_space_it_comes_near_the_optimum_and_stays_in_the_ball(attack: Attack) -> None:
    plane = Plane()
    x, y = batch()
    found = attack.search(plane, x, y, generator=start())
    dual = torch.linalg.vector_norm(plane.w.detach().double(), DUALS[attack.norm])
    before, after = ((2 * y - 1) * plane.margin(z) / dual for z in (x, found.x))
    length = norms(attack, found.x - x)
    assert found.x.shape == x.shape
    assert found.x.dtype == x.dtype
    if attack.minimal:
        assert bool((after < 0).all())
        assert bool((length >= before).all())
        assert bool((length <= before / 0.95).all())
    else:
        assert attack.epsilon is not None
        assert bool((length <= attack.epsilon * (1 + 1e-5)).all())
        assert bool((before - after >= 0.95 * attack.epsilon).all())


@one_of_a_kind
def test_no_input_is_asked_about_more_often_than_told(attack: Attack) -> None:
    plane = Plane()
    x, y = batch()
    found = attack.search(plane, x, y, generator=start())
    assert found.queries.shape == y.shape
    assert found.queries.dtype == torch.int64
    # A pass of the whole batch is a query of an input or, where nothing is left to ask, none.
    assert int(found.queries.max()) * len(x) <= sum(plane.rows)
    assert int(found.queries.sum()) <= sum(plane.rows)
    assert all(fact.shape == y.shape for fact in found.facts.values())


@one_of_a_kind
def test_everything_is_left_as_it_was(attack: Attack) -> None:
    plane = Plane()
    x, y = batch()
    inputs, labels, weights = x.clone(), y.clone(), plane.w.detach().clone()
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    for mode in (True, False):
        plane.train(mode)
        attack.perturb(plane, x, y, generator=start())
        assert all(module.training is mode for module in plane.modules())
    assert plane.w.grad is None
    assert plane.w.requires_grad
    assert torch.equal(plane.w, weights)
    assert torch.equal(x, inputs)
    assert torch.equal(y, labels)
    assert not x.requires_grad
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert str(numpy_state) == str(np.random.get_state())  # noqa: NPY002
    assert torch.is_grad_enabled()


@one_of_a_kind
def test_the_result_depends_on_the_generator_alone(attack: Attack) -> None:
    x, y = batch()
    first, again, other = (
        attack.perturb(Plane(), x, y, generator=start(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@one_of_a_kind
def test_it_works_without_a_gradient_mode_and_on_inputs_that_want_gradients(attack: Attack) -> None:
    x, y = batch()
    expected = attack.perturb(Plane(), x, y, generator=start())
    with torch.no_grad():
        assert torch.equal(attack.perturb(Plane(), x, y, generator=start()), expected)
    leaf = x.clone().requires_grad_()
    found = attack.perturb(Plane(), leaf, y, generator=start())
    assert torch.equal(found, expected)
    assert not found.requires_grad


@one_of_a_kind
def test_an_empty_batch_and_one_input(attack: Attack) -> None:
    x, y = batch()
    none = attack.search(Plane(), x[:0], y[:0], generator=start())
    assert none.x.shape == (0, 1, 5)
    assert none.queries.shape == (0,)
    plane = Plane()
    alone = attack.perturb(plane, x[3:4], y[3:4], generator=start())
    assert float(plane.margin(alone)[0]) < float(plane.margin(x[3:4])[0])


@each_attack
def test_bounds_of_a_coordinate_are_kept(attack: Any) -> None:
    x, _ = batch()
    x = x.sigmoid()
    y = (Plane().margin(x) > 0).long()
    bounded = dataclasses.replace(attack, low=0.0, high=1.0, steps=5)
    found = bounded.perturb(Plane(), x, y, generator=start())
    assert 0 <= float(found.min())
    assert float(found.max()) <= 1 + 1e-6
    assert not torch.equal(found, x)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got values from -1 to"):
        bounded.perturb(Plane(), torch.cat([x[:-1], x[:1] * 0 - 1]), y, generator=start())


@one_of_a_kind
def test_the_type_of_the_inputs_is_kept(attack: Attack) -> None:
    x, y = batch()
    found = attack.perturb(Plane(), x.double(), y, generator=start())
    assert found.dtype == torch.float64
    assert bool(((2 * y - 1) * Plane().margin(found) < (2 * y - 1) * Plane().margin(x)).all())


@each_attack
def test_spec_round_trip(attack: Attack) -> None:
    assert ATTACKS.build(ATTACKS.spec_of(attack)) == attack


@each_attack
def test_scaled(attack: Attack) -> None:
    if attack.epsilon is None:
        with pytest.raises(ValueError, match="epsilon"):
            attack.scaled(0.5)
        return
    assert attack.scaled(1.0) == attack
    assert attack.scaled(0.5).epsilon == attack.epsilon / 2
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
        attack.scaled(0.0)


@each_attack
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"low": 0.0}, "low and high must be given together, got 0.0 and None"),
        ({"low": 1.0, "high": 1.0}, "low must be below high, both finite, got 1.0 and 1.0"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(attack: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(attack, **change)


@one_of_a_kind
def test_labels_of_another_shape_are_refused(attack: Attack) -> None:
    x, y = batch()
    with pytest.raises(ValueError, match=r"y must have shape \(10,\), got \(9,\)"):
        attack.perturb(Plane(), x, y[:-1], generator=start())
