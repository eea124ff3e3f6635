"""Data and training runs that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from radii.data import ArrayDataset
from radii.models import MLP
from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.training import Training, TrainingPlan

CPU = torch.device("cpu")


def digits(count: int = 96, shape: tuple[int, ...] = (1, 6, 6)) -> ArrayDataset:
    """Two classes, told apart by the brightness of the left half."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    inputs = rng.integers(0, 80, (count, *shape), dtype=np.uint8)
    inputs[labels == 1, :, :, : shape[-1] // 2] += 120
    return ArrayDataset(inputs, labels, ("dark", "bright"), "toy@train")


def training(
    epochs: int = 3,
    dataset: Any = None,
    architecture: Any = None,
    noise: Any = None,
    init: Path | None = None,
    frozen: Path | None = None,
    **options: Any,
) -> Training:
    plan = TrainingPlan(epochs=epochs, **{"batch_size": 32, "lr": 0.05, **options})
    return Training(
        architecture or MLP(hidden=16, depth=1),
        dataset or digits(),
        noise or Gaussian(0.1),
        GaussianAugmentation(),
        plan,
        CPU,
        init,
        frozen=frozen,
    )


def metrics(directory: Path, key: str) -> list[Any]:
    return [
        json.loads(line)[key] for line in (directory / "metrics.jsonl").read_text().splitlines()
    ]


class InterruptedTraining(Exception):  # noqa: N818
    pass


def interrupt_after(steps: int) -> Callable[[int], None]:
    left = [steps]

    def on_batch(examples: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedTraining

    return on_batch
