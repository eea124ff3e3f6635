from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softmax

from radii.attacks import DDN, PGDL2, PGDLinf
from radii.errors import TrainingError
from radii.noise import Gaussian, Splitting, Uniform
from radii.objectives import OBJECTIVES, SmoothAdv
from radii.smoothing import SmoothedClassifier, SoftClassifier
from tests.unit.objectives.toys import assert_same_gradients, normal_parameters, slope


class Tiny(nn.Module):
    """Computes in float64, whatever it is given."""

    def __init__(self, seed=0):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 3)
        normal_parameters(self.double(), seed)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x.double())))


def start(seed=7):
    return torch.Generator().manual_seed(seed)


def batch(count=6):
    x = torch.randn(count, 3, generator=start(1))
    return x, torch.arange(count) % 3


def by_hand(base, x, y, noise, draws, epsilon, steps, estimator, train_on):
    """The paper's Pseudocode 1, one input and one draw after the other."""
    delta = noise.draw((draws * len(x), 3), generator=start()).reshape(draws, len(x), 3)
    total = torch.zeros((), dtype=torch.float64)
    kept = draws if train_on == "all" else 1
    for j, label in enumerate(y):
        z = x[j].clone()
        for _ in range(steps):
            leaf = z.clone().requires_grad_()
            p = [softmax(base((leaf + delta[i, j])[None]), dim=1)[0, label] for i in range(draws)]
            if estimator == "plug_in":
                loss = -torch.log(sum(p) / draws)
            else:
                loss = -sum(each.log() for each in p) / draws
            (g,) = torch.autograd.grad(loss, [leaf])
            z = z + 2 * epsilon / steps * g / g.norm()
            if (z - x[j]).norm() > epsilon:
                z = x[j] + epsilon * (z - x[j]) / (z - x[j]).norm()
        for i in range(kept):
            total = total + cross_entropy(base((z + delta[i, j])[None]), label[None])
    return total / (kept * len(x))


@pytest.mark.parametrize("estimator", ["plug_in", "expectation"])
@pytest.mark.parametrize("train_on", ["all", "one"])
def test_value_and_gradient_follow_the_paper(estimator, train_on):
    base, noise = Tiny(), Gaussian(0.5)
    x, y = batch()
    objective = SmoothAdv(PGDL2(0.7, steps=3), 4, 0, estimator, train_on)
    ours = objective.loss(SmoothedClassifier(base, noise, 3), x, y, generator=start())
    theirs = by_hand(base, x, y, noise, 4, 0.7, 3, estimator, train_on)
    # The attack computes in the float32 of its input.
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert_same_gradients(ours, theirs, base.parameters(), rtol=1e-5, atol=1e-5)


def test_the_gradient_is_the_slope_of_the_loss_at_what_the_attack_found():
    base = Tiny()
    x, y = batch()
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 3)
    objective = SmoothAdv(PGDL2(0.7, steps=3), draws=4)
    found = objective.copies(smoothed, x, y, generator=start())
    loss = objective.loss(smoothed, x, y, generator=start())
    gradients = torch.autograd.grad(loss, list(base.parameters()))

    def at_found():
        return objective.of_scores(base(found).reshape(4, 6, 3), y)

    for parameter, gradient in zip(base.parameters(), gradients, strict=True):
        flat = parameter.detach().view(-1)
        for k in range(len(flat)):
            difference = slope(at_found, flat, k)
            assert float(gradient.view(-1)[k]) == pytest.approx(difference, abs=1e-7)


@pytest.mark.parametrize("attack", [PGDL2(0.8, steps=4), DDN(8, epsilon=0.8), PGDLinf(0.3)])
def test_what_is_found_is_in_the_ball_and_has_a_lower_smoothed_probability(attack):
    base = Tiny()
    x, y = batch(12)
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 3)
    objective = SmoothAdv(attack, draws=4)
    found = objective.copies(smoothed, x, y, generator=start()).reshape(4, 12, 3)
    delta = Gaussian(0.5).draw((48, 3), generator=start()).reshape(4, 12, 3)
    moved = (found - delta) - x
    assert float((moved - moved[0]).abs().max()) < 1e-6  # one x' an input, under all draws
    order = 2 if attack.norm == "l2" else math.inf
    assert float(torch.linalg.vector_norm(moved, order, dim=2).max()) <= attack.epsilon + 1e-6
    soft = SoftClassifier(base, delta)
    rows = torch.arange(12)
    before = soft(x)[rows, y]
    right = soft(x).argmax(1) == y
    after = soft(x + moved[0])[rows, y]
    assert bool((after < before)[right].all())
    assert int(right.sum()) > 3
    one = replace(objective, train_on="one").copies(smoothed, x, y, generator=start())
    assert torch.equal(one, found[0])


def test_the_plug_in_loss_is_never_above_the_expectation_loss():
    # Jensen's inequality, for the loss of the attack at any inputs and at what either finds.
    base = Tiny()
    x, y = batch(30)
    smoothed = SmoothedClassifier(base, Gaussian(0.8), 3)
    delta = Gaussian(0.8).draw((120, 3), generator=start()).reshape(4, 30, 3)
    plug_in, expectation = SoftClassifier(base, delta), SoftClassifier(base, delta, "expectation")
    for estimator in ("plug_in", "expectation"):
        objective = SmoothAdv(PGDL2(1.0), estimator=estimator)
        found = objective.copies(smoothed, x, y, generator=start()).reshape(4, 30, 3) - delta
        for inputs in (x, found[0]):
            gap = (plug_in(inputs) - expectation(inputs))[torch.arange(30), y].detach()
            assert float(gap.min()) > -1e-12
            assert float(gap.mean()) > 0.01


def test_one_draw_makes_both_estimators_the_same_attack():
    smoothed = SmoothedClassifier(Tiny(), Gaussian(0.5), 3)
    x, y = batch()
    losses = [
        SmoothAdv(PGDL2(0.5), 1, 0, estimator).loss(smoothed, x, y, generator=start())
        for estimator in ("plug_in", "expectation")
    ]
    assert torch.equal(*losses)


def test_a_ball_without_extent_gives_training_on_noisy_copies():
    smoothed = SmoothedClassifier(Tiny(), Gaussian(0.5), 3)
    x, y = batch()
    ours = SmoothAdv(PGDL2(1e-12)).loss(smoothed, x, y, generator=start())
    gaussian = OBJECTIVES.build("gaussian:draws=4")
    torch.testing.assert_close(ours, gaussian.loss(smoothed, x, y, generator=start()))


def test_warmup_grows_the_ball_in_equal_parts():
    objective = SmoothAdv(PGDL2(1.0, steps=4), warmup=10)
    sizes = [objective.at(epoch).attack.epsilon for epoch in range(12)]
    assert sizes == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1])
    assert objective.at(9) is objective
    assert SmoothAdv(warmup=0).at(0) == SmoothAdv(warmup=0)
    ddn = SmoothAdv(DDN(4, init_norm=1.0, epsilon=2.0), warmup=4).at(0).attack
    assert ddn == DDN(4, init_norm=0.25, epsilon=0.5)


def test_the_size_of_what_is_attacked_together_does_not_matter(monkeypatch):
    x, y = batch(11)
    smoothed = SmoothedClassifier(Tiny(), Gaussian(0.5), 3)
    found = []
    for numbers in (100_000, 24, 1):
        monkeypatch.setattr("radii.objectives.smoothadv._NUMBERS_A_THREAD", numbers)
        found.append(SmoothAdv().copies(smoothed, x, y, generator=start()))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


@pytest.mark.parametrize(("room", "sizes"), [(40, {44}), (25, {20, 24}), (1, {4})])
def test_what_is_attacked_together_is_as_equal_as_can_be(monkeypatch, room, sizes):
    x, y = batch(11)
    numbers = 3 * room / torch.get_num_threads()  # for so many of the 44 noisy copies
    monkeypatch.setattr("radii.objectives.smoothadv._NUMBERS_A_THREAD", numbers)
    base, seen = Tiny(), []
    base.register_forward_hook(lambda _, inputs, output: seen.append(len(inputs[0])))
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 3)
    SmoothAdv(PGDL2(0.5, steps=3)).copies(smoothed, x, y, generator=start())
    assert set(seen) == sizes
    assert sum(seen) == 3 * 44


def test_the_attack_sees_evaluation_mode_and_training_sees_each_copy_once():
    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = nn.BatchNorm1d(3), nn.Linear(3, 3)
            self.seen = []

        def forward(self, x):
            self.seen.append((self.norm.training, len(x)))
            return self.head(self.norm(x))

    base = Spy()
    base.head.eval()  # a part may be in another mode than the whole
    x, y = batch()
    objective = SmoothAdv(PGDL2(0.5, steps=3), draws=2)
    loss = objective.loss(SmoothedClassifier(base, Gaussian(0.5), 3), x, y, generator=start())
    assert base.seen == [(False, 12)] * 3 + [(True, 12)]
    assert int(base.norm.num_batches_tracked) == 1
    assert [module.training for module in base.modules()] == [True, True, False]
    assert all(parameter.grad is None for parameter in base.parameters())
    assert all(parameter.requires_grad for parameter in base.parameters())
    loss.backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in base.head.parameters())


def test_modes_are_put_back_when_the_attack_fails():
    class Failing(nn.Linear):
        def forward(self, x):
            raise RuntimeError("no")

    base = Failing(3, 3)
    with pytest.raises(RuntimeError, match="no"):
        SmoothAdv().loss(SmoothedClassifier(base, Gaussian(1.0), 3), *batch(), generator=start())
    assert base.training


def test_low_precision_trains_towards_the_same_loss():
    base = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_(generator=start(3))
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 3)
    x, y = batch(60)
    losses = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = SmoothAdv(PGDL2(0.3)).loss(smoothed, x, y, generator=start())
        assert loss.dtype == torch.float32
        (gradient,) = torch.autograd.grad(loss, [base[0].weight])
        assert gradient.dtype == torch.float32
        losses.append(float(loss.detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("noise", [Uniform(0.5)])
def test_every_additive_noise_trains(noise):
    x, y = batch()
    loss = SmoothAdv().loss(SmoothedClassifier(Tiny(), noise, 3), x, y, generator=start())
    assert bool(loss.isfinite())


def test_noise_that_is_not_added_is_refused():
    noise = Splitting(0.5)
    with pytest.raises(TrainingError, match="the noise of smoothadv must be additive"):
        SmoothAdv().loss(SmoothedClassifier(Tiny(), noise, 3), *batch(), generator=start())


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        SmoothAdv(draws=0)
    with pytest.raises(ValueError, match="warmup must be at least 0, got -1"):
        SmoothAdv(warmup=-1)
    with pytest.raises(ValueError, match="estimator must be plug_in or expectation, got 'mean'"):
        SmoothAdv(estimator="mean")
    with pytest.raises(ValueError, match="train_on must be all or one, got 'two'"):
        SmoothAdv(train_on="two")
    with pytest.raises(ValueError, match="epsilon to grow over 10 epochs of warmup"):
        SmoothAdv(DDN())
    assert SmoothAdv(DDN(), warmup=0).at(0).attack == DDN()


def test_spec_round_trip():
    text = "smoothadv:attack=pgd_l2(epsilon=0.5,steps=4,low=0.0,high=1.0),draws=2"
    objective = OBJECTIVES.build(text)
    assert objective == SmoothAdv(PGDL2(0.5, 4, low=0.0, high=1.0), 2)
    assert OBJECTIVES.spec_of(objective) == text
    assert OBJECTIVES.spec_of(SmoothAdv()) == "smoothadv"
