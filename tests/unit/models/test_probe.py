import numpy as np
import pytest
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models import MLP, InPrecision, LeNet, ResNet20, check_answers, initialise

SHAPE = (1, 28, 28)


def lenet():
    return initialise(LeNet(), SHAPE, 10, seed=0).eval()


def scores(x):
    flat = x.flatten(1)
    return torch.stack([flat.sum(1), flat[:, 0], -flat[:, 1]], dim=1)


@pytest.mark.parametrize(
    ("module", "shape", "classes"),
    [
        (lenet(), SHAPE, 10),
        (lenet(), SHAPE, None),
        (InPrecision(lenet()).eval(), SHAPE, 10),
        (InPrecision(initialise(ResNet20(), (3, 32, 32), 10, seed=0)).eval(), (3, 32, 32), 10),
        (initialise(MLP(), (7,), 3, seed=0).eval(), (7,), 3),
        (scores, (2, 5), 3),
        (lambda x: scores(x).argmax(1), (5,), 3),
        (lambda x: scores(x).argmax(1), (5,), None),
        (lambda x: x.flatten(1).sum(1) > 0, (5,), 2),
        (lambda x: torch.zeros(len(x), 3), (5,), 3),
        (lambda x: torch.log(torch.tensor([[0.0, 1.0]])).expand(len(x), 2), (5,), 2),
        (lambda x: scores(x).half(), (5,), 3),
        (lambda x: scores(x).numpy(), (5,), 3),
    ],
)
def test_what_is_a_classifier_passes(module, shape, classes):
    check_answers(module, shape, classes)


def with_batch_norm():
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))


class InTraining:
    """Hides a module, as a function or a file would."""

    def __init__(self, module):
        self.module = module.train()

    def __call__(self, x):
        return self.module(x)


DEPENDS = "must look at each row by itself, or no certificate holds; but"
WRONG = {
    "training mode": (lenet().train(), "in evaluation mode, got training mode; call base.eval"),
    "batch norm": (InTraining(with_batch_norm()), DEPENDS + " given alone, .* failed on inputs"),
    "batch norm of images": (
        InTraining(initialise(ResNet20(), SHAPE, 10, seed=0)),
        DEPENDS + r" a row that is given .* gets another answer",
    ),
    "dropout": (
        InTraining(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout())),
        "the same batch in the same way each time; turn off what is random",
    ),
    "random": (lambda x: torch.rand(len(x), 10), "the same batch in the same way"),
    "standardised over the batch": (
        lambda x: lenet()((x - x.mean(0)) / x.std(0, correction=0)),
        DEPENDS + " given alone, .* got NaN",
    ),
    "scaled by the batch": (
        lambda x: lenet()(x / x.abs().max()),
        DEPENDS + r" a row that is given .* gets another answer",
    ),
    "labels by rank in the batch": (
        lambda x: (x.mean((1, 2, 3)) > x.mean()).long(),
        DEPENDS + " a row that is given",
    ),
    "NaN": (lambda x: lenet()(x) * float("nan"), "must answer numbers, got NaN for 4 inputs"),
    "fewer classes": (
        lambda x: lenet()(x)[:, :9],
        r"scores of shape \(4, 10\) .* got torch.float32 of shape \(4, 9\)",
    ),
    "transposed": (lambda x: lenet()(x).T, r"scores of shape \(4, 10\) .* of shape \(10, 4\)"),
    "one score": (lambda x: x.mean((1, 2, 3)), r"got torch.float32 of shape \(4,\)"),
    "labels from 1": (
        lambda x: torch.full((len(x),), 10),
        r"must be at least 0 and less than 10, got \[10, 10, 10, 10\]; number the classes from 0",
    ),
    "negative labels": (lambda x: torch.full((len(x),), -1), r"must be at least 0 .* got \[-1,"),
    "a column of labels": (
        lambda x: torch.zeros(len(x), 1, dtype=torch.long),
        r"labels of shape \(4,\) .* got torch.int64 of shape \(4, 1\)",
    ),
    "no numbers": (lambda x: "cat", "failed on inputs of shape"),
    "an error": (
        lambda x: x @ torch.zeros(3, 3),
        r"failed on inputs of shape \(4, 1, 28, 28\): .*",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_none_is_refused(case):
    module, message = WRONG[case]
    with pytest.raises(BaseClassifierError, match=message):
        check_answers(module, SHAPE, 10)


def test_the_number_of_classes_is_asked_for_alone_and_among_others():
    def by_rows(x):
        return torch.zeros(len(x), max(2, len(x)))

    with pytest.raises(BaseClassifierError, match=r"given alone, .* scores of shape"):
        check_answers(by_rows, (3,))


def test_neither_generators_nor_gradients_are_touched():
    state, arrays = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    seen = []

    def noisy(x):
        torch.rand(3)
        seen.append(x)
        return scores(x)

    check_answers(noisy, (5,), 3)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == arrays).all()  # noqa: NPY002
    first = [x.clone() for x in seen]
    seen.clear()
    check_answers(noisy, (5,), 3)
    assert all(map(torch.equal, first, seen))
    assert sum(map(len, seen)) == 9
    module = lenet()
    check_answers(module, SHAPE, 10)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_classifier_may_write_into_its_input():
    def halved(x):
        return scores(x.mul_(0.5))

    check_answers(halved, (5,), 3)
