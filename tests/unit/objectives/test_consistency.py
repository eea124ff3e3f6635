from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy

from radii.attacks import PGDL2
from radii.noise import Gaussian
from radii.objectives import (
    OBJECTIVES,
    Consistency,
    CopiesObjective,
    GaussianAugmentation,
    SmoothAdv,
    Stability,
)
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import net, random_weights, softmax

SIGMA = 0.5
X = torch.linspace(-1, 1, 12).reshape(4, 3)
Y = torch.tensor([0, 2, 1, 1])


def smoothed_net(*parameters):
    return SmoothedClassifier(net(*parameters), Gaussian(SIGMA), 3)


def loss_of(objective, *parameters):
    generator = torch.Generator().manual_seed(7)
    return objective.loss(smoothed_net(*parameters), X, Y, generator=generator)


@pytest.mark.parametrize(("draws", "strength", "entropy"), [(2, 5.0, 0.5), (3, 1.5, 2.0)])
def test_the_loss_is_that_of_the_paper(draws, strength, entropy):
    parameters = random_weights()
    delta = Gaussian(SIGMA).draw(
        (draws, *X.shape), generator=torch.Generator().manual_seed(7)
    )  # all inputs once, all again, and so on
    base = smoothed_net(*parameters).base
    total = 0.0
    for j in range(len(X)):
        p = [softmax(base(X[j : j + 1] + delta[i, j]).tolist()[0]) for i in range(draws)]
        mean = [sum(p[i][c] for i in range(draws)) / draws for c in range(3)]
        for i in range(draws):
            total -= math.log(p[i][int(Y[j])]) / draws
            kl = sum(mean[c] * math.log(mean[c] / p[i][c]) for c in range(3))
            total += strength * kl / draws
        total -= entropy * sum(mean[c] * math.log(mean[c]) for c in range(3))
    objective = Consistency(strength, entropy, over=GaussianAugmentation(draws))
    assert loss_of(objective, *parameters).item() == pytest.approx(total / len(X), rel=1e-12)


def test_the_gradient_flows_through_the_mean_too():
    objective = Consistency(3.0, 0.5, over=GaussianAugmentation(3))
    assert gradcheck(lambda *parameters: loss_of(objective, *parameters), random_weights())


def test_without_its_terms_it_is_what_it_is_over():
    over = GaussianAugmentation(4)
    assert torch.equal(
        loss_of(Consistency(0.0, 0.0, over=over), *random_weights()),
        loss_of(over, *random_weights()),
    )


def test_equal_strengths_make_the_cross_entropy_relative_to_the_mean():
    # KL(pbar || p_i) + H(pbar) = CE(pbar, p_i)
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 4])
    objective = Consistency(2.0, 2.0)
    mean = scores.softmax(-1).mean(0)
    apart = sum(cross_entropy(scores[i], mean) for i in range(3)) / 3
    expected = objective.over.of_scores(scores, y) + 2.0 * apart
    torch.testing.assert_close(objective.of_scores(scores, y), expected)


def test_equal_copies_leave_the_entropy():
    scores = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64).expand(2, 1, 3)
    y = torch.tensor([1])
    p = scores[0, 0].softmax(-1)
    expected = -p[1].log() - 0.5 * (p * p.log()).sum()
    torch.testing.assert_close(Consistency(100.0, 0.5).of_scores(scores, y), expected)


def test_sure_copies_that_disagree_have_a_finite_loss_and_gradient():
    scores = torch.tensor([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 0.0]]], requires_grad=True)
    loss = Consistency(2.0, 0.5).of_scores(scores, torch.tensor([0]))
    loss.backward()
    # CE is 0 and 2e4; pbar = (1/2, 1/2, 0) to either copy: KL = ln(1/2) + 1/2 2e4; H = ln 2.
    expected = 1e4 + 2.0 * (1e4 - math.log(2)) + 0.5 * math.log(2)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert scores.grad.isfinite().all()


def test_all_copies_pass_the_base_classifier_at_once():
    rows = []

    def base(x):
        rows.append(len(x))
        return x

    objective = Consistency(over=GaussianAugmentation(3))
    objective.loss(SmoothedClassifier(base, Gaussian(1.0), 3), X, Y, generator=torch.Generator())
    assert rows == [3 * len(X)]


@dataclass(frozen=True)
class Growing(GaussianAugmentation):
    """More copies in each epoch."""

    def at(self, epoch):
        return Growing(self.draws + epoch)


@dataclass(frozen=True)
class Undeclared(CopiesObjective):
    """Does not say how many copies it makes: one."""

    def copies(self, smoothed, x, y, *, generator):
        return x.clone()


def test_one_copy_is_refused_when_it_is_made():
    one = SmoothAdv(PGDL2(epsilon=1.0, steps=3), draws=4, train_on="one")
    for over in (GaussianAugmentation(1), one):
        with pytest.raises(ValueError, match="over must make at least 2 noisy copies"):
            Consistency(over=over)
    assert Consistency(over=replace(one, train_on="all")).num_copies == 4
    assert Consistency(over=Consistency(over=GaussianAugmentation(3))).num_copies == 3
    assert Consistency(over=Undeclared()).num_copies is None  # found out with the first batch


def test_what_it_is_over_changes_by_epoch():
    objective = Consistency(3.0, 0.25, over=Growing(2))
    assert objective.at(4) == Consistency(3.0, 0.25, over=Growing(6))
    constant = Consistency()
    assert constant.at(4) is constant


def test_over_smoothadv_both_see_the_same_attacked_copies():
    over = SmoothAdv(PGDL2(epsilon=1.0, steps=3), draws=3, warmup=10)
    objective = Consistency(2.0, 0.5, over=over).at(4)
    assert objective.over == over.at(4) == SmoothAdv(PGDL2(epsilon=0.5, steps=3), 3, 10)
    parameters = random_weights()
    smoothed = smoothed_net(*parameters)
    copies = objective.over.copies(smoothed, X, Y, generator=torch.Generator().manual_seed(7))
    p = smoothed.base(copies).softmax(-1).reshape(3, 4, 3)
    mean = p.mean(0)
    expected = (
        loss_of(objective.over, *parameters)
        + 2.0 * (mean * (mean / p).log()).sum(-1).mean()
        - 0.5 * (mean * mean.log()).sum(-1).mean()
    )
    loss = loss_of(objective, *parameters)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters)
    )
    assert loss_of(over, *parameters) > loss_of(GaussianAugmentation(3), *parameters)


def test_a_spec_within_a_spec_within_a_spec():
    spec = "consistency:strength=5,over=smoothadv(attack=pgd_l2(epsilon=1.0,steps=10),draws=4)"
    objective = OBJECTIVES.build(spec)
    assert objective == Consistency(5.0, over=SmoothAdv(PGDL2(epsilon=1.0, steps=10), draws=4))
    assert OBJECTIVES.build(OBJECTIVES.spec_of(objective)) == objective
    table = {
        "name": "smoothadv",
        "draws": 4,
        "attack": {"name": "pgd_l2", "epsilon": 1.0, "steps": 10},
    }
    assert OBJECTIVES.build({"name": "consistency", "strength": 5, "over": table}) == objective


@pytest.mark.parametrize(
    "spec", ["consistency", "consistency:strength=10.0,over=gaussian(draws=4)"]
)
def test_its_spec_names_what_it_is_over(spec):
    objective = OBJECTIVES.build(spec)
    assert OBJECTIVES.spec_of(objective) == spec
    assert isinstance(objective.over, GaussianAugmentation)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"over must make at least 2 noisy copies .* got 1 of"):
        Consistency(over=GaussianAugmentation())
    with pytest.raises(ValueError, match="over must make at least 2 noisy copies"):
        loss_of(Consistency(over=Undeclared()), *random_weights())
    attack = PGDL2(epsilon=0.5, steps=1)
    with pytest.raises(ValueError, match="over must make at least 2 noisy copies"):
        loss_of(Consistency(over=SmoothAdv(attack, train_on="one")), *random_weights())
    with pytest.raises(ValueError, match=r"strength must be .* got -1"):
        Consistency(strength=-1.0)
    with pytest.raises(ValueError, match=r"entropy must be .* got inf"):
        Consistency(entropy=math.inf)
    with pytest.raises(TypeError, match="over must be an objective of noisy copies, got Stability"):
        Consistency(over=Stability())
