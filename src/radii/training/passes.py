"""One pass over the data: the place where steps happen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from radii.noise import Generators, Stream
from radii.objectives import Objective
from radii.smoothing import SmoothedClassifier
from radii.training.batches import Batches, parts_of
from radii.training.plan import TrainingPlan
from radii.training.state import State


@dataclass(frozen=True)
class Pass:
    """Everything that an epoch needs but the weights.

    Attributes:
        plan: How to train.
        objective: The loss.
        batches: Of each epoch.
        smoothed: The module in training, and the noise.
        generators: On the device; name noise and augmentation of each part of a batch.
    """

    plan: TrainingPlan
    objective: Objective
    batches: Batches
    smoothed: SmoothedClassifier
    generators: Generators

    def run(
        self, epoch: int, state: State, on_batch: Callable[[int], object] | None
    ) -> dict[str, Any]:
        """One pass; its metrics. Nothing waits for the device before the end."""
        started = time.monotonic()
        plan, steps = self.plan, self.batches.steps
        objective = self.objective.at(epoch)
        weights = list(state.module.parameters())
        total = torch.zeros((), device=weights[0].device)
        norms = torch.zeros((), device=weights[0].device)
        lr = plan.lr
        state.module.train()
        for step, (x, y) in enumerate(self.batches.of(epoch)):
            lr = plan.lr_at(epoch, step, steps)
            for group in state.optimiser.param_groups:
                group["lr"] = lr
            state.optimiser.zero_grad(set_to_none=True)
            for part_x, part_y, generator in self._parts(epoch, step, x, y):
                with torch.autocast(
                    x.device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"
                ):
                    loss = objective.loss(self.smoothed, part_x, part_y, generator=generator)
                share = len(part_x) / len(x)
                (loss if share == 1 else loss * share).backward()  # type: ignore[no-untyped-call]
                total += loss.detach() * len(part_x)
            if plan.clip is not None:
                norms += clip_grad_norm_(weights, plan.clip)
            state.optimiser.step()
            if state.average is not None:
                state.average.update(epoch * steps + step)
            if on_batch is not None:
                on_batch(len(x))
        examples = self.batches.examples
        record = {"epoch": epoch + 1, "loss": float(total) / examples, "lr": lr}
        if plan.clip is not None:
            record["gradient_norm"] = float(norms) / steps
        seconds = time.monotonic() - started
        return {
            **record,
            "seconds": round(seconds, 3),
            "images_per_second": round(examples / seconds, 1),
        }

    def _parts(
        self, epoch: int, step: int, x: Tensor, y: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, torch.Generator]]:
        """The parts of a batch, augmented, each with the generator of its noise.

        The stream of a part is named by its number in the epoch alone, so it meets the same noise
        wherever it is computed.
        """
        for i, (part_x, part_y) in enumerate(parts_of(x, y, self.plan.accumulate)):
            number = step * self.plan.accumulate + i
            generator = self.generators(Stream(self.plan.seed, epoch, "training", number))
            if self.plan.augment is not None:
                part_x = self.plan.augment.apply(part_x, generator=generator)
            yield part_x, part_y, generator
