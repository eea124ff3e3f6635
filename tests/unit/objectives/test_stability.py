from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy

from radii.noise import Gaussian, Uniform
from radii.objectives import Stability
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import net, random_weights, softmax

X = torch.linspace(-1, 1, 12).reshape(4, 3)
Y = torch.tensor([0, 2, 1, 1])


def loss_of(objective, *parameters, noise):
    generator = torch.Generator().manual_seed(7)
    return objective.loss(SmoothedClassifier(net(*parameters), noise, 3), X, Y, generator=generator)


@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(1.0)])
@pytest.mark.parametrize("strength", [2.0, 0.5])
def test_the_loss_is_that_of_the_paper(noise, strength):
    parameters = random_weights()
    delta = noise.draw(X.shape, generator=torch.Generator().manual_seed(7))
    base = net(*parameters)
    total = 0.0
    for j in range(len(X)):
        p = softmax(base(X[j : j + 1]).tolist()[0])
        q = softmax(base(X[j : j + 1] + delta[j]).tolist()[0])
        total -= math.log(p[int(Y[j])])
        total -= strength * sum(p[c] * math.log(q[c]) for c in range(3))
    loss = loss_of(Stability(strength), *parameters, noise=noise)
    assert loss.item() == pytest.approx(total / len(X), rel=1e-12)


def test_the_gradient_flows_through_the_target_too():
    assert gradcheck(
        lambda *parameters: loss_of(Stability(), *parameters, noise=Gaussian(0.5)), random_weights()
    )


def test_without_strength_the_noise_does_not_matter():
    parameters = random_weights()
    expected = cross_entropy(net(*parameters)(X), Y)
    torch.testing.assert_close(
        loss_of(Stability(0.0), *parameters, noise=Gaussian(0.5)), expected, rtol=0, atol=0
    )


def test_without_noise_entropy_is_added():
    parameters = random_weights()
    scores = net(*parameters)(X)
    p = scores.softmax(-1)
    expected = cross_entropy(scores, Y) - 2.0 * (p * p.log()).sum(-1).mean()
    loss = loss_of(Stability(2.0), *parameters, noise=Gaussian(1e-9))
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


def test_sure_answers_that_change_have_a_finite_loss_and_gradient():
    scores = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = Stability(2.0).loss(
        SmoothedClassifier(lambda x: scores, Gaussian(1.0), 2),
        torch.zeros(1, 1),
        torch.tensor([0]),
        generator=torch.Generator(),
    )
    loss.backward()
    assert loss.item() == 2 * 2e4
    assert scores.grad.isfinite().all()


def test_batch_norm_sees_the_mixture_of_inputs_with_and_without_noise():
    layer = nn.BatchNorm1d(3, momentum=1.0)
    Stability().loss(
        SmoothedClassifier(layer, Gaussian(2.0), 3),
        X,
        Y,
        generator=torch.Generator().manual_seed(7),
    )
    assert layer.num_batches_tracked == 1
    delta = Gaussian(2.0).draw(X.shape, generator=torch.Generator().manual_seed(7))
    both = torch.cat([X, X + delta])
    torch.testing.assert_close(layer.running_mean, both.mean(0))
    torch.testing.assert_close(layer.running_var, both.var(0))


@pytest.mark.parametrize("strength", [-1.0, math.inf, math.nan])
def test_wrong_strengths(strength):
    with pytest.raises(ValueError, match="strength must be at least 0, got"):
        Stability(strength)
