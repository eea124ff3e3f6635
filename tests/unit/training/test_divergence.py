from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from radii.data import ArrayDataset
from radii.errors import TrainingError
from radii.models import load_base
from radii.noise import Gaussian
from radii.objectives import OBJECTIVES, GaussianAugmentation
from radii.training import SGD, TrainingPlan
from radii.training.divergence import Watch
from tests.unit.training.toys import digits, metrics, training


class Answers(nn.Module):
    """One class for every input, or the right one."""

    def __init__(self, only: int | None) -> None:
        super().__init__()
        self.only = only
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        bright = (x.flatten(1).mean(1) > 0.25).long()
        answer = bright if self.only is None else torch.full_like(bright, self.only)
        return torch.nn.functional.one_hot(answer, 2).float()


def watch(dataset=None, objective=None, steps=1_000, **options):
    dataset = dataset or digits()
    return Watch(
        dataset,
        np.arange(len(dataset)),
        Gaussian(0.1),
        objective or GaussianAugmentation(),
        TrainingPlan(**{"epochs": 10, **options}),
        steps,
        torch.Generator(),
    )


def outcome(made, answers, losses=None):
    """Of each epoch: saved or not; and the epoch that failed, if one did."""
    saved = []
    for epoch, only in enumerate(answers, start=1):
        loss = 1.0 if losses is None else losses[epoch - 1]
        module = Answers(only).train()
        try:
            saved.append(not made.suspects({"epoch": epoch, "loss": loss}, module))
        except TrainingError:
            return saved, epoch
        assert module.training
    return saved, None


def test_one_class_in_two_epochs_in_a_row_stops_and_neither_is_saved():
    assert outcome(watch(), [None, None, None, 1, 1]) == ([True, True, True, False], 5)
    assert outcome(watch(), [None, None, 1, None, 1, None]) == (
        [True, True, False, True, False, True],
        None,
    )


def test_a_slow_start_is_no_collapse():
    assert outcome(watch(), [0, 0, None, None]) == ([True] * 4, None)
    assert outcome(watch(), [0, 0, 0, 0]) == ([True, True, False], 4)
    assert outcome(watch(steps=125), [0, 0, 0, 0, None]) == ([True] * 5, None)  # 500 steps
    assert outcome(watch(lr_warmup=4), [0, 0, 0, 0, None]) == ([True] * 5, None)


def test_a_loss_that_goes_down_is_given_more_time():
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 2.599]
    assert outcome(watch(), [0] * 6, losses) == ([True, True, False, False, False], 6)
    assert outcome(watch(), [0] * 4, [-x for x in losses]) == ([True, True, False], 4)


def test_one_class_in_the_last_epoch_stops():
    assert outcome(watch(epochs=4), [None, None, None, 0]) == ([True] * 3, 4)


def test_data_that_are_nearly_all_of_one_class_are_not_looked_at():
    few = digits(10)
    inputs = np.concatenate([few.inputs[few.labels == 0]] * 4 + [few.inputs[few.labels == 1]])
    labels = np.repeat([0, 1], [20, 5])
    uneven = ArrayDataset(inputs, labels, few.class_names)
    assert outcome(watch(uneven), [0] * 9) == ([True] * 9, None)


def test_the_sentence_names_the_likely_cause():
    module = Answers(1)

    def said(**options):
        made = watch(epochs=3, lr=0.3, **options)
        with pytest.raises(TrainingError) as raised:
            made.suspects({"epoch": 3, "loss": 1.0}, module)
        return str(raised.value)

    plain = said()
    assert "class 1 is the answer to every example" in plain
    assert "lower the learning rate, which is 0.3, or clip gradients" in plain
    assert "strength" not in plain
    assert "clip" not in said(clip=1.0)
    spec = "consistency:strength=25.0"
    assert f"lower the strength of the objective {spec!r}" in said(objective=OBJECTIVES.build(spec))
    nested = "consistency:strength=0,over=consistency(strength=3)"
    assert "lower the strength" in said(objective=OBJECTIVES.build(nested))
    assert "lower the strength" not in said(objective=OBJECTIVES.build("consistency:strength=0"))


def test_a_loss_or_a_weight_that_is_no_number_stops(tmp_path):
    with pytest.raises(TrainingError, match="lower the learning rate"):
        training(lr=1e30).train(tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    module = Answers(None)
    with torch.no_grad():
        module.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="a weight became NaN or infinite in epoch 7"):
        watch().suspects({"epoch": 7, "loss": 1.0}, module)


def test_a_collapse_stops_and_leaves_the_last_good_weights(tmp_path):
    # Each step halves the weights, until all scores are equal and the first class is the answer.
    options = {
        "dataset": digits(100),
        "batch_size": 1,
        "lr": 0.1,
        "optimiser": SGD(momentum=0.0, weight_decay=5.0),
        "epochs": 8,
    }
    with pytest.raises(TrainingError, match="training collapsed: after epoch 7 class"):
        training(**options).train(tmp_path)
    assert load_base(str(tmp_path)).details["epochs_done"] == 5
    assert metrics(tmp_path, "epoch") == [1, 2, 3, 4, 5, 6]
    with pytest.raises(TrainingError, match="after epoch 7"):
        training(**options).train(tmp_path, resume=True)
