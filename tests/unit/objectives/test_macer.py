from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri, ndtri_exp
from torch.autograd import gradcheck

from radii.errors import TrainingError
from radii.noise import Gaussian, Laplace
from radii.objectives import OBJECTIVES, Macer, radius_estimate
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import assert_refused, net, random_weights, softmax

SIGMA = 0.5
X = torch.linspace(-2, 2, 24).reshape(8, 3)
Y = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1])
OBJECTIVE = Macer(draws=5, strength=3.0, beta=2.0, gamma=1.5)
weights = partial(random_weights, seed=2)


def loss_of(objective, *parameters, noise=None):
    smoothed = SmoothedClassifier(net(*parameters), noise or Gaussian(SIGMA), 3)
    return objective.loss(smoothed, X, Y, generator=torch.Generator().manual_seed(7))


def plain(objective, base):
    """The paper's loss, and what became of each input."""
    draws = objective.draws
    delta = Gaussian(SIGMA).draw((draws, *X.shape), generator=torch.Generator().manual_seed(7))
    total, kinds = 0.0, []
    for j in range(len(X)):
        y = int(Y[j])
        scores = [base(X[j : j + 1] + delta[i, j]).tolist()[0] for i in range(draws)]
        p = np.mean([softmax(row) for row in scores], axis=0)
        z = np.mean([softmax([objective.beta * s for s in row]) for row in scores], axis=0)
        total -= math.log(p[y] + 1e-10)
        first, second = np.sort(z)[::-1][:2]
        xi = ndtri(first) - ndtri(second)
        if z.argmax() != y:
            kinds.append("wrong")
        elif abs(xi) > objective.gamma:
            kinds.append("far")
        else:
            kinds.append("near")
            total += objective.strength * SIGMA / 2 * (objective.gamma - xi)
    return total / len(X), kinds


@pytest.mark.parametrize("objective", [OBJECTIVE, Macer(), Macer(draws=1, strength=0.0)])
def test_the_loss_is_that_of_the_paper(objective):
    parameters = weights()
    expected, kinds = plain(objective, net(*parameters))
    assert loss_of(objective, *parameters).item() == pytest.approx(expected, rel=1e-9)
    if objective is OBJECTIVE:
        assert {*kinds} == {"wrong", "far", "near"}


def test_the_gradient_is_that_of_the_loss():
    assert gradcheck(lambda *parameters: loss_of(OBJECTIVE, *parameters), weights())


def test_the_estimate_of_a_half_space_is_its_distance():
    # Cohen et al. 2019: the radius of a linear classifier is exact. With a large beta the softmax
    # is a vote, and the deviation of Phi^-1 of a frequency is sqrt(p (1 - p) / n) / phi.
    distance, n = 0.7, 200_000
    delta = Gaussian(SIGMA).draw((n, 1), generator=torch.Generator().manual_seed(0))
    side = distance + delta
    scores = torch.stack([side, -side], dim=-1)
    p = ndtr(distance / SIGMA)
    phi = math.exp(-((distance / SIGMA) ** 2) / 2) / math.sqrt(2 * math.pi)
    deviation = SIGMA * math.sqrt(p * (1 - p) / n) / phi
    right = radius_estimate(scores, torch.tensor([0]), sigma=SIGMA, beta=1e4)
    assert abs(right.item() - distance) < 4 * deviation
    wrong = radius_estimate(scores, torch.tensor([1]), sigma=SIGMA, beta=1e4)
    assert wrong.item() == pytest.approx(-right.item(), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_classes", [2, 10, 1_000_000])
def test_the_clamp_is_never_met_where_the_hinge_counts(dtype, num_classes):
    """The label's score is 0, all others' -t: q = (C - 1) z_2, the least z_2 for its q."""
    log_others = math.log(num_classes - 1)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4 if num_classes < 100 else 1e-3
    for t in [*np.linspace(0.25, 90, 40), 104.0, 200.0, 800.0]:
        scores = torch.full((1, 1, num_classes), -t, dtype=dtype)
        scores[..., 0] = 0.0
        found = radius_estimate(scores, torch.tensor([0]), sigma=2.0).item()
        log_z = -np.logaddexp(0.0, log_others - t)  # of the label
        log_z2 = log_z - t
        if log_others > t:  # the quantile of the larger tail
            of_label = ndtri_exp(log_z)
        else:
            of_label = -ndtri_exp(log_others + log_z2)
        xi = of_label - ndtri_exp(log_z2)
        if xi <= 24:
            assert found == pytest.approx(xi, rel=tolerance, abs=tolerance)
        else:
            assert 24 < found < math.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_certain_answers_have_finite_losses_and_gradients(dtype):
    size = 1e4
    scores = torch.tensor(
        [[[size, -size, 0.0], [-size, size, 0.0], [-size, -size, size]]] * 2, dtype=dtype
    ).requires_grad_()
    z = scores.softmax(-1).mean(0)
    assert {*z.flatten().tolist()} == {0.0, 1.0}
    y = torch.tensor([0, 0, 0])  # right, wrong, wrong
    estimate = radius_estimate(scores, y, sigma=1.0)
    assert estimate.isfinite().all()
    assert (estimate > 0).tolist() == [True, False, False]
    loss = Macer(draws=2).loss(
        SmoothedClassifier(lambda x: scores.flatten(0, 1), Gaussian(1.0), 3),
        torch.zeros(3, 1),
        y,
        generator=torch.Generator(),
    )
    loss.backward()
    # The hinge adds nothing: the first is too far, the others are wrong.
    assert loss.item() == pytest.approx(-2 / 3 * math.log(1e-10), rel=1e-6)
    assert scores.grad.isfinite().all()
    (of_estimate,) = torch.autograd.grad(
        radius_estimate(scores, y, sigma=1.0).sum(), [scores], allow_unused=True
    )
    assert of_estimate.isfinite().all()


def test_the_hinge_is_deferred():
    objective = Macer(draws=5, strength=3.0, beta=2.0, gamma=1.5, deferred=3)
    assert [objective.at(epoch).strength for epoch in range(5)] == [0.0, 0.0, 0.0, 3.0, 3.0]
    assert objective.at(3) is objective
    assert OBJECTIVES.build(OBJECTIVES.spec_of(objective)) == objective
    plainly = loss_of(Macer(draws=5, strength=0.0), *weights())
    assert torch.equal(loss_of(objective.at(2), *weights()), plainly)
    assert loss_of(objective.at(3), *weights()) > plainly


def test_another_noise_is_refused():
    with pytest.raises(TrainingError, match=r"noise of macer must be Gaussian, got Laplace"):
        loss_of(Macer(), *weights(), noise=Laplace(0.5))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"draws": 0}, {"strength": -1.0}, {"strength": math.nan}, {"beta": 0.0}),
        *({"gamma": 0.0}, {"gamma": 25.0}, {"deferred": -1}),
    ],
)
def test_wrong_arguments(wrong):
    assert_refused(Macer, wrong)
