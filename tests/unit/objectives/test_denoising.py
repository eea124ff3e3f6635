from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from radii.errors import TrainingError
from radii.models import DenoisedClassifier
from radii.noise import Gaussian, Splitting, Uniform
from radii.objectives import Denoising
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import assert_refused, normal_parameters, slope

X = torch.linspace(-1, 1, 12).reshape(4, 3)
Y = torch.tensor([0, 2, 1, 1])
NOISE = Gaussian(0.5)


class Double(nn.Module):
    """What follows computes in float64."""

    def forward(self, x):
        return x.double()


def toy():
    denoiser = nn.Sequential(Double(), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    base = nn.Sequential(Double(), nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)).eval()
    return normal_parameters(DenoisedClassifier(denoiser, base).double(), seed=0)


def loss_of(objective, base, noise=NOISE, y=Y, x=X):
    generator = torch.Generator().manual_seed(7)
    return objective.loss(SmoothedClassifier(base, noise, 3), x, y, generator=generator)


def by_hand(module, error, stability, delta):
    """Input by input, in plain numbers."""
    total = 0.0
    with torch.no_grad():
        for x, d in zip(X, delta, strict=True):
            cleaned = module.denoiser((x + d)[None])
            squares = [(a - b) ** 2 for a, b in zip(cleaned[0].tolist(), x.tolist(), strict=True)]
            answers = module.base(x[None])[0].tolist()
            scores = module.base(cleaned)[0].tolist()
            label = answers.index(max(answers))
            sure = math.log(sum(math.exp(score) for score in scores)) - scores[label]
            total += error * sum(squares) / len(squares) + stability * sure
    return total / len(X)


CASES = [(1.0, 0.0), (0.0, 1.0), (1.0, 0.1), (0.3, 2.0)]


@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(1.0)])
@pytest.mark.parametrize(("error", "stability"), CASES)
def test_the_loss_is_that_of_the_paper(noise, error, stability):
    module = toy()
    delta = noise.draw(X.shape, generator=torch.Generator().manual_seed(7))
    loss = loss_of(Denoising(error, stability), module, noise)
    assert loss.item() == pytest.approx(by_hand(module, error, stability, delta), rel=1e-12)


@pytest.mark.parametrize(("error", "stability"), CASES)
def test_the_gradient_is_the_slope_of_the_loss(error, stability):
    module = toy()
    delta = NOISE.draw(X.shape, generator=torch.Generator().manual_seed(7))
    loss_of(Denoising(error, stability), module).backward()
    for parameter in module.denoiser.parameters():
        at = (0,) * parameter.ndim
        found = slope(
            lambda: torch.tensor(by_hand(module, error, stability, delta), dtype=torch.float64),
            parameter,
            at,
        )
        assert parameter.grad[at].item() == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_gradcheck_in_the_weights_of_the_denoiser():
    module = toy()
    weights = dict(module.denoiser.named_parameters())

    def loss(*values):
        replaced = dict(zip(weights, values, strict=True))

        class Functional(nn.Module):
            base = module.base

            def denoise(self, x):
                return torch.func.functional_call(module.denoiser, replaced, (x,))

        return loss_of(Denoising(stability=0.5), Functional())

    given = [value.detach().clone().requires_grad_() for value in weights.values()]
    assert gradcheck(loss, given)


def test_the_labels_are_not_used():
    module = toy()
    losses = [loss_of(Denoising(stability=1.0), module, y=y).item() for y in (Y, 2 - Y)]
    assert losses[0] == losses[1]


def test_no_gradient_flows_through_the_answer_without_noise():
    module = toy()
    x = X.clone().requires_grad_()
    with torch.no_grad():
        answers = module.base(X).argmax(1)
    generator = torch.Generator().manual_seed(7)
    cleaned = module.denoise(NOISE.apply(X, generator=generator))
    expected = nn.functional.cross_entropy(module.base(cleaned), answers)
    loss = loss_of(Denoising(error=0.0, stability=1.0), module, x=x)
    weights = list(module.parameters())
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights)
    )
    assert x.grad is None


def test_the_error_alone_asks_nothing_of_the_classifier():
    class Never(nn.Module):
        def forward(self, x):
            raise AssertionError

    module = DenoisedClassifier(nn.Identity(), Never().eval())
    delta = Gaussian(2.0).draw(X.shape, generator=torch.Generator().manual_seed(7))
    loss = loss_of(Denoising(), module, Gaussian(2.0))
    torch.testing.assert_close(loss, delta.square().mean())
    with pytest.raises(AssertionError):
        loss_of(Denoising(stability=1.0), module)


def test_noise_need_not_be_additive():
    x = X.abs()
    assert loss_of(Denoising(), toy(), Splitting(0.5), x=x).isfinite()


def test_a_denoiser_may_be_inside_another_module():
    inner = toy()
    inside, plain = (
        loss_of(Denoising(), module).item()
        for module in (nn.Sequential(nn.Identity(), inner), inner)
    )
    assert inside == plain


def test_a_classifier_without_a_denoiser_is_refused():
    for base in (nn.Linear(3, 3), lambda x: x):
        with pytest.raises(TrainingError, match="the base classifier has none; give one"):
            loss_of(Denoising(), base)


def test_layers_in_bfloat16_have_a_loss_in_float32():
    module = DenoisedClassifier(nn.Linear(3, 3), nn.Linear(3, 3).eval())
    with torch.autocast("cpu", torch.bfloat16):
        assert module.denoise(X).dtype == torch.bfloat16
        loss = loss_of(Denoising(stability=1.0), module)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad.isfinite().all() for p in module.denoiser.parameters())


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["error", "stability"])
def test_wrong_weights(name, value):
    assert_refused(Denoising, {name: value})


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ValueError, match="error must be positive where stability is 0"):
        Denoising(error=0.0)
