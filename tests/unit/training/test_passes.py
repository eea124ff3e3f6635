from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from radii.models import MLP, initialise
from radii.noise import Gaussian, Generators, Stream
from radii.objectives import Objective
from radii.smoothing import SmoothedClassifier
from radii.training import SGD, TrainingPlan
from radii.training.batches import Batches, parts_of
from radii.training.passes import Pass
from radii.training.state import State
from radii.training.validation import split
from tests.unit.training.toys import CPU, digits


@dataclass(frozen=True)
class Recorder(Objective):
    """Notes the parts it is shown and the first number of their noise."""

    seen: list[tuple[int, int, float]] = field(default_factory=list)
    epoch: int = -1

    def at(self, epoch):
        return Recorder(self.seen, epoch)

    def loss(self, smoothed, x, y, *, generator):
        first = float(torch.rand((), generator=generator))
        self.seen.append((self.epoch, len(x), first))
        return smoothed.base(x).square().mean()


def run(plan, epoch=0, examples=50):
    dataset = digits(examples)
    module = initialise(MLP(hidden=4, depth=1), dataset.input_shape, 2, seed=0)
    state = State.fresh(plan, module)
    objective = Recorder()
    batches = Batches(dataset, split(dataset, 0)[0], plan.batch_size, plan.seed, CPU)
    smoothed = SmoothedClassifier(module, Gaussian(0.1), 2)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    shown = []
    record = Pass(plan, objective, batches, smoothed, Generators(CPU)).run(
        epoch, state, shown.append
    )
    return record, objective.seen, shown, before, list(module.parameters())


def test_each_part_has_the_stream_of_its_number_in_the_epoch():
    plan = TrainingPlan(epochs=9, batch_size=20, accumulate=2, seed=5)
    _, seen, shown, _, _ = run(plan, epoch=3)
    assert shown == [20, 20, 10]
    assert [(epoch, rows) for epoch, rows, _ in seen] == [(3, 10)] * 4 + [(3, 5)] * 2
    generators = Generators(CPU)
    expected = [
        float(torch.rand((), generator=generators(Stream(5, 3, "training", number))))
        for number in range(6)
    ]
    assert [first for _, _, first in seen] == expected
    assert len(set(expected)) == 6


def test_a_batch_is_split_as_evenly_as_can_be():
    x, y = torch.arange(7.0), torch.arange(7)
    assert [len(part) for part, _ in parts_of(x, y, 3)] == [3, 2, 2]
    assert [len(part) for part, _ in parts_of(x, y, 9)] == [1] * 7
    assert torch.equal(torch.cat([part for part, _ in parts_of(x, y, 3)]), x)


def test_clipping_bounds_the_step_and_the_norm_before_it_is_recorded():
    plan = TrainingPlan(
        epochs=1, batch_size=50, lr=0.5, clip=0.01, optimiser=SGD(momentum=0.0, weight_decay=0.0)
    )
    record, _, _, before, after = run(plan)
    moved = sum((a.detach() - b).square().sum() for a, b in zip(after, before, strict=True))
    assert float(moved.sqrt()) == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert record["gradient_norm"] > 0.01
    assert "gradient_norm" not in run(TrainingPlan(epochs=1))[0]


def test_the_loss_is_the_mean_over_examples_and_not_over_batches():
    plan = TrainingPlan(epochs=1, batch_size=48, lr=1e-12)
    record, _, _, _, _ = run(plan)
    whole, _, _, _, _ = run(TrainingPlan(epochs=1, batch_size=50, lr=1e-12))
    assert record["loss"] == pytest.approx(whole["loss"], rel=1e-5)
