"""The margin and the losses that attacks raise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtri_exp
from torch import nn
from torch.nn import functional

from radii.smoothing import SoftClassifier
from radii.smoothing.estimators import AVERAGES, normal_quantile


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def margin(scores):
    return AVERAGES["margin"].of(scores)


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 2e-12), (torch.float32, 3e-6)])
def test_the_quantile_of_a_log_probability(dtype, rounding):
    # scipy's ndtri_exp inverts the log of the normal distribution function by itself.
    logs = -np.concatenate([math.log(2) + np.logspace(-12, 2, 500), np.logspace(0, 30, 500)])
    log_p = torch.tensor(logs, dtype=dtype)
    expected = torch.from_numpy(ndtri_exp(log_p.double().numpy()))
    found = normal_quantile(log_p).double()
    error = (found - expected).abs() / expected.abs().clamp(min=0.1)
    assert float(error.max()) < rounding


def test_derivatives_of_the_quantile():
    log_p = torch.tensor([-0.7, -1.0, -5.0, -80.0, -3e4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normal_quantile, (log_p,))
    assert torch.autograd.gradgradcheck(normal_quantile, (log_p,))
    (slope,) = torch.autograd.grad(normal_quantile(log_p).sum(), [log_p])
    assert float(slope[-1]) == pytest.approx(1 / math.sqrt(6e4), rel=1e-3)


@pytest.mark.parametrize("gap", [0.0, 1.0, 30.0, 110.0, 1e4, 1e6])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_probabilities_round_to_zero_or_one_the_margin_keeps_its_gradient(gap, sign):
    # Of two draws the second is the surer: from a gap of 17 on, float32 rounds the mean probability
    # of the first class to 1 (or 0), from 104 on that of the others to 0 (or 1).
    gaps = sign * torch.tensor([gap, gap + 3])
    scores = torch.stack([gaps, torch.zeros(2), torch.zeros(2) - 1], dim=1)[:, None]
    scores.requires_grad_()
    z = margin(scores)
    assert bool(z.isfinite().all())
    for y in range(3):
        loss = AVERAGES["margin"].loss(z, torch.tensor([y]))
        (gradient,) = torch.autograd.grad(loss.sum(), [scores], retain_graph=True)
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().max()) > 0.1 / math.sqrt(gap + 3)
        assert float(gradient[..., y].sum()) < 0  # the loss of a label falls with its score
    reference = scores.detach().double()
    log_p = functional.log_softmax(reference, dim=2).logsumexp(0) - math.log(2)
    if sign > 0:
        expected = -ndtri_exp(float(log_p[0, 1:].logsumexp(0)))
        assert float(z.detach()[0, 0]) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(
        z[0, 1:].detach().double(),
        torch.from_numpy(ndtri_exp(log_p[0, 1:].numpy())),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_class_that_no_draw_allows():
    scores = torch.tensor([[[0.0, 1.0, -math.inf]], [[2.0, 0.0, -math.inf]]], requires_grad=True)
    z = margin(scores)
    (gradient,) = torch.autograd.grad((z[0, 0] - z[0, 1]), [scores])
    assert bool(z.isfinite().all())
    assert bool(gradient.isfinite().all())
    p = functional.softmax(scores.detach(), dim=2).mean(0)[0]
    torch.testing.assert_close(z[0, :2].detach(), torch.special.ndtri(p[:2]))


def test_two_halves_have_margin_zero_and_a_gradient():
    scores = torch.zeros(3, 1, 2, dtype=torch.float64, requires_grad=True)
    z = margin(scores)
    (gradient,) = torch.autograd.grad(z[0, 0], [scores])
    assert float(z.detach().abs().max()) < 1e-7
    # p moves by p (1 - p) / 3 with each score, and the quantile by sqrt(2 pi) with p.
    torch.testing.assert_close(
        gradient[:, 0, 0], torch.full((3,), math.sqrt(2 * math.pi) / 12).double()
    )
    (other,) = torch.autograd.grad(margin(scores)[0, 1], [scores])
    torch.testing.assert_close(other[:, 0, 1], gradient[:, 0, 0])
    torch.testing.assert_close(other[:, 0, 0], -gradient[:, 0, 0])


def test_losses():
    y = torch.tensor([1, 0])
    outputs = torch.tensor([[0.5, 2.0, 1.0], [-1.0, 0.5, 0.75]])
    found = {name: average.loss(outputs, y).tolist() for name, average in AVERAGES.items()}
    assert found["margin"] == [-1.0, 1.75]
    assert found["plug_in"] == found["expectation"] == [-2.0, 1.0]
    lse = [math.log(sum(map(math.exp, row))) for row in outputs.tolist()]
    assert found["logits"] == pytest.approx([lse[0] - 2.0, lse[1] + 1.0])


class Side(nn.Module):
    """Softmax scores `Phi(+-slope (w x - b))` of the sides of a plane."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        w = x.new_tensor([0.6, 0.8])
        distance = self.slope * (x @ w - 0.1)
        return torch.special.log_ndtr(torch.stack([-distance, distance], dim=1))


def quantiles(sigma, many):
    """`(many, 2)`. Gaussian noise along the normal of the plane, in parts of equal weight."""
    p = (torch.arange(many, dtype=torch.float64) + 0.5) / many
    return sigma * torch.special.ndtri(p)[:, None] * torch.tensor([0.6, 0.8]).double()


@pytest.mark.parametrize("slope", [0.5, 4.0, 100.0])
def test_on_a_plane_the_margin_is_the_distance(slope):
    # Lemma 2 of Salman et al. 2019: sigma Phi^-1(p) is 1-Lipschitz; a half-space attains it. Under
    # the noise p is Phi(a d) at distance d, with a = slope / sqrt(1 + slope^2 sigma^2) < 1 / sigma.
    sigma = 0.5
    a = slope / math.sqrt(1 + (slope * sigma) ** 2)
    x = torch.tensor([[0.1, 0.05], [0.5, -0.2], [-0.3, 0.4]], dtype=torch.float64)
    delta = quantiles(sigma, 20_001)[:, None].expand(-1, 3, -1)
    leaf = x.clone().requires_grad_()
    z = SoftClassifier(Side(slope), delta, "margin")(leaf)
    d = x @ x.new_tensor([0.6, 0.8]) - 0.1
    torch.testing.assert_close(z[:, 1].detach(), a * d, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(z.sum(1), torch.zeros(3).double())
    (gradient,) = torch.autograd.grad(z[:, 1].sum(), [leaf])
    torch.testing.assert_close(
        gradient, (a * x.new_tensor([0.6, 0.8])).expand(3, 2), rtol=2e-3, atol=0
    )
    assert float(gradient.norm(dim=1).max()) * sigma < 1 + 1e-4


def test_on_a_network_the_margin_is_lipschitz():
    sigma = 0.3
    base = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_(0, 3, generator=start(4))
    x = torch.linspace(-2, 2, 101, dtype=torch.float64)[:, None].requires_grad_()
    p = (torch.arange(5_000, dtype=torch.float64) + 0.5) / 5_000
    delta = sigma * torch.special.ndtri(p)[:, None, None].expand(-1, 101, 1)
    z = SoftClassifier(base, delta, "margin")(x)
    slopes = [torch.autograd.grad(z[:, c].sum(), [x], retain_graph=True)[0] for c in range(3)]
    steepest = sigma * torch.cat(slopes, dim=1).abs()
    near = z.detach().abs() < 2.5  # so many draws still stand for the law of the noise there
    assert int(near.sum()) > 100
    assert float(steepest[near].max()) <= 1.01
    assert float(steepest[near].max()) > 0.9
