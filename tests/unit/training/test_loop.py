from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from radii.data import ArrayDataset
from radii.errors import TrainingError
from radii.models import MLP, ResNet20, load_base, weights_sha256
from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.training import Step, Training, TrainingPlan

CPU = torch.device("cpu")


def digits(count: int = 96, shape: tuple[int, ...] = (1, 6, 6)) -> ArrayDataset:
    """Two classes, told apart by the brightness of the left half."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    inputs = rng.integers(0, 80, (count, *shape), dtype=np.uint8)
    inputs[labels == 1, :, :, : shape[-1] // 2] += 120
    return ArrayDataset(inputs, labels, ("dark", "bright"), "toy@train")


def training(epochs: int = 3, dataset=None, architecture=None, **options) -> Training:
    plan = TrainingPlan(epochs=epochs, batch_size=32, lr=0.05, **options)
    return Training(
        architecture or MLP(hidden=16, depth=1),
        dataset or digits(),
        Gaussian(0.1),
        GaussianAugmentation(),
        plan,
        CPU,
    )


def metrics(directory, key: str) -> list[float]:
    return [
        json.loads(line)[key] for line in (directory / "metrics.jsonl").read_text().splitlines()
    ]


class InterruptedTraining(Exception):  # noqa: N818
    pass


def interrupt_after(steps: int):
    left = [steps]

    def on_batch(examples: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedTraining

    return on_batch


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("steps", [4, 6])  # in the middle of epoch 2, and with its last step
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, precision, steps):
    # Batch norm has a state beside the weights, and momentum one beside both.
    options = {"architecture": ResNet20(), "dataset": digits(48, (3, 8, 8)), "precision": precision}
    straight = training(**options).train(tmp_path / "straight")
    with pytest.raises(InterruptedTraining):
        training(**options).train(tmp_path / "broken", on_batch=interrupt_after(steps // 2 + 1))
    resumed = training(**options).train(tmp_path / "broken", resume=True)
    assert weights_sha256(resumed) == weights_sha256(straight)
    losses = metrics(tmp_path / "broken", "loss")
    assert losses == metrics(tmp_path / "straight", "loss")
    assert len(losses) == 3


def test_it_learns_and_what_it_leaves_can_be_loaded(tmp_path):
    made = training(epochs=15)
    module = made.train(tmp_path)
    losses = metrics(tmp_path, "loss")
    assert losses[-1] < losses[0] / 2
    assert not module.training
    base = load_base(str(tmp_path))
    assert base.num_classes == 2
    assert base.input_shape == (1, 6, 6)
    assert base.class_names == ("dark", "bright")
    assert base.details["noise"] == "gaussian:sigma=0.1"
    assert base.details["epochs_done"] == 15
    x, y = made.dataset.tensors()
    with torch.no_grad():
        scores = base.module(x.float() / 255)
    assert (scores.argmax(1) == y).float().mean() > 0.95


def test_normalisation_is_that_of_the_data(tmp_path):
    made = training(epochs=1)
    made.train(tmp_path)
    x = made.dataset.tensors()[0].double() / 255
    details = load_base(str(tmp_path)).details
    assert details["mean"] == pytest.approx([float(x.mean())], rel=1e-6)
    assert details["std"] == pytest.approx([float(x.std())], rel=1e-6)


def test_the_learning_rate_follows_the_schedule(tmp_path):
    training(epochs=4, schedule=Step(every=2, gamma=0.5)).train(tmp_path)
    rates = metrics(tmp_path, "lr")
    assert rates == [0.05, 0.05, 0.025, 0.025]


def test_seeds_name_the_weights_and_the_global_generator_is_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    hashes = [
        weights_sha256(training(epochs=1, seed=seed).train(tmp_path / str(place)))
        for place, seed in enumerate([1, 1, 2])
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_finished_run_is_resumed_without_a_step(tmp_path):
    training().train(tmp_path)
    module = training().train(tmp_path, resume=True, on_batch=interrupt_after(1))
    assert weights_sha256(module) == load_base(str(tmp_path)).sha256


def test_a_run_in_the_way_is_not_overwritten(tmp_path):
    training().train(tmp_path)
    with pytest.raises(TrainingError, match="--resume"):
        training().train(tmp_path)
    with pytest.raises(TrainingError, match="lr"):
        Training(
            MLP(hidden=16, depth=1),
            digits(),
            Gaussian(0.1),
            GaussianAugmentation(),
            TrainingPlan(epochs=3, batch_size=32, lr=0.06),
            CPU,
        ).train(tmp_path, resume=True)


def test_a_checkpoint_that_is_none_is_refused(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="no checkpoint"):
        training().train(tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_with_the_cause(tmp_path):
    made = Training(
        MLP(hidden=16, depth=1),
        digits(),
        Gaussian(0.1),
        GaussianAugmentation(),
        TrainingPlan(epochs=3, batch_size=32, lr=1e30),
        CPU,
    )
    with pytest.raises(TrainingError, match="lower the learning rate"):
        made.train(tmp_path)


def test_data_that_do_not_fit_into_memory_are_streamed_to_the_same_weights(tmp_path, monkeypatch):
    kept = training().train(tmp_path / "kept")
    monkeypatch.setattr("radii.training.loop._IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("radii.training.loop.os.cpu_count", lambda: 0)
    streamed = training().train(tmp_path / "streamed")
    assert weights_sha256(streamed) == weights_sha256(kept)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"precision": "float16"},
    ],
)
def test_plans_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainingPlan(**{"epochs": 1, **options})
