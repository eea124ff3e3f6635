from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from radii.data import Subset
from radii.errors import NotCoveredError, PlanError, TrainingError
from radii.models import load_base, weights_sha256
from radii.noise import Gaussian, Laplace, Stream, Uniform
from radii.training import TrainingPlan
from radii.training.batches import Batches
from radii.training.streams import seed_beside
from radii.training.validation import Validation, in_evaluation, split
from radii.training.workers import Workers
from tests.unit.training.toys import CPU, digits, metrics, training


class HalfSpace(nn.Module):
    """Class 1 where the first pixel is above a half; its scores depend on the mode."""

    def forward(self, x):
        assert not self.training
        lead = x.flatten(1)[:, 0] - 0.5
        return torch.stack([-lead, lead], 1)


def validation(noise, **options):
    plan = TrainingPlan(epochs=1, validate=40, **options)
    dataset = digits()
    return Validation.of(dataset, split(dataset, 40)[1], noise, plan, CPU)


def test_the_split_is_random_and_the_same_for_every_seed():
    dataset = digits(100)
    kept, held_out = split(dataset, 30)
    assert sorted([*kept, *held_out]) == list(range(100))
    assert held_out.tolist() == Subset("random", 30, seed=0).indices(100).tolist()
    assert held_out.max() - held_out.min() > 50
    assert set(split(dataset, 10)[1]) < set(held_out)
    assert [len(part) for part in split(dataset, 0)] == [100, 0]
    with pytest.raises(TrainingError, match="fewer"):
        split(dataset, 100)


def test_examples_held_out_are_not_trained_on():
    dataset = digits(50)
    kept, held_out = split(dataset, 12)
    plan = TrainingPlan(epochs=1, batch_size=16, seed=3)
    batches = Batches(dataset, kept, plan, CPU, Workers())
    assert (batches.examples, batches.steps) == (38, 3)
    parts = [part for step in batches.of(0) for part in step]
    seen = [torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])]
    expected = torch.stack([dataset[index][0] for index in kept])
    order = [int((expected == x).flatten(1).all(1).nonzero()) for x in seen[0]]
    assert sorted(order) == list(range(38))
    assert seen[1].tolist() == dataset.labels[kept][order].tolist()
    assert order != sorted(order)
    for index in held_out:
        assert not any(torch.equal(x, dataset[int(index)][0]) for x in seen[0])


def test_the_estimate_is_that_of_a_half_space():
    sigma, made = 0.25, validation(Gaussian(0.25), validate_n=1_000)
    found = made.measure(HalfSpace().train())
    distance = made.x.flatten(1)[:, 0].double().numpy() - 0.5
    right = (distance > 0) == (made.y == 1)
    # sigma Phi^-1(pA) is the distance; the bound on pA takes some of it
    exact = np.where(right, np.abs(distance), 0).mean()
    assert 0.5 * exact < found["validation_acr"] < exact + 0.03
    assert found["validation_clean_accuracy"] == right.mean()
    assert right.mean() - 0.2 < found["validation_accuracy"] <= right.mean() + 1e-9
    assert found["validation_norm"] == "l2"
    again = made.measure(HalfSpace())
    assert again["validation_acr"] == found["validation_acr"]
    most = sigma * math.sqrt(2) * 3  # far above the largest radius at this n
    assert found["validation_acr"] < most


def test_the_module_is_left_in_its_mode():
    module = HalfSpace()
    for training_mode in (True, False):
        validation(Gaussian(0.25)).measure(module.train(training_mode))
        assert module.training is training_mode
        copy = in_evaluation(module)
        assert (copy.training, module.training) == (False, training_mode)


def test_the_norm_is_the_first_that_is_certified_unless_it_is_named():
    assert validation(Laplace(0.1)).norm == "l1"
    assert validation(Uniform(0.1)).norm == "l1"
    assert validation(Gaussian(0.1)).norm == "l2"
    assert validation(Gaussian(0.1), validate_norm="linf").norm == "linf"
    with pytest.raises(NotCoveredError, match="certified norms for it"):
        validation(Gaussian(0.1), validate_norm="l0")
    with pytest.raises(PlanError, match="at least 10"):
        validation(Gaussian(0.1), validate_n=5)


def test_validation_changes_nothing_in_training(tmp_path):
    options = {"epochs": 4, "validate": 16, "validate_n": 20}
    often = training(**options).train(tmp_path / "often")
    seldom = training(**options, validate_every=100).train(tmp_path / "seldom")
    assert weights_sha256(often) == weights_sha256(seldom)
    lines = [
        (tmp_path / name / "metrics.jsonl").read_text().count("validation_acr")
        for name in ("often", "seldom")
    ]
    assert lines == [4, 1]  # the last epoch always has one


def test_validation_shares_no_stream_with_training_or_a_certification_of_the_same_seed():
    seeds = {seed_beside(seed) for seed in range(1000)}
    assert len(seeds) == 1000
    assert not seeds & set(range(1000))
    plan = validation(Gaussian(0.25), seed=7).plan
    assert plan.seed == seed_beside(7)
    assert Stream(7, 0, "estimation", 0).hashed(8) != Stream(plan.seed, 0, "estimation", 0).hashed(
        8
    )


def test_the_best_epoch_is_exported(tmp_path, monkeypatch):
    early = training(epochs=2, validate=16, validate_n=20).train(tmp_path / "early")
    left = [0.1, 0.5, 0.3, 0.5]

    def measure(self, module):
        return {"validation_acr": left.pop(0)}

    monkeypatch.setattr(Validation, "measure", measure)
    options = {"epochs": 4, "validate": 16, "validate_n": 20, "keep": "best"}
    best = training(**options).train(tmp_path / "best")
    assert weights_sha256(best) == weights_sha256(early)  # the rate is the same in all epochs
    base = load_base(str(tmp_path / "best"))
    assert base.sha256 == weights_sha256(early)
    assert base.details["exported_epoch"] == 2
    assert base.details["epochs_done"] == 4
    assert metrics(tmp_path / "best", "validation_acr") == [0.1, 0.5, 0.3, 0.5]
    again = training(**options).train(tmp_path / "best", resume=True)
    assert weights_sha256(again) == weights_sha256(early)
