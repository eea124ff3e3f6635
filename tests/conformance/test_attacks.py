"""What every registered attack that follows gradients owes; the others have a file of their own."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from radii.attacks import ATTACKS, Attack
from radii.smoothing import SoftClassifier
from radii.smoothing.estimators import AVERAGES

ORDERS = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
DUALS = {"l1": math.inf, "l2": 2.0, "linf": 1.0}


def innermost(attack: Any) -> Any:
    """The attack itself, or what it wraps in its field `attack`."""
    while isinstance(getattr(attack, "attack", None), Attack):
        attack = attack.attack
    return attack


def has(attack: Attack, *names: str) -> bool:
    """Whether an attack, or the one that it wraps, has these fields."""
    return {field.name for field in dataclasses.fields(innermost(attack))}.issuperset(names)


def changed(attack: Any, **values: object) -> Any:
    """The attack with other values of fields, its own or those of the one that it wraps."""
    if isinstance(getattr(attack, "attack", None), Attack):
        return dataclasses.replace(attack, attack=changed(attack.attack, **values))
    return dataclasses.replace(attack, **values)


def random(attack: Attack) -> bool:
    """Whether it starts anywhere else than at the input; asked only of those that say."""
    inner = innermost(attack)
    return inner.random_start or getattr(inner, "restarts", 1) > 1


def still(attack: Attack) -> Any:
    """The attack without random starts."""
    one = {"restarts": 1} if has(attack, "restarts") else {}
    return changed(attack, random_start=False, **one)


CASES = [
    attack
    for name in ATTACKS.names()
    for example in ATTACKS[name].examples
    for attack in [ATTACKS.build({"name": name, **example})]
    if attack.needs == "gradients"
]


def parametrized(cases: list[Attack]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("attack", cases, ids=ATTACKS.spec_of)


each_attack = parametrized(CASES)
worst_in_ball = parametrized([attack for attack in CASES if not attack.minimal])
smallest = parametrized([attack for attack in CASES if attack.minimal])
each_that_says_where_it_starts = parametrized(
    [attack for attack in CASES if has(attack, "random_start")]
)
each_with_bounds = parametrized([attack for attack in CASES if has(attack, "low", "high")])


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
        found: Tensor = (2 * y - 1) * (x.flatten(1) @ self.w + self.b).detach()
        return found


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


SIGMA, SOFTNESS = 0.5, 0.3


class Probit(Plane):
    """A half-space with a soft edge: the probability of class 1 is `Phi((w x + b) / SOFTNESS)`."""

    def forward(self, x: Tensor) -> Tensor:
        score = (x.flatten(1) @ self.w + self.b) / SOFTNESS
        return torch.stack([torch.special.log_ndtr(-score), torch.special.log_ndtr(score)], dim=1)

    def smoothed_width(self) -> float:
        """Under noise the probability is `Phi((w x + b) / width)`, by convolution."""
        return math.hypot(SOFTNESS, SIGMA * float(self.w.detach().norm()))


def smoothed_half_space(x: Tensor, estimator: Any) -> SoftClassifier:
    """Under Gaussian noise of SIGMA: its quantiles along `w`, for across it nothing changes."""
    base = Probit().double()
    w = base.w.detach()
    quantiles = torch.special.ndtri((torch.arange(200, dtype=x.dtype) + 0.5) / 200)
    delta = SIGMA * quantiles[:, None] * w / w.norm()
    return SoftClassifier(base, delta.reshape(200, 1, 1, 5).expand(-1, *x.shape), estimator)


def close_batch() -> tuple[Tensor, Tensor]:
    """In float64: in float32 the gradient of a small cross entropy rounds to 0."""
    x, y = batch()
    return x[:40:4].double(), y[:40:4]


@worst_in_ball
@pytest.mark.parametrize("estimator", AVERAGES)
def test_the_margin_of_a_smoothed_half_space_falls_almost_as_much_as_it_can(
    attack: Attack, estimator: str
) -> None:
    x, y = close_batch()
    found = attack.perturb(smoothed_half_space(x, estimator), x, y, generator=start())
    probit = Probit().double()
    slope = float(torch.linalg.vector_norm(probit.w.detach(), DUALS[attack.norm]))
    assert attack.epsilon is not None
    assert float(norms(attack, found - x).max()) <= attack.epsilon * (1 + 1e-5)
    before, after = probit.margin(x, y), probit.margin(found, y)
    assert bool((before - after >= 0.95 * attack.epsilon * slope).all())
    # The closed form is that of the classifier that was attacked.
    width = probit.smoothed_width()
    margins = smoothed_half_space(x, "margin")
    for inputs, margin in ((x, before), (found, after)):
        loss = margins.attack_loss(margins(inputs), y).detach()
        torch.testing.assert_close(-loss, 2 * margin / width, atol=0.05, rtol=0.02)


@smallest
@pytest.mark.parametrize("estimator", AVERAGES)
def test_the_perturbation_of_a_smoothed_half_space_is_almost_the_smallest(
    attack: Attack, estimator: str
) -> None:
    x, y = close_batch()
    found = attack.perturb(smoothed_half_space(x, estimator), x, y, generator=start())
    probit = Probit().double()
    slope = torch.linalg.vector_norm(probit.w.detach(), DUALS[attack.norm])
    distance = probit.margin(x, y) / slope  # the noise is symmetric, so the boundary is the plane
    length = norms(attack, found - x)
    cap = math.inf if attack.epsilon is None else attack.epsilon
    assert bool((length <= (1.05 * distance).clamp(max=cap) * (1 + 1e-5)).all())
    assert bool((length >= distance.clamp(max=cap) * (1 - 1e-3)).all())


@worst_in_ball
@pytest.mark.parametrize("estimator", AVERAGES)
def test_four_classes_under_noise_the_loss_grows_almost_as_much_as_it_can(
    attack: Attack, estimator: Any
) -> None:
    # A linear softmax classifier on three coordinates; the optimum is looked for on a fine grid.
    base = nn.Linear(3, 4)
    with torch.no_grad():
        base.weight.copy_(torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]))
        base.bias.zero_()
    y = torch.arange(8) % 4
    w = base.weight.detach()  # each input has one class that is next, so no other optimum is near
    x = 1.1 * w[y] + 0.9 * w[(y + 1) % 4] + 0.1 * torch.randn(8, 3, generator=start(1))
    delta = SIGMA * torch.randn(64, 8, 3, generator=start(2))
    soft = SoftClassifier(base, delta, estimator)
    found = attack.perturb(soft, x, y, generator=start())
    assert float(norms(attack, found - x).max()) <= (attack.epsilon or 0) * (1 + 1e-5)
    before = soft.attack_loss(soft(x), y).detach()
    grown = soft.attack_loss(soft(found), y).detach() - before
    around = sphere(2000)
    around = around / torch.linalg.vector_norm(around, ORDERS[attack.norm], dim=1, keepdim=True)
    for i in range(8):
        every = delta[:, i : i + 1].expand(-1, len(around), -1)
        there = SoftClassifier(base, every, estimator)
        with torch.no_grad():
            scores = there(x[i] + (attack.epsilon or 0) * around)
            best = there.attack_loss(scores, y[i].expand(len(around))).max() - before[i]
        assert 0.95 * best <= grown[i] <= 1.02 * best


def sphere(count: int) -> Tensor:
    """Directions in space, spread evenly, and those of the corners of the l1 and linf balls."""
    k = torch.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, math.pi * (1 + math.sqrt(5)) * k
    across = (1 - z**2).sqrt()
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 3)
    even = torch.stack([across * turn.cos(), across * turn.sin(), z], dim=1)
    return torch.cat([even, signs[signs.abs().sum(1) > 0]])


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
    plane, asked = Plane(), []

    def model(x: Tensor) -> Tensor:
        asked[-1].append(x.detach().clone())
        return plane(x)

    found = []
    for seed in (5, 5, 6):
        asked.append([])
        found.append(attack.perturb(model, x, y, generator=start(seed)))
    assert torch.equal(found[0], found[1])
    if has(attack, "random_start"):  # where it is looked, for the worst point may be the same
        first, again, other = map(torch.stack, asked)
        assert torch.equal(first, again)
        assert torch.equal(first, other) != random(attack)
    assert torch.equal(state, torch.random.get_rng_state())


@each_attack
def test_queries_are_counted(attack: Attack) -> None:
    x, y = batch()
    plane, asked = Plane(), 0

    def model(x: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        assert len(x) == 64, "a smoothed classifier takes the whole batch that it was made for"
        return plane(x)

    found = attack.search(model, x, y, generator=start())
    assert found.queries.dtype == torch.int64
    assert found.queries.tolist() == [asked] * 64
    assert all(values.shape == (64,) for values in found.facts.values())


@each_that_says_where_it_starts
def test_each_input_is_attacked_by_itself(attack: Attack) -> None:
    attack = still(attack)
    x, y = batch()
    together = attack.perturb(Plane(), x, y, generator=start())
    for i in (0, 40):
        alone = attack.perturb(Plane(), x[i : i + 1], y[i : i + 1], generator=start())
        torch.testing.assert_close(alone, together[i : i + 1])
    assert attack.perturb(Plane(), x[:0], y[:0], generator=start()).shape == (0, 1, 5)


@each_that_says_where_it_starts
def test_no_gradient_no_nan(attack: Attack) -> None:
    x, y = batch()

    def flat(x: Tensor) -> Tensor:
        return torch.tensor([1.0, 1.0]).expand(len(x), 2) + 0 * x.flatten(1).sum(1, keepdim=True)

    found = attack.perturb(flat, x, 0 * y, generator=start())
    assert bool(found.isfinite().all())
    assert random(attack) or torch.equal(found, x)


@each_with_bounds
def test_bounds_of_a_coordinate_are_kept(attack: Any) -> None:
    x, y = batch()
    x = x.sigmoid()
    for low, high in ((0.0, 1.0), (0.1, 0.9)):  # the latter are no floats
        inside = x.clamp(low, high)
        bounded = changed(attack, low=low, high=high)
        found = bounded.perturb(Plane(), inside, y, generator=start())
        assert torch.equal(found, found.clamp(low, high))
        if attack.epsilon is not None:
            assert float(norms(attack, found - inside).max()) <= attack.epsilon * (1 + 1e-5)
    bounded = changed(attack, low=0.0, high=1.0)
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


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"steps": 0}, "steps must be at least 1, got 0"),
    ({"restarts": 0}, "restarts must be at least 1, got 0"),
    ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0.0"),
    ({"epsilon": -1.0}, "epsilon must be positive and finite, got -1.0"),
    ({"epsilon": math.nan}, "epsilon must be positive and finite, got nan"),
    ({"epsilon": math.inf}, "epsilon must be positive and finite, got inf"),
    ({"low": 0.0}, "low and high must be given together, got 0.0 and None"),
    ({"high": 1.0}, "low and high must be given together, got None and 1.0"),
    ({"low": 1.0, "high": 1.0}, "low must be below high, both finite, got 1.0 and 1.0"),
    ({"low": 0.0, "high": math.nan}, "low must be below high, both finite, got 0.0 and nan"),
]


@pytest.mark.parametrize(
    ("attack", "change", "message"),
    [(attack, *wrong) for attack in CASES for wrong in WRONG if has(attack, *wrong[0])],
    ids=lambda value: ATTACKS.spec_of(value) if isinstance(value, Attack) else str(value),
)
def test_wrong_parameters_are_refused(attack: Attack, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(attack, **change)


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

        def model(z: Tensor, dtype: torch.dtype = dtype) -> Tensor:
            return plane(z.float()).to(dtype)

        found = attack.perturb(model, inputs, y, generator=start())
        assert found.dtype == inputs.dtype
        assert bool((plane.margin(found.float(), y) < plane.margin(x, y)).all())
