"""`SmoothedClassifier.soft`: its noise, its refusals, and the caller's model left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from radii.attacks import DDN, PGDL2
from radii.errors import BaseClassifierError
from radii.noise import Gaussian, Laplace, Splitting
from radii.smoothing import SmoothedClassifier
from radii.smoothing._draws import Draws
from radii.smoothing.estimators import AVERAGES

GENTLE = "the attacks stein and boundary need no gradients"


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    base = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4)
    )
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_(generator=start(1))
    return base.eval()


def smoothed(base=None, noise=Gaussian(0.5)):  # noqa: B008
    return SmoothedClassifier(network() if base is None else base, noise, num_classes=4)


X = torch.rand(6, 1, 5, 5, generator=start(2))
Y = torch.tensor([0, 1, 2, 3, 0, 1])


def gradient_of(soft, x=X):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(soft.attack_loss(soft(leaf), Y[: len(x)]).sum(), [leaf])[0]


@pytest.mark.parametrize("noise", [Gaussian(0.5), Laplace(0.5)])
def test_the_noise_is_the_generators_and_each_inputs_own(noise):
    soft = smoothed(noise=noise).soft(X, 32, generator=start(3))
    assert soft.delta.shape == (32, 6, 1, 5, 5)
    expected = noise.draw((32 * 6, 1, 5, 5), generator=start(3)).reshape(soft.delta.shape)
    assert torch.equal(soft.delta, expected)
    assert not torch.equal(soft.delta[:, 0], soft.delta[:, 1])
    assert torch.equal(soft(X), soft(X))
    assert torch.equal(soft(X), smoothed(noise=noise).soft(X, 32, generator=start(3))(X))


def test_without_a_generator_the_operating_system_seeds_one():
    classifier = smoothed()
    state = torch.get_rng_state()
    first, other = classifier.soft(X, 2), classifier.soft(X, 2)
    assert not torch.equal(first.delta, other.delta)
    assert torch.equal(torch.get_rng_state(), state)


def test_fresh_draws_come_from_the_generator_at_each_pass():
    both = [smoothed().soft(X, 4, generator=start(3), fresh=True) for _ in range(2)]
    passes = [[soft(X).detach() for _ in range(3)] for soft in both]
    for one, same in zip(*passes, strict=True):
        assert torch.equal(one, same)
    assert not torch.equal(passes[0][0], passes[0][1])
    assert not torch.equal(passes[0][1], passes[0][2])
    assert not torch.equal(gradient_of(both[0]), gradient_of(both[0]))


def test_one_input_and_arrays():
    one = smoothed().soft(X[0], 5, generator=start(3))
    assert one.delta.shape == (5, 1, 1, 5, 5)
    assert one(X[:1]).shape == (1, 4)
    array = smoothed().soft(X.numpy(), 5, generator=start(3))
    assert torch.equal(array(X), smoothed().soft(X, 5, generator=start(3))(X))
    flat = SmoothedClassifier(nn.Linear(4, 2).eval(), Gaussian(1.0), 2, input_shape=(4,))
    assert flat.soft(torch.zeros(4)).delta.shape == (64, 1, 4)
    assert flat.soft(torch.zeros(3, 4)).delta.shape == (64, 3, 4)
    with pytest.raises(ValueError, match=r"x must have shape \(4,\) or \(inputs, \*\(4,\)\)"):
        flat.soft(torch.zeros(5))


@pytest.mark.parametrize("estimator", AVERAGES)
@pytest.mark.parametrize("attack", [PGDL2(epsilon=0.5), DDN(steps=40, epsilon=2.0)])
def test_attacks_raise_the_loss_of_each_estimator(estimator, attack):
    soft = smoothed().soft(X, 16, generator=start(3), estimator=estimator)
    labels = soft(X).argmax(1)
    found = attack.perturb(soft, X, labels, generator=start())
    before, after = (soft.attack_loss(soft(x), labels).detach() for x in (X, found))
    assert bool((after > before).all())
    assert bool((soft(found).argmax(1) != labels).any()) or attack.epsilon == 0.5


@pytest.mark.parametrize("chunk", [None, 7])
@pytest.mark.parametrize("fresh", [False, True])
def test_the_callers_model_is_left_as_it_was(chunk, fresh):
    base = network()
    base[0].bias.requires_grad_(False)
    base[1].weight.grad = torch.ones(3)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    asked = {name: value.requires_grad for name, value in base.named_parameters()}
    objects = list(map(id, base.parameters()))
    rng = torch.get_rng_state()
    inputs = X.clone()
    soft = smoothed(base).soft(X, 8, generator=start(3), chunk=chunk, fresh=fresh)
    PGDL2(epsilon=0.5, steps=3).perturb(soft, X, Y, generator=start())
    leaf = X.clone().requires_grad_()
    soft.attack_loss(soft(leaf), Y).sum().backward()  # as foolbox does
    assert leaf.grad is not None
    assert float(leaf.grad.abs().max()) > 0
    assert torch.equal(X, inputs)
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(module.training for module in base.modules())
    assert not soft.training
    assert {name: value.requires_grad for name, value in base.named_parameters()} == asked
    assert list(map(id, base.parameters())) == objects
    for name, value in base.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.device == before[name].device
    grads = {name: value.grad for name, value in base.named_parameters()}
    assert torch.equal(grads.pop("1.weight"), torch.ones(3))
    assert all(value is None for value in grads.values())
    assert soft.base is base


def test_a_way_back_taken_twice_meets_the_same_noise():
    soft = smoothed().soft(X, 8, generator=start(3), fresh=True)
    leaf = X.clone().requires_grad_()
    out = soft(leaf)[:, 0].sum()
    soft(leaf)  # other noise
    first, again = (torch.autograd.grad(out, [leaf], retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, again)


def labels_of(x):
    return (x.flatten(1).sum(1) > 0).long()


def as_array(x):
    return np.zeros((len(x), 4), np.float32)


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = network()

    def forward(self, x):
        return self.layer(x.detach())


@torch.no_grad()
def without_gradient(x):
    return network()(x)


@pytest.mark.parametrize("chunk", [None, 5])
def test_a_base_without_gradients_is_refused_and_shown_the_way_out(chunk):
    soft = smoothed(labels_of).soft(X, 4, chunk=chunk)
    with pytest.raises(BaseClassifierError, match=rf"got torch.int64 of shape .*; .*{GENTLE}"):
        soft(X)
    for base in (as_array, without_gradient, Detached().eval()):
        soft = smoothed(base).soft(X, 4, chunk=chunk)
        assert soft(X).shape == (6, 4)  # nobody asked for a gradient
        with pytest.raises(BaseClassifierError, match=rf"must be differentiable.*{GENTLE}"):
            PGDL2(epsilon=0.5).perturb(soft, X, Y, generator=start())


def test_a_single_draw_is_enough():
    soft = smoothed(network()).soft(X, 1, generator=start())
    assert soft.delta.shape == (1, *X.shape)
    assert soft(X).shape == (6, 4)


def test_wrong_arguments_are_refused():
    with pytest.raises(BaseClassifierError, match=r"must be in evaluation mode, got training mode"):
        smoothed(network().train()).soft(X)
    with pytest.raises(
        ValueError, match=r"noise must be additive .*Splitting.*: .*gaussian, .*lap"
    ):
        smoothed(noise=Splitting(0.5)).soft(X)
    for draws in (0, -1):
        with pytest.raises(ValueError, match=f"draws must be at least 1, got {draws}"):
            smoothed().soft(X, draws)
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        smoothed().soft(X, chunk=0)
    with pytest.raises(ValueError, match=r"estimator must be one of .*, got 'mean'"):
        smoothed().soft(X, estimator="mean")
    with pytest.raises(TypeError, match=r"inputs must be floating point.*got torch.int64"):
        smoothed().soft(X.long())
    with pytest.raises(ValueError, match="input 2 must be finite"):
        smoothed().soft(torch.where(torch.arange(6).view(6, 1, 1, 1) == 2, torch.nan, X))
    with pytest.raises(ValueError, match=r"generator must be on meta, .*, got one on cpu; make it"):
        Draws.of(Gaussian(0.5), (2, 3, 4), start(), torch.device("meta"))


def test_what_is_not_the_input_is_given_by_name():
    assert smoothed().soft(x=X, draws=3).delta.shape == (3, *X.shape)
    with pytest.raises(TypeError, match="positional"):
        smoothed().soft(X, 3, start())


def test_a_second_derivative_is_refused_in_place_of_being_zero():
    leaf = X.clone().requires_grad_()
    scores = smoothed().soft(X, 3)(leaf)
    (gradient,) = torch.autograd.grad(scores.square().sum(), [leaf], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
