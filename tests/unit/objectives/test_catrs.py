from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from radii.noise import Gaussian
from radii.objectives import CATRS, OBJECTIVES, GaussianAugmentation
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import (
    assert_finite_at_extreme_scores,
    assert_left_as_it_was,
    assert_noise_must_be_additive,
    assert_refused,
    assert_same_gradients,
    assert_trains_in_bfloat16,
    batch_norm_net,
    divergence,
    net,
    random_weights,
    slope,
    softmax,
)

SIGMA = 0.25
X = torch.linspace(-1, 1, 60).reshape(10, 6)[:, torch.tensor([3, 0, 5, 2, 4, 1])]
Y = torch.tensor([0, 2, 1, 1, 2, 2, 0, 1, 1, 0])
LABEL = CATRS(draws=3, strength=2.0, epsilon=0.5, steps=3)
PREDICTION = CATRS(draws=2, strength=1.0, epsilon=0.8, steps=2, target="prediction")
weights = partial(random_weights, 6, seed=4)


def loss_of(objective, base, *, noise=None, seed=7, x=X, y=Y, num_classes=3):
    smoothed = SmoothedClassifier(base, noise or Gaussian(SIGMA), num_classes)
    return objective.loss(smoothed, x, y, generator=torch.Generator().manual_seed(seed))


def draws_of(objective):
    """Noise, and which of `draws` coins of each input fall below which share."""
    generator = torch.Generator().manual_seed(7)
    delta = Gaussian(SIGMA).draw((objective.draws, *X.shape), generator=generator)
    return delta.double(), torch.rand(objective.draws, len(X), generator=generator)


def deviation(z):
    return math.sqrt(sum((float(value) - float(z.mean())) ** 2 for value in z) / len(z))


def worst(objective, base, x, delta, p):
    """`e` of one input and draw, step by step."""
    found = delta.clone()
    for _ in range(objective.steps):
        leaf = found.clone().requires_grad_()
        high = divergence(p, softmax(base((x + leaf)[None])[0]))
        (gradient,) = torch.autograd.grad(high, [leaf])
        length = float(gradient.square().sum().sqrt())
        moved = found + 2 * objective.epsilon / objective.steps * gradient / length - delta
        size = float(moved.square().sum().sqrt())
        found = delta + moved * min(1.0, objective.epsilon / size)
        found = delta.mean() + (found - found.mean()) * deviation(delta) / deviation(found)
    return found


def plain(objective, base, attacked=None):
    """The paper's loss, what was attacked with the noise that was found, and each K."""
    delta, coins = draws_of(objective)
    draws, found, kept, total = objective.draws, {}, [], 0.0
    for j in range(len(X)):
        y = int(Y[j])
        p = [softmax(base((X[j] + delta[i, j])[None])[0]) for i in range(draws)]
        share = sum(max(range(3), key=lambda c, q=q: q[c]) == y for q in p) / draws
        kept.append(max(1, sum(float(coin) < share for coin in coins[:, j])))
        losses = sorted(-q[y].log() for q in p)
        total = total + sum(losses[: kept[-1]]) / draws
        if kept[-1] == draws:
            target = [torch.tensor(float(c == y)).double() for c in range(3)]
            if objective.target == "prediction":
                target = [sum(q[c].detach() for q in p) / draws for c in range(3)]
            if attacked is None:
                found[j] = (
                    [
                        worst(objective, base, X[j].double(), delta[i, j], target)
                        for i in range(draws)
                    ],
                    target,
                )
            else:
                found[j] = attacked[j]
            values = [
                divergence(found[j][1], softmax(base((X[j] + e)[None])[0])) for e in found[j][0]
            ]
            total = total + objective.strength * max(values)
    return total / len(X), found, kept


@pytest.mark.parametrize("objective", [LABEL, PREDICTION])
def test_value_and_gradient_are_those_of_the_paper(objective):
    parameters = weights()
    base = net(*parameters)
    expected, found, kept = plain(objective, base)
    assert 0 < len(found) < len(X)
    assert {*kept} == {*range(1, objective.draws + 1)}
    loss = loss_of(objective, base)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_same_gradients(loss, expected, parameters, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", [LABEL, PREDICTION])
def test_the_gradient_is_that_of_finite_differences(objective):
    """With the noise and the target held fixed: no gradient flows through either."""
    parameters = weights()
    base = net(*parameters)
    _, found, _ = plain(objective, base)
    gradients = torch.autograd.grad(loss_of(objective, base), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for at in ((0, 0), (1, 2), (4, 1)):
            difference = slope(lambda: plain(objective, base, found)[0], parameter, at)
            assert float(gradient[at]) == pytest.approx(difference, rel=1e-3, abs=1e-5)


def test_a_sure_and_right_classifier_without_strength_is_the_objective_below():
    def base(x):
        return torch.stack([-x[:, 0], 9 + x[:, 0], 0 * x[:, 0]], dim=1)

    x, ones = torch.zeros(5000, 1), torch.ones(5000, dtype=torch.int64)
    below = loss_of(GaussianAugmentation(draws=4), base, x=x, y=ones)
    torch.testing.assert_close(loss_of(CATRS(strength=0.0), base, x=x, y=ones), below)


def test_the_number_of_draws_kept_is_binomial():
    """Two of four draws are right: losses a, a, b, b, of which the K smallest count."""
    inputs = 20_000
    right, wrong = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])

    def base(x):
        rows = torch.cat([right.expand(2 * inputs, 2), wrong.expand(2 * inputs, 2)])
        return rows.clone().requires_grad_()

    loss = loss_of(
        CATRS(draws=4, strength=0.0),
        base,
        x=torch.zeros(inputs, 1),
        y=torch.zeros(inputs, dtype=torch.int64),
        num_classes=2,
    )
    a, b = math.log1p(math.exp(-2)), math.log1p(math.exp(1))
    values = [a / 4, a / 4, 2 * a / 4, (2 * a + b) / 4, (2 * a + 2 * b) / 4]
    chances = [math.comb(4, k) / 16 for k in range(5)]
    mean = sum(c * v for c, v in zip(chances, values, strict=True))
    variance = sum(c * (v - mean) ** 2 for c, v in zip(chances, values, strict=True))
    assert abs(loss.item() - mean) < 5 * math.sqrt(variance / inputs)


class Recorder:
    """Class 1 where the mean of the first half of the coordinates is above -0.3."""

    def __init__(self):
        self.seen = []

    def __call__(self, x):
        self.seen.append(x.detach())
        side = x[:, : x.shape[1] // 2].mean(1) + 0.3
        return 20 * torch.stack([-side, side], dim=1)


def test_the_noise_that_is_found_is_near_as_probable_and_worse():
    base = Recorder()
    x, ones = torch.zeros(50, 400), torch.ones(50, dtype=torch.int64)
    objective = CATRS(draws=2, epsilon=1.0, steps=4)
    loss_of(objective, base, x=x, y=ones, noise=Gaussian(0.5), num_classes=2)
    assert len(base.seen) == 1 + 4 + 1
    drawn, found = base.seen[0], base.seen[-1]
    torch.testing.assert_close(found.mean(1), drawn.mean(1), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(1), drawn.std(1), rtol=1e-4, atol=0)
    moved = (found - drawn).norm(dim=1)
    assert moved.max() < 1.1
    assert moved.min() > 0.5
    # The best that any noise in the ball can do is epsilon / sqrt(200).
    fall = (drawn - found)[:, :200].mean(1)
    assert fall.max() < 1.1 / math.sqrt(200)
    assert fall.min() > 0.4 / math.sqrt(200)


def test_only_inputs_that_are_surely_right_are_attacked():
    base = Recorder()
    x = torch.zeros(50, 400)
    y = (torch.arange(50) < 20).long()  # the last 30 are wrong
    loss_of(CATRS(draws=2, steps=3), base, x=x, y=y, noise=Gaussian(0.1), num_classes=2)
    assert [len(rows) for rows in base.seen] == [100, 40, 40, 40, 100]
    changed = (base.seen[0] != base.seen[-1]).any(1).reshape(2, 50)
    assert changed[:, :20].all()
    assert not changed[:, 20:].any()
    base.seen.clear()
    loss_of(CATRS(draws=2, steps=3), base, x=x, y=0 * y, noise=Gaussian(0.1), num_classes=2)
    assert [len(rows) for rows in base.seen] == [100, 100]  # none is: no search


def test_extreme_scores_have_finite_losses_and_gradients():
    for objective in (LABEL, PREDICTION):
        assert_finite_at_extreme_scores(partial(loss_of, objective), net, weights())


def test_the_search_leaves_the_base_classifier_as_it_was():
    # The noise that was drawn and the one that was found.
    assert_left_as_it_was(lambda base, x: loss_of(LABEL, base, x=x), X, passes=2)


def test_layers_in_bfloat16_give_a_loss_in_float32():
    assert_trains_in_bfloat16(partial(loss_of, LABEL), batch_norm_net(6))


def test_any_additive_noise_will_do_and_no_other():
    base = net(*weights())
    assert_noise_must_be_additive("catrs", lambda noise: loss_of(LABEL, base, noise=noise))


def test_a_spec_and_back():
    for objective in (CATRS(), PREDICTION):
        assert OBJECTIVES.build(OBJECTIVES.spec_of(objective)) == objective


@pytest.mark.parametrize(
    "wrong",
    [
        *({"draws": 1}, {"strength": -1.0}, {"strength": math.inf}, {"epsilon": 0.0}),
        *({"steps": 0}, {"target": "teacher"}),
    ],
)
def test_wrong_arguments(wrong):
    assert_refused(CATRS, wrong)
