from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from radii.noise import Gaussian
from radii.objectives import OBJECTIVES, GaussianAugmentation, SmoothMix
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
    random_weights,
    slope,
    softmax,
)

SIGMA = 0.5
X = torch.linspace(0.05, 0.95, 24).reshape(8, 3)[:, torch.tensor([2, 0, 1])]
Y = torch.tensor([0, 2, 1, 1, 0, 2, 0, 1])
PLAIN = SmoothMix(draws=3, strength=2.0, steps=3, step=0.4)
VARIANTS = [
    PLAIN,
    SmoothMix(draws=1, strength=0.5, steps=1, step=0.7),
    SmoothMix(draws=3, strength=2.0, steps=3, step=0.4, start=0.4),
    SmoothMix(draws=2, strength=2.0, steps=4, step=0.3, start=0.1, max_norm=0.5),
    SmoothMix(draws=2, strength=1.0, steps=3, step=0.5, start=0.5, low=0.0, high=1.0),
]


weights = partial(random_weights, seed=1)


def net(first, second):
    return lambda x: (2 * x.double() @ first).tanh() @ second


def loss_of(objective, base, *, noise=None, seed=7, x=X, y=Y):
    smoothed = SmoothedClassifier(base, noise or Gaussian(SIGMA), 3)
    return objective.loss(smoothed, x, y, generator=torch.Generator().manual_seed(seed))


def mean_softmax(base, x, deltas):
    each = [softmax(base((x + delta)[None])[0]) for delta in deltas]
    return [sum(p[c] for p in each) / len(each) for c in range(len(each[0]))]


def norm(vector):
    return float(vector.square().sum().sqrt())


def ends(objective, base, x, y, deltas):
    """`x_0` and `x_T` of one input, step by step."""
    far, near = x.double(), x.double()
    for taken in range(objective.steps):
        leaf = far.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(-mean_softmax(base, leaf, deltas)[y].log(), [leaf])
        far = far + objective.step * gradient / norm(gradient)
        if objective.max_norm is not None and norm(far - x) > objective.max_norm:
            far = x + (far - x) * objective.max_norm / norm(far - x)
        if objective.low is not None:
            far = far.clamp(objective.low, objective.high)
        if taken == 0 and objective.start > 0:
            near = x + (far - x) * min(1.0, objective.start / norm(far - x))
    return near, far


def draws_of(objective):
    generator = torch.Generator().manual_seed(7)
    delta = Gaussian(SIGMA).draw((objective.draws, *X.shape), generator=generator)
    return delta.double(), torch.rand(len(X), generator=generator).double() / 2


def plain(objective, base, found):
    """The paper's loss with given ends, and which inputs are mixed."""
    delta, weight = draws_of(objective)
    total, right = 0.0, []
    for j, (near, far) in enumerate(found):
        y, deltas = int(Y[j]), delta[:, j]
        phat = mean_softmax(base, near, deltas)
        right.append(max(range(3), key=lambda c, phat=phat: phat[c]) == y)
        mixed = (1 - weight[j]) * near + weight[j] * far
        for i in range(objective.draws):
            total = total - softmax(base((near + deltas[i])[None])[0])[y].log()
            if right[-1]:
                q = softmax(base((mixed + deltas[i])[None])[0])
                target = [(1 - weight[j]) * p + weight[j] / 3 for p in phat]
                total = total + objective.strength * divergence(target, q)
    return total / (len(X) * objective.draws), right


@pytest.mark.parametrize("objective", VARIANTS)
def test_value_and_gradient_are_those_of_the_paper(objective):
    parameters = weights()
    base = net(*parameters)
    delta, _ = draws_of(objective)
    found = [ends(objective, base, X[j], int(Y[j]), delta[:, j]) for j in range(len(X))]
    expected, right = plain(objective, base, found)
    loss = loss_of(objective, base)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert {*right} == {True, False}
    assert_same_gradients(loss, expected, parameters, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    """With the ends held fixed: no gradient flows through the search."""
    parameters = weights()
    delta, _ = draws_of(PLAIN)
    base = net(*parameters)
    found = [ends(PLAIN, base, X[j], int(Y[j]), delta[:, j]) for j in range(len(X))]
    gradients = torch.autograd.grad(loss_of(PLAIN, base), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for at in ((0, 0), (1, 2), (2, 1)):
            difference = slope(lambda: plain(PLAIN, base, found)[0], parameter, at)
            assert float(gradient[at]) == pytest.approx(difference, rel=1e-3, abs=1e-5)


def test_without_strength_it_is_the_objective_below():
    base = net(*weights())
    below = loss_of(GaussianAugmentation(draws=3), base)
    torch.testing.assert_close(loss_of(SmoothMix(draws=3, strength=0.0), base), below)
    assert loss_of(PLAIN, base) > below


def test_inputs_that_are_wrong_are_not_mixed():
    base = net(*weights())
    delta, _ = draws_of(PLAIN)
    phat = base((X + delta).flatten(0, 1)).softmax(-1).reshape(3, 8, 3).mean(0)
    wrong = (phat.argmax(-1) + 1) % 3
    torch.testing.assert_close(
        loss_of(PLAIN, base, y=wrong), loss_of(GaussianAugmentation(draws=3), base, y=wrong)
    )


class Recorder:
    """A linear base classifier of two classes, in whose scores the label 0 falls along -x_0."""

    def __init__(self):
        self.seen = []

    def __call__(self, x):
        self.seen.append(x.detach())
        scores = torch.stack([x[:, 0], -x[:, 0]], dim=1)
        return scores * torch.ones(1, requires_grad=True)


@pytest.mark.parametrize(
    ("limits", "start", "reach"),
    [
        ({}, 0.0, 2.0),
        ({"max_norm": 1.25}, 0.0, 1.25),
        ({"low": -0.5, "high": 3.0}, 0.0, 1.5),
        ({"start": 0.5}, 0.5, 2.0),
        ({"start": 0.25}, 0.25, 2.0),
    ],
)
def test_the_mixture_lies_between_the_ends(limits, start, reach):
    base = Recorder()
    x = torch.full((200, 2), 1.0)
    SmoothMix(draws=2, steps=4, step=0.5, strength=1.0, **limits).loss(
        SmoothedClassifier(base, Gaussian(SIGMA), 2),
        x,
        torch.zeros(200, dtype=torch.int64),
        generator=torch.Generator().manual_seed(0),
    )
    assert len(base.seen) == 4 + 2
    first, clean, mixed = (base.seen[at].reshape(2, 200, 2) for at in (0, 4, 5))
    delta = first - x
    torch.testing.assert_close(clean - delta, (x - torch.tensor([start, 0.0])).expand(2, 200, 2))
    moved = x - (mixed - delta)
    torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=1e-5)  # one weight for all draws
    assert moved[..., 1].abs().max() < 1e-5
    share = (moved[0, :, 0] - start) / (reach - start)
    assert share.min() > -1e-5
    assert share.max() < 0.5 + 1e-5
    # Uniform on [0, 1/2]: a deviation of 1 / sqrt(48), a mean of 200.
    assert abs(float(share.mean()) - 0.25) < 5 / math.sqrt(48 * 200)


def test_strength_and_start_warm_up():
    objective = SmoothMix(strength=5.0, start=1.0, warmup=10)
    assert [objective.at(epoch).strength for epoch in (0, 1, 8)] == [0.5, 1.0, 4.5]
    assert [objective.at(epoch).start for epoch in (0, 1, 8)] == [0.1, 0.2, 0.9]
    assert objective.at(9) is objective
    assert objective.at(3).at(3) == objective.at(3)
    assert SmoothMix(warmup=0).at(0).strength == 5.0
    assert OBJECTIVES.build(OBJECTIVES.spec_of(objective)) == objective


def test_extreme_scores_have_finite_losses_and_gradients():
    assert_finite_at_extreme_scores(partial(loss_of, PLAIN), net, weights())


def test_the_search_leaves_the_base_classifier_as_it_was():
    # Noisy copies and mixtures, no step of the search.
    assert_left_as_it_was(lambda base, x: loss_of(PLAIN, base, x=x), X, passes=2)


def test_layers_in_bfloat16_give_a_loss_in_float32():
    loss = assert_trains_in_bfloat16(partial(loss_of, PLAIN), batch_norm_net(3))
    exact = loss_of(PLAIN, batch_norm_net(3)).detach()
    torch.testing.assert_close(loss, exact, rtol=0.1, atol=0.1)


def test_any_additive_noise_will_do_and_no_other():
    base = net(*weights())
    assert_noise_must_be_additive("smoothmix", lambda noise: loss_of(PLAIN, base, noise=noise))


def test_inputs_outside_the_box_are_refused():
    with pytest.raises(ValueError, match=r"^x must be in \[0, 0\.5\], got values from"):
        loss_of(SmoothMix(low=0.0, high=0.5), net(*weights()))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"draws": 0}, {"strength": -1.0}, {"strength": math.nan}, {"steps": 0}),
        *({"step": 0.0}, {"start": -0.1}, {"start": math.inf}, {"max_norm": 0.0}),
        *({"warmup": -1}, {"low": 0.0}),
    ],
)
def test_wrong_arguments(wrong):
    assert_refused(SmoothMix, wrong, "( and high)?")
