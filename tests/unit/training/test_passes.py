from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from radii.errors import TrainingError
from radii.models import MLP, initialise
from radii.noise import Gaussian, Generators, Stream
from radii.objectives import Objective
from radii.smoothing import SmoothedClassifier
from radii.training import SGD, TrainingPlan
from radii.training.batches import Batches
from radii.training.passes import Pass
from radii.training.state import State
from radii.training.validation import split
from radii.training.workers import Workers
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
    batches = Batches(dataset, split(dataset, 0)[0], plan, CPU, Workers())
    smoothed = SmoothedClassifier(module, Gaussian(0.1), 2)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    shown = []
    record = Pass(plan, objective, batches, smoothed, Generators(CPU), Workers()).run(
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
    assert sizes(accumulate=3, batch_size=7) == [[3, 2, 2]]
    assert sizes(accumulate=7, batch_size=7) == [[1] * 7]
    assert sizes(accumulate=4, batch_size=5) == [[2, 1, 1, 1], [1, 1]]


def sizes(accumulate, batch_size):
    """Of the parts of each step over 7 examples; none of them is left out or met twice."""
    dataset = digits(7)
    plan = TrainingPlan(epochs=1, batch_size=batch_size, accumulate=accumulate)
    batches = Batches(dataset, split(dataset, 0)[0], plan, CPU, Workers())
    steps = [list(step) for step in batches.of(0)]
    met = torch.cat([part.x for step in steps for part in step])
    assert len(torch.unique(met.flatten(1), dim=0)) == len(met) == 7
    assert all(sum(part.share for part in step) == pytest.approx(1) for step in steps)
    return [[len(part.x) for part in step] for step in steps]


@pytest.mark.parametrize("in_memory", [True, False])
def test_processes_share_out_the_parts_of_one_and_the_same_batch(monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr("radii.training.batches._IN_MEMORY_BYTES", 0)
    dataset = digits(23)
    plan = TrainingPlan(epochs=1, batch_size=10, accumulate=4)
    chosen = split(dataset, 0)[0]
    found = [
        [list(step) for step in Batches(dataset, chosen, plan, CPU, workers).of(2)]
        for workers in (Workers(), Workers(0, 2), Workers(1, 2))
    ]
    for alone, first, second in zip(*found, strict=True):
        shared = sorted(first + second, key=lambda part: part.number)
        assert [part.number for part in shared] == [part.number for part in alone]
        assert {part.number for part in first}.isdisjoint({part.number for part in second})
        for one, other in zip(alone, shared, strict=True):
            assert torch.equal(one.x, other.x)
            assert one.share == other.share


def test_processes_without_a_part_of_each_batch_are_refused():
    Workers(0, 2).check(TrainingPlan(epochs=1, accumulate=4))
    with pytest.raises(TrainingError, match=r"multiple of the 2 processes.*set accumulate=2"):
        Workers(1, 2).check(TrainingPlan(epochs=1))


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
