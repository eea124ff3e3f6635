"""Self-training: what a teacher labels, and how it is mixed in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from radii.data import ArrayDataset
from radii.errors import TrainingError
from radii.models import Base
from radii.training import TrainingPlan, Unlabelled, Workers
from radii.training.batches import Batches
from radii.training.validation import split
from tests.unit.training.toys import CPU, digits, training


def teacher(label: int = 1, **changes: object) -> Base:
    """Answers one class to everything."""

    def constant(x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x),), label)

    return replace(Base(constant, "toy.py:t", "00ff", 2, (1, 6, 6), None, {}), **changes)


def unlabelled(count: int = 10, **options: object) -> Unlabelled:
    """Inputs brighter than any of the labelled ones, of dark class by what they come with."""
    inputs = np.full((count, 1, 6, 6), 255, dtype=np.uint8)
    inputs[:, 0, 0, 0] = np.arange(count)
    data = ArrayDataset(inputs, np.zeros(count, dtype=np.int64), ("a", "b", "c"), "more")
    return Unlabelled(data, **{"teacher": teacher(), **options})


def test_the_teacher_labels_in_evaluation_without_noise():
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).eval()
    found = unlabelled(teacher=teacher(module=module)).labelled(digits(), CPU)
    x = torch.stack([found[i][0] for i in range(10)])
    assert found.labels.tolist() == module(x).argmax(1).tolist()
    assert found.class_names == ("dark", "bright")
    assert [found[i][1] for i in range(10)] == found.tensors()[1].tolist() == found.labels.tolist()


@pytest.mark.parametrize("in_memory", [True, False])
def test_each_step_has_as_many_of_them_and_their_share_of_the_loss(monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr("radii.training.batches._IN_MEMORY_BYTES", 0)
    plan = TrainingPlan(epochs=9, batch_size=8, accumulate=2)
    dataset = digits(20)
    more = unlabelled().labelled(dataset, CPU)
    given = (dataset, split(dataset, 0)[0], plan, CPU)
    batches = Batches(*given, Workers(), (more, 3.0))
    met = []
    for epoch in (0, 1):
        steps = [list(step) for step in batches.of(epoch)]
        assert [[len(part.x) for part in step] for step in steps] == [[4] * 4] * 2 + [[2] * 4]
        for step in steps:
            assert [part.share for part in step] == [0.125, 0.125, 0.375, 0.375]
            for part in step[2:]:
                assert part.y.tolist() == [1] * len(part.y)
                met += (255 * part.x[:, 0, 0, 0]).round().int().tolist()
        numbers = [part.number for step in steps for part in step]
        assert numbers == list(range(12))
    for first in range(0, 40, 10):  # round after round, each in an order of its own
        assert sorted(met[first : first + 10]) == list(range(10))
    assert met[:10] != met[10:20]
    halves = [
        [[part.number for part in step] for step in Batches(*given, workers, (more, 3.0)).of(0)]
        for workers in (Workers(0, 2), Workers(1, 2))
    ]
    assert halves == [[[0, 2], [4, 6], [8, 10]], [[1, 3], [5, 7], [9, 11]]]


def test_training_learns_from_what_the_teacher_says(tmp_path):
    alone = training(epochs=4)
    module = alone.train(tmp_path / "alone")
    x = torch.stack([unlabelled().dataset[i][0] for i in range(10)])
    for label in (0, 1):
        taught = replace(alone, unlabelled=unlabelled(teacher=teacher(label), weight=4.0))
        module = taught.train(tmp_path / str(label))
        assert (module(x).argmax(1) == label).all()
    recorded = json.loads((tmp_path / "1" / "model.json").read_text())["unlabelled"]
    assert recorded["teacher"] == "00ff"
    assert recorded["weight"] == 4.0
    other = replace(taught, unlabelled=unlabelled(weight=1.0))
    with pytest.raises(TrainingError, match="with unlabelled"):
        other.train(tmp_path / "1", resume=True)


def test_what_does_not_go_with_the_labelled_examples_is_refused(tmp_path):
    for wrong, message in (
        (unlabelled(teacher=teacher(num_classes=7)), "classes of the teacher must be 2 of toy"),
        (unlabelled(teacher=teacher(input_shape=(3, 8, 8))), "teacher must take inputs of shape"),
        (Unlabelled(digits(shape=(1, 8, 8)), teacher()), "unlabelled inputs must have the shape"),
        (unlabelled(teacher=teacher(label=5)), r"labels of the teacher must be in 0\.\.1, got 5"),
    ):
        with pytest.raises(TrainingError, match=message):
            replace(training(), unlabelled=wrong).train(tmp_path / "base")
        assert not (tmp_path / "base" / "model.json").exists()
    with pytest.raises(ValueError, match="unlabelled_weight must be positive"):
        unlabelled(weight=0.0)
