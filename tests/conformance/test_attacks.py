"""What every registered attack owes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from radii.attacks import ATTACKS, Attack

CASES = [
    ATTACKS.build({"name": name, **example})
    for name in ATTACKS.names()
    for example in ATTACKS[name].examples
]
ORDERS = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
DUALS = {"l1": math.inf, "l2": 2.0, "linf": 1.0}

each_attack = pytest.mark.parametrize("attack", CASES, ids=ATTACKS.spec_of)
worst_in_ball = pytest.mark.parametrize(
    "attack", [attack for attack in CASES if not attack.minimal], ids=ATTACKS.spec_of
)
smallest = pytest.mark.parametrize(
    "attack", [attack for attack in CASES if attack.minimal], ids=ATTACKS.spec_of
)


class Plane(nn.Module):
    """Two classes on the sides of a plane, with dropout to tell training mode from evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]))
        self.b = nn.Parameter(torch.tensor(0.25))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ self.w + self.b
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def margin(self, x: Tensor, y: Tensor) -> Tensor:
        """Positive where the label is right."""
        return (2 * y - 1) * (x.flatten(1) @ self.w + self.b).detach()


def batch() -> tuple[Tensor, Tensor]:
    """Inputs at distances 0.1 to 1.5 from the plane, on the right side of it."""
    plane = Plane()
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(64) % 2
    w = plane.w.detach()
    wanted = torch.linspace(0.1, 1.5, 64) * w.norm()
    x += ((2 * y - 1) * (wanted - plane.margin(x, y)) / w.norm() ** 2)[:, None] * w
    torch.testing.assert_close(plane.margin(x, y), wanted)
    return x.reshape(64, 1, 5), y


def start(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def norms(attack: Attack, delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(delta.flatten(1), ORDERS[attack.norm], dim=1)


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(model(x), y, reduction="none").detach()


@each_attack
def test_the_result_is_detached_and_inside_the_ball(attack: Attack) -> None:
    x, y = batch()
    found = attack.perturb(Plane(), x, y, generator=start())
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    assert not found.requires_grad
    if attack.epsilon is not None:
        assert float(norms(attack, found - x).max()) <= attack.epsilon * (1 + 1e-5)


@worst_in_ball
def test_on_a_plane_the_loss_grows_almost_as_much_as_it_can(attack: Attack) -> None:
    plane = Plane()
    x, y = batch()
    assert attack.epsilon is not None
    found = attack.perturb(plane, x, y, generator=start())
    slope = float(torch.linalg.vector_norm(plane.w.detach(), DUALS[attack.norm]))
    best = nn.functional.softplus(attack.epsilon * slope - plane.margin(x, y))
    before = losses(plane, x, y)
    grown = losses(plane, found, y) - before
    assert bool((grown >= 0.95 * (best - before)).all())
    assert bool((grown <= (best - before) * (1 + 1e-4) + 1e-6).all())


@smallest
def test_on_a_plane_the_perturbation_is_almost_the_smallest(attack: Attack) -> None:
    plane = Plane()
    x, y = batch()
    found = attack.perturb(plane, x, y, generator=start())
    distance = plane.margin(x, y) / torch.linalg.vector_norm(plane.w.detach(), DUALS[attack.norm])
    cap = math.inf if attack.epsilon is None else attack.epsilon
    length = norms(attack, found - x)
    assert bool((length <= (1.05 * distance).clamp(max=cap) * (1 + 1e-5)).all())
    assert bool((length >= distance.clamp(max=cap) * (1 - 1e-4)).all())
    reached = distance < cap / 1.05
    assert bool(reached.any())
    assert bool((plane.margin(found, y)[reached] < 0).all())


@each_attack
def test_the_model_is_left_as_it_was(attack: Attack) -> None:
    plane = Plane()
    before = {name: value.clone() for name, value in plane.state_dict().items()}
    x, y = batch()
    inputs = x.clone()
    for mode in (True, False):
        plane.train(mode)
        with torch.no_grad():  # of the caller; an attack needs gradients all the same
            attack.perturb(plane, x, y, generator=start())
        assert all(module.training is mode for module in plane.modules())
    assert all(parameter.grad is None for parameter in plane.parameters())
    assert all(parameter.requires_grad for parameter in plane.parameters())
    assert all(torch.equal(before[name], value) for name, value in plane.state_dict().items())
    assert torch.equal(x, inputs)
    assert x.grad is None
    assert not x.requires_grad


@each_attack
def test_the_result_depends_on_the_generator_alone(attack: Attack) -> None:
    x, y = batch()
    state = torch.random.get_rng_state()
    first, again, other = (
        attack.perturb(Plane(), x, y, generator=start(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert torch.equal(first, other) != getattr(attack, "random_start", False)
    assert torch.equal(state, torch.random.get_rng_state())


@each_attack
def test_each_input_is_attacked_by_itself(attack: Attack) -> None:
    if getattr(attack, "random_start", False):
        attack = dataclasses.replace(attack, random_start=False)  # type: ignore[type-var]
    x, y = batch()
    together = attack.perturb(Plane(), x, y, generator=start())
    for i in (0, 40):
        alone = attack.perturb(Plane(), x[i : i + 1], y[i : i + 1], generator=start())
        torch.testing.assert_close(alone, together[i : i + 1])
    assert attack.perturb(Plane(), x[:0], y[:0], generator=start()).shape == (0, 1, 5)


@each_attack
def test_no_gradient_no_nan(attack: Attack) -> None:
    x, y = batch()

    def flat(x: Tensor) -> Tensor:
        return torch.tensor([1.0, 1.0]).expand(len(x), 2) + 0 * x.flatten(1).sum(1, keepdim=True)

    found = attack.perturb(flat, x, 0 * y, generator=start())
    assert bool(found.isfinite().all())
    if not getattr(attack, "random_start", False):
        assert torch.equal(found, x)


@each_attack
def test_bounds_of_a_coordinate_are_kept(attack: Any) -> None:
    x, y = batch()
    x = x.sigmoid()
    bounded = dataclasses.replace(attack, low=0.0, high=1.0)
    found = bounded.perturb(Plane(), x, y, generator=start())
    assert 0 <= float(found.min())
    assert float(found.max()) <= 1 + 1e-6
    if attack.epsilon is not None:
        assert float(norms(attack, found - x).max()) <= attack.epsilon * (1 + 1e-5)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got values from -1 to"):
        bounded.perturb(Plane(), torch.cat([x[:-1], x[:1] * 0 - 1]), y, generator=start())


@each_attack
def test_scaled(attack: Attack) -> None:
    if attack.epsilon is None:
        with pytest.raises(ValueError, match="epsilon"):
            attack.scaled(0.5)
        return
    assert attack.scaled(1.0) == attack
    half = attack.scaled(0.5)
    assert half.epsilon == attack.epsilon / 2
    for share in (0.0, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
            attack.scaled(share)


@each_attack
def test_spec_round_trip(attack: Attack) -> None:
    assert ATTACKS.build(ATTACKS.spec_of(attack)) == attack


@each_attack
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0.0"),
        ({"epsilon": math.nan}, "epsilon must be positive and finite, got nan"),
        ({"epsilon": math.inf}, "epsilon must be positive and finite, got inf"),
        ({"low": 0.0}, "low and high must be given together, got 0.0 and None"),
        ({"high": 1.0}, "low and high must be given together, got None and 1.0"),
        ({"low": 1.0, "high": 1.0}, "low must be below high, both finite, got 1.0 and 1.0"),
        ({"low": 0.0, "high": math.nan}, "low must be below high, both finite, got 0.0 and nan"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(attack: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(attack, **change)


@each_attack
def test_labels_of_another_shape_are_refused(attack: Attack) -> None:
    x, y = batch()
    with pytest.raises(ValueError, match=r"y must have shape \(64,\), got \(63,\)"):
        attack.perturb(Plane(), x, y[:-1], generator=start())


@each_attack
def test_a_model_in_low_precision_is_attacked_in_the_type_of_its_input(attack: Attack) -> None:
    x, y = batch()
    plane = Plane()
    for dtype, inputs in ((torch.bfloat16, x), (torch.float64, x.double())):
        found = attack.perturb(
            lambda z, dtype=dtype: plane(z.float()).to(dtype), inputs, y, generator=start()
        )
        assert found.dtype == inputs.dtype
        assert bool((plane.margin(found.float(), y) < plane.margin(x, y)).all())
