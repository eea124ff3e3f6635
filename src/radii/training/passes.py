"""One pass over the data: the place where steps happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from radii.noise import Generators, Stream
from radii.objectives import Objective
from radii.smoothing import SmoothedClassifier
from radii.training.batches import Batches, Part
from radii.training.plan import TrainingPlan
from radii.training.state import State
from radii.training.streams import layers_draw_from, seed_beside
from radii.training.workers import Workers


@dataclass(frozen=True)
class Pass:
    """Everything that an epoch needs but the weights.

    Attributes:
        plan: How to train.
        objective: The loss.
        batches: Of each epoch.
        smoothed: The module in training, and the noise.
        generators: On the device; name noise and augmentation of each part of a batch.
        workers: Add up their gradients.
    """

    plan: TrainingPlan
    objective: Objective
    batches: Batches
    smoothed: SmoothedClassifier
    generators: Generators
    workers: Workers

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
        for step, parts in enumerate(self.batches.of(epoch)):
            lr = plan.lr_at(epoch, step, steps)
            for group in state.optimiser.param_groups:
                group["lr"] = lr
            state.optimiser.zero_grad(set_to_none=True)
            for part in parts:
                loss = self._add_gradient(epoch, part, objective)
                total += loss * (part.share * self.batches.size(step))
            self.workers.add_gradients(weights)
            if plan.clip is not None:
                norms += clip_grad_norm_(weights, plan.clip)
            state.optimiser.step()
            if state.average is not None:
                state.average.update(epoch * steps + step)
            if on_batch is not None:
                on_batch(self.batches.size(step))
        self.workers.average_statistics(state.module)
        if state.average is not None:
            self.workers.average_statistics(state.average.module)
        total = self.workers.total(total)
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

    def _add_gradient(self, epoch: int, part: Part, objective: Objective) -> Tensor:
        """Adds to the gradients what a part contributes to the loss of its batch; its own loss.

        The stream of a part is named by its number in the epoch alone, so it meets the same noise
        wherever it is computed.
        """
        x = part.x
        generator = self.generators(Stream(self.plan.seed, epoch, "training", part.number))
        if self.plan.augment is not None:
            x = self.plan.augment.apply(x, generator=generator)
        layers = Stream(seed_beside(self.plan.seed), epoch, "training", part.number)
        mixed = self.plan.precision == "bfloat16"
        with (
            layers_draw_from(layers, x.device),
            torch.autocast(x.device.type, torch.bfloat16, enabled=mixed),
        ):
            loss = objective.loss(self.smoothed, x, part.y, generator=generator)
        (loss if part.share == 1 else loss * part.share).backward()  # type: ignore[no-untyped-call]
        return loss.detach()
