from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from radii.errors import TrainingError
from radii.models import (
    ARCHITECTURES,
    MLP,
    Architecture,
    Denoised,
    DnCNN,
    ResNet20,
    initialise,
    load_base,
    weights_sha256,
)
from radii.noise import Gaussian
from radii.training import AdamW, Cosine, OneCycle, Step, TrainingPlan
from radii.training.compiling import compile_if_wanted
from radii.training.loop import Training
from tests.unit.training.toys import (
    InterruptedTraining,
    digits,
    interrupt_after,
    metrics,
    training,
)

EVERYTHING = {
    "optimiser": AdamW(),
    "lr": 0.01,
    "schedule": OneCycle(),
    "ema": 0.9,
    "clip": 1.0,
    "accumulate": 2,
    "validate": 16,
    "validate_n": 20,
    "keep": "best",
}
BATCH_NORM = {"architecture": ResNet20(), "dataset": digits(48, (3, 8, 8))}


@pytest.mark.parametrize(
    "options",
    [
        BATCH_NORM,
        {**BATCH_NORM, "precision": "bfloat16"},
        {**EVERYTHING, "batch_size": 27},
        {**BATCH_NORM, **EVERYTHING, "batch_size": 16},
    ],
    ids=["float32", "bfloat16", "everything", "everything and batch norm"],
)
@pytest.mark.parametrize("steps", [3, 4])  # in the middle of epoch 2, and with its last step
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path, options, steps):
    straight = training(**options).train(tmp_path / "straight")
    with pytest.raises(InterruptedTraining):
        training(**options).train(tmp_path / "broken", on_batch=interrupt_after(steps))
    resumed = training(**options).train(tmp_path / "broken", resume=True)
    assert weights_sha256(resumed) == weights_sha256(straight)
    for key in ("loss", "lr", *(["validation_acr"] if "validate" in options else [])):
        found = metrics(tmp_path / "broken", key)
        assert found == metrics(tmp_path / "straight", key)
        assert len(found) == 3


def test_a_run_cut_off_between_checkpoint_and_export_is_exported_on_resuming(tmp_path, monkeypatch):
    straight = training(**EVERYTHING).train(tmp_path / "straight")
    left = [2]
    export = Training._export

    def broken(self, directory, state, description):
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedTraining
        export(self, directory, state, description)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "_export", broken)
        with pytest.raises(InterruptedTraining):
            training(**EVERYTHING).train(tmp_path / "broken")
    assert load_base(str(tmp_path / "broken")).details["epochs_done"] == 1
    seen = []

    def look(epochs: int, done: int) -> None:
        seen.append((done, load_base(str(tmp_path / "broken")).details["epochs_done"]))

    resumed = training(**EVERYTHING).train(tmp_path / "broken", resume=True, on_start=look)
    assert seen == [(2, 2)]
    assert weights_sha256(resumed) == weights_sha256(straight)


def test_it_learns_and_what_it_leaves_can_be_loaded(tmp_path):
    made = training(epochs=15)
    module = made.train(tmp_path)
    losses = metrics(tmp_path, "loss")
    assert losses[-1] < losses[0] / 2
    assert all(rate > 0 for rate in metrics(tmp_path, "images_per_second"))
    assert not module.training
    base = load_base(str(tmp_path))
    assert base.num_classes == 2
    assert base.input_shape == (1, 6, 6)
    assert base.class_names == ("dark", "bright")
    assert base.details["noise"] == "gaussian:sigma=0.1"
    assert base.details["optimiser"] == "sgd"
    assert base.details["epochs_done"] == base.details["exported_epoch"] == 15
    assert base.details["exported_weights"] == "last step"
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


def test_without_normalisation_the_network_gets_the_inputs_as_they_are(tmp_path):
    made = training(epochs=1, normalize="none")
    made.train(tmp_path / "first")
    base = load_base(str(tmp_path / "first"))
    assert (base.details["mean"], base.details["std"]) == ([0.0], [1.0])
    x = made.dataset.tensors()[0].float() / 255
    with torch.no_grad():
        torch.testing.assert_close(base.module(x), base.module.body(x))
    first = tmp_path / "first"
    denoised = Denoised(DnCNN(depth=3, width=4), MLP(hidden=4, depth=1))
    for what, options in (
        ("init", {"init": first}),
        ("a denoiser", {"architecture": denoised, "frozen": first}),
    ):
        again = training(epochs=1, normalize="none", **options)
        with pytest.raises(TrainingError, match=f"must be data where {what} is given, got 'none'"):
            again.train(tmp_path / "second")
        assert not (tmp_path / "second").exists()


def test_the_learning_rate_follows_the_schedule(tmp_path):
    training(epochs=4, schedule=Step(every=2, gamma=0.5)).train(tmp_path)
    assert metrics(tmp_path, "lr") == [0.05, 0.05, 0.025, 0.025]


def test_the_learning_rate_of_each_step_follows_the_plan(tmp_path):
    plan = TrainingPlan(epochs=4, lr=2.0, lr_warmup=2, schedule=Step(every=3, gamma=0.5))
    rates = [plan.lr_at(epoch, step, 5) for epoch in range(4) for step in range(5)]
    warm = [2.0 * (step + 1) / 10 for step in range(10)]
    assert rates == pytest.approx([*warm, *[2.0] * 5, *[1.0] * 5])
    plan = TrainingPlan(epochs=2, lr=1.0, schedule=Cosine(each_step=True))
    rates = [plan.lr_at(epoch, step, 2) for epoch in range(2) for step in range(2)]
    assert rates == pytest.approx([Cosine().factor(step, 4) for step in range(4)])
    made = training(epochs=2, schedule=OneCycle())  # 3 steps in an epoch
    made.train(tmp_path)
    last = [made.plan.lr_at(epoch, 2, 3) for epoch in range(2)]
    assert metrics(tmp_path, "lr") == last


def test_seeds_name_the_weights_and_the_global_generator_is_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    hashes = [
        weights_sha256(training(epochs=1, seed=seed).train(tmp_path / str(place)))
        for place, seed in enumerate([1, 1, 2])
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(before, torch.random.get_rng_state())


@dataclass(frozen=True)
class Dropout(Architecture):
    def body(self, input_shape, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, num_classes))


def test_dropout_too_is_named_by_the_seed_and_survives_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES._classes, "dropout", Dropout)
    before = torch.random.get_rng_state()
    options = {"architecture": Dropout(), "epochs": 3}
    straight = training(**options).train(tmp_path / "straight")
    with pytest.raises(InterruptedTraining):
        training(**options).train(tmp_path / "broken", on_batch=interrupt_after(5))
    torch.rand(7)
    resumed = training(**options).train(tmp_path / "broken", resume=True)
    assert weights_sha256(resumed) == weights_sha256(straight)
    torch.random.set_rng_state(before)


def test_a_finished_run_is_resumed_without_a_step(tmp_path):
    training().train(tmp_path)
    module = training().train(tmp_path, resume=True, on_batch=interrupt_after(1))
    assert weights_sha256(module) == load_base(str(tmp_path)).sha256


def test_a_run_in_the_way_is_not_overwritten(tmp_path):
    training().train(tmp_path)
    with pytest.raises(TrainingError, match="--resume"):
        training().train(tmp_path)
    for options, said in (
        ({"lr": 0.06}, "lr 0.05, not 0.06"),
        ({"optimiser": AdamW()}, "optimiser 'sgd', not 'adamw'"),
        ({"noise": Gaussian(0.2)}, "noise 'gaussian:sigma=0.1', not 'gaussian:sigma=0.2'"),
    ):
        with pytest.raises(TrainingError, match=said):
            training(**options).train(tmp_path, resume=True)


def test_a_run_starts_with_weights_that_were_trained_before(tmp_path):
    first = training(dataset=digits(64))
    first.train(tmp_path / "first")
    start = load_base(str(tmp_path / "first"))
    options = {"init": tmp_path / "first", "lr": 1e-12, "epochs": 1}
    module = training(**options).train(tmp_path / "second")
    for new, old in zip(module.parameters(), start.module.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-9)
    details = load_base(str(tmp_path / "second")).details
    assert details["init"] == start.sha256
    assert details["mean"] == start.details["mean"]  # of the data it was first trained on
    assert training(**options).train(tmp_path / "second", resume=True) is not None
    training(epochs=1).train(tmp_path / "other")
    for init in (tmp_path / "other", None):
        with pytest.raises(TrainingError, match=f"with init '{start.sha256}', not"):
            training(**{**options, "init": init}).train(tmp_path / "second", resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"architecture": MLP(hidden=8, depth=1)}, "architecture mlp:hidden=8,depth=1"),
        ({"dataset": digits(shape=(1, 4, 4))}, r"shape \[1, 4, 4\]"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, options, said):
    training(epochs=1).train(tmp_path / "first")
    with pytest.raises(TrainingError, match=said):
        training(init=tmp_path / "first", **options).train(tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_what_is_exported_is_the_running_average_if_there_is_one(tmp_path):
    plain = training(epochs=2).train(tmp_path / "plain")
    averaged = training(epochs=2, ema=0.9).train(tmp_path / "averaged")
    assert weights_sha256(averaged) != weights_sha256(plain)
    assert metrics(tmp_path / "averaged", "loss") == metrics(tmp_path / "plain", "loss")
    base = load_base(str(tmp_path / "averaged"))
    assert base.sha256 == weights_sha256(averaged)
    assert base.details["exported_weights"] == "running average"


def test_parts_of_a_step_add_up_to_it(tmp_path):
    # With next to no noise the gradients of the parts add up to that of the whole batch.
    options = {"noise": Gaussian(1e-7), "epochs": 2, "batch_size": 27, "clip": 100.0}
    whole = training(**options).train(tmp_path / "whole")
    parts = training(**options, accumulate=4).train(tmp_path / "parts")
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for key in ("loss", "gradient_norm"):
        found = [metrics(tmp_path / name, key) for name in ("whole", "parts")]
        assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_compiled_layers_are_trained_to_the_same_weights(tmp_path, monkeypatch):
    plain = training().train(tmp_path / "plain")
    compile_ = torch.compile
    calls = []

    def traced(module, **options):
        calls.append(options)
        return compile_(module, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    training(compile="auto").train(tmp_path / "auto")
    assert not calls  # on a CPU it does not pay
    compiled = training(compile="on").train(tmp_path / "compiled")
    assert calls
    assert compiled._compiled_call_impl is None  # what is handed out is the plain module
    assert [name for name, _ in compiled.named_parameters()] == [
        name for name, _ in plain.named_parameters()
    ]
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_both_parts_of_a_denoised_classifier_are_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    architecture = Denoised(DnCNN(depth=3, width=4), MLP(hidden=4, depth=1))
    module = initialise(architecture, (1, 6, 6), 2, seed=0)
    compile_if_wanted(module, TrainingPlan(epochs=1, compile="on"), (1, 6, 6), 10)
    assert compiled == [module.body.denoiser, module.body.base]


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("radii.training.compiling.shutil.which", lambda name: None)
    with pytest.raises(TrainingError, match=r"C\+\+ compiler"):
        training(compile="on").train(tmp_path)


def test_data_that_do_not_fit_into_memory_are_streamed_to_the_same_weights(tmp_path, monkeypatch):
    kept = training(validate=10, validate_n=20).train(tmp_path / "kept")
    monkeypatch.setattr("radii.training.batches._IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("radii.training.batches.os.cpu_count", lambda: 0)
    streamed = training(validate=10, validate_n=20).train(tmp_path / "streamed")
    assert weights_sha256(streamed) == weights_sha256(kept)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"lr_warmup": 1},
        {"lr_warmup": -1},
        {"accumulate": 257},
        {"clip": 0.0},
        {"clip": float("inf")},
        {"ema": 1.0},
        {"ema": 0.0},
        {"precision": "float16"},
        {"compile": "maybe"},
        {"validate": -1},
        {"validate_n": 0},
        {"validate_every": 0},
        {"keep": "first"},
        {"keep": "best"},
        {"seed": -1},
    ],
)
def test_plans_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainingPlan(**{"epochs": 1, **options})


def test_the_folder_holds_what_the_documentation_says(tmp_path: Path) -> None:
    training(**EVERYTHING).train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
    ]
