"""The training loop, into which any objective fits."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from radii.data import Dataset, unit_interval
from radii.errors import TrainingError
from radii.models import ARCHITECTURES, Architecture, initialise, save_base
from radii.models.checkpoint import replace_file
from radii.noise import NOISES, Generators, Noise, Stream
from radii.objectives import OBJECTIVES, Objective
from radii.provenance import git_revision, versions
from radii.smoothing import SmoothedClassifier
from radii.training.checkpoint import Checkpoint
from radii.training.schedules import SCHEDULES, Schedule, Step

METRICS = "metrics.jsonl"

_IN_MEMORY_BYTES = 4 << 30
_EXAMPLES_TO_NORMALISE = 10_000


@dataclass(frozen=True)
class TrainingPlan:
    """Optimisation: stochastic gradient descent with momentum.

    Attributes:
        epochs: Passes over the data.
        batch_size: Examples in one step.
        lr: Learning rate of the first epoch.
        momentum: In [0, 1).
        weight_decay: At least 0.
        schedule: How the learning rate goes down.
        precision: `bfloat16` runs the layers that allow it in that type, weights stay float32.
        seed: Of the first weights, the order of the examples and the noise.
    """

    epochs: int
    batch_size: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = field(default_factory=Step)
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {self.lr!r}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay!r}")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, got {self.precision!r}")


@dataclass(frozen=True)
class Training:
    """Everything that defines a training run.

    Attributes:
        architecture: Of the base classifier.
        dataset: Inputs and labels.
        noise: What the base classifier is to be smoothed with.
        objective: The loss.
        plan: Epochs, optimiser, seed.
        device: Where to train.
    """

    architecture: Architecture
    dataset: Dataset
    noise: Noise
    objective: Objective
    plan: TrainingPlan
    device: torch.device

    def train(
        self,
        directory: Path,
        *,
        resume: bool = False,
        on_start: Callable[[int, int], object] | None = None,
        on_batch: Callable[[int], object] | None = None,
        on_epoch: Callable[[dict[str, Any]], object] | None = None,
    ) -> nn.Module:
        """Trains, and leaves a base classifier in `directory` after each epoch.

        On CPU a run that was interrupted and resumed ends with the weights of one that was not.

        Args:
            directory: Gets `model.safetensors`, `model.json`, `metrics.jsonl` and
                `checkpoint.safetensors`.
            resume: Go on from the checkpoint in `directory`, if there is one.
            on_start: Is told how many epochs there are, and how many of them are done already.
            on_batch: Is told the number of examples of each step.
            on_epoch: Is told the metrics of each epoch.

        Returns:
            The base classifier, in evaluation mode.

        Raises:
            TrainingError: If the directory holds a training run that is not to be, or cannot be,
                resumed, or if the loss stops being a number.
        """
        spec = self._spec()
        checkpoint = Checkpoint.load(directory)
        if checkpoint is not None:
            self._check(checkpoint, spec, directory, resume=resume)
        directory.mkdir(parents=True, exist_ok=True)
        mean, std = self._moments()
        module: nn.Module = initialise(
            self.architecture,
            self.dataset.input_shape,
            self.dataset.num_classes,
            mean=mean,
            std=std,
            seed=self.plan.seed,
        ).to(self.device)
        if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = SGD(
            module.parameters(),
            lr=self.plan.lr,
            momentum=self.plan.momentum,
            weight_decay=self.plan.weight_decay,
        )
        metrics: list[dict[str, Any]] = []
        if checkpoint is not None:
            checkpoint.restore(module, optimiser)
            metrics = checkpoint.metrics
        description = {**spec, **self._description(mean, std)}
        done = len(metrics)
        if on_start is not None:
            on_start(self.plan.epochs, done)
        if done:  # a kill may have come between the checkpoint and these
            self._export(directory, module, description, metrics)
        examples_in_memory = self._load()
        for epoch in range(done, self.plan.epochs):
            metrics.append(self._epoch(epoch, module, optimiser, examples_in_memory, on_batch))
            Checkpoint.of(spec, metrics, module, optimiser).save(directory)
            self._export(directory, module, description, metrics)
            if on_epoch is not None:
                on_epoch(metrics[-1])
        return module.eval()

    def _epoch(
        self,
        epoch: int,
        module: nn.Module,
        optimiser: SGD,
        examples: tuple[Tensor, Tensor] | None,
        on_batch: Callable[[int], object] | None,
    ) -> dict[str, Any]:
        """One pass over the data; its metrics."""
        started = time.monotonic()
        lr = self.plan.lr * self.plan.schedule.factor(epoch, self.plan.epochs)
        for group in optimiser.param_groups:
            group["lr"] = lr
        smoothed = SmoothedClassifier(module, self.noise, self.dataset.num_classes)
        generator = Generators(self.device)(Stream(self.plan.seed, epoch, "training", 0))
        objective = self.objective.at(epoch)
        total = torch.zeros((), device=self.device)
        module.train()
        for x, y in self._batches(epoch, examples):
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"
            ):
                loss = objective.loss(smoothed, x, y, generator=generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.detach() * len(x)
            if on_batch is not None:
                on_batch(len(x))
        mean_loss = float(total) / len(self.dataset)
        if not math.isfinite(mean_loss):
            raise TrainingError(
                f"the loss became {mean_loss} in epoch {epoch + 1}; "
                f"lower the learning rate, which is {lr:g}."
            )
        seconds = time.monotonic() - started
        return {"epoch": epoch + 1, "loss": mean_loss, "lr": lr, "seconds": round(seconds, 3)}

    def _load(self) -> tuple[Tensor, Tensor] | None:
        """All examples as tensors on the device, if they are few enough."""
        if len(self.dataset) * math.prod(self.dataset.input_shape) * 4 > _IN_MEMORY_BYTES:
            return None
        x, y = self.dataset.tensors()
        return x.to(self.device), y.to(self.device)

    def _batches(
        self, epoch: int, examples: tuple[Tensor, Tensor] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        generator = Generators(torch.device("cpu"))(Stream(self.plan.seed, epoch, "order", 0))
        order = torch.randperm(len(self.dataset), generator=generator)
        if examples is not None:
            x, y = examples
            for chosen in torch.split(order.to(self.device), self.plan.batch_size):
                yield unit_interval(x[chosen]), y[chosen]
            return
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_size=self.plan.batch_size,
            sampler=order.tolist(),
            num_workers=os.cpu_count() or 1,
            generator=generator,
        )
        for x, y in loader:
            yield x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def _moments(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, over at most 10,000 examples."""
        few = min(len(self.dataset), _EXAMPLES_TO_NORMALISE)
        chosen = torch.linspace(0, len(self.dataset) - 1, few).long().tolist()
        x = torch.stack([self.dataset[index][0] for index in chosen]).double()
        x = x.transpose(0, 1).flatten(1)
        return x.mean(1).tolist(), x.std(1).clamp(min=1e-3).tolist()

    def _spec(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "architecture": ARCHITECTURES.spec_of(self.architecture),
            "data_fingerprint": self.dataset.fingerprint,
            "noise": NOISES.spec_of(self.noise),
            "objective": OBJECTIVES.spec_of(self.objective),
            "epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "lr": plan.lr,
            "momentum": plan.momentum,
            "weight_decay": plan.weight_decay,
            "schedule": SCHEDULES.spec_of(plan.schedule),
            "precision": plan.precision,
            "seed": plan.seed,
        }

    def _description(self, mean: list[float], std: list[float]) -> dict[str, Any]:
        return {
            "input_shape": list(self.dataset.input_shape),
            "num_classes": self.dataset.num_classes,
            "class_names": list(self.dataset.class_names),
            "mean": mean,
            "std": std,
            "data": self.dataset.reference,
            "device": self.device.type,
            "versions": versions(),
            "git_revision": git_revision(),
        }

    def _check(
        self, checkpoint: Checkpoint, spec: dict[str, Any], directory: Path, *, resume: bool
    ) -> None:
        if not resume:
            raise TrainingError(
                f"{str(directory)!r} holds a training run; "
                f"resume it with --resume, or train into another --out."
            )
        for key, here in spec.items():
            if checkpoint.spec.get(key) != here:
                raise TrainingError(
                    f"{str(directory)!r} holds a training run with {key} "
                    f"{checkpoint.spec.get(key)!r}, not {here!r}; train into another --out."
                )

    def _export(
        self,
        directory: Path,
        module: nn.Module,
        description: dict[str, Any],
        metrics: list[dict[str, Any]],
    ) -> None:
        """The base classifier as others read it, and the metrics so far."""
        save_base(directory, module, {**description, "epochs_done": len(metrics)})
        lines = "".join(json.dumps(record) + "\n" for record in metrics)
        replace_file(directory / METRICS, lines.encode())
