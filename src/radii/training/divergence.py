"""Notices when training has failed, and says what may help."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radii.data import Dataset
from radii.data.base import IntArray
from radii.errors import TrainingError
from radii.noise import Noise
from radii.objectives import OBJECTIVES, Objective
from radii.training.from_disk import inputs_at
from radii.training.plan import TrainingPlan
from radii.training.validation import in_evaluation

_PROBES = 256
_SLOW_EPOCHS, _SLOW_STEPS = 2, 500  # a classifier may begin with one class for all
_LOWER = 0.01  # share by which a loss must fall to count as getting better


class Watch:
    """Looks at each epoch before it is saved.

    Training has diverged if the loss or a weight is no number. It has collapsed if a fixed batch
    with as many examples of each class, clean and under noise, is all answered with one class: in
    two epochs in a row without a lower loss, or in the last one. A slow start does not count: the
    first two epochs, the first 500 steps, and the warm-up of the learning rate. Nor do data of
    which one class makes up more than half.

    Args:
        dataset: Inputs and labels.
        chosen: `(examples,)` positions of those to train on.
        noise: Of the smoothed classifier.
        objective: Named with what may help.
        plan: How to train.
        steps: Of an epoch.
        generator: Of the noise of the fixed batch, on the device of the weights.
    """

    def __init__(
        self,
        dataset: Dataset,
        chosen: IntArray,
        noise: Noise,
        objective: Objective,
        plan: TrainingPlan,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        self._objective = objective
        self._plan = plan
        self._slow = max(_SLOW_EPOCHS, plan.lr_warmup, math.ceil(_SLOW_STEPS / steps))
        self._suspect: float | None = None  # the loss of the last epoch, if it gave one class
        labels = dataset.labels[chosen]
        counts = np.bincount(labels, minlength=dataset.num_classes)
        self._probe: Tensor | None = None
        if 2 * counts.max() <= len(labels):
            present = np.flatnonzero(counts)
            if len(present) > _PROBES:  # as imagenet has; some, spread over all
                present = present[np.linspace(0, len(present) - 1, _PROBES).astype(int)]
            each = _PROBES // len(present)
            of_class = [chosen[labels == label][:each] for label in present]
            x = inputs_at(dataset, np.concatenate(of_class)).to(generator.device)
            self._probe = torch.cat([x, noise.apply(x, generator=generator)])

    def suspects(self, record: dict[str, Any], module: nn.Module) -> bool:
        """Whether an epoch must not be saved, because training may have collapsed in it.

        Args:
            record: The metrics of the epoch.
            module: The weights after it.

        Raises:
            TrainingError: If training has failed.
        """
        loss, epoch = record["loss"], record["epoch"]
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} in epoch {epoch}; {self._advice()}.")
        if not finite(module):
            raise TrainingError(
                f"a weight became NaN or infinite in epoch {epoch}; {self._advice()}."
            )
        if epoch <= self._slow or (only := self._only_class(module)) is None:
            self._suspect = None
            return False
        stuck = self._suspect is not None and loss > self._suspect - _LOWER * abs(self._suspect)
        if stuck or epoch == self._plan.epochs:
            raise TrainingError(
                f"training collapsed: after epoch {epoch} class {only} is the answer to every "
                f"example, clean or noisy; {self._advice()}."
            )
        self._suspect = loss
        return True

    @torch.no_grad()
    def _only_class(self, module: nn.Module) -> int | None:
        """The class of the whole fixed batch, if it is one."""
        if self._probe is None:
            return None
        answers = in_evaluation(module)(self._probe).argmax(1)
        return int(answers[0]) if bool((answers == answers[0]).all()) else None

    def _advice(self) -> str:
        advice = [f"lower the learning rate, which is {self._plan.lr:g}"]
        if any(strength > 0 for strength in _strengths(self._objective)):
            advice.append(
                f"lower the strength of the objective {OBJECTIVES.spec_of(self._objective)!r} "
                f"(consistency collapses from about 25 on at sigma 1)"
            )
        if self._plan.clip is None:
            advice.append("clip gradients, for example with clip=1")
        return ", or ".join(advice)


def finite(module: nn.Module) -> bool:
    """Whether all weights and statistics are numbers."""
    floats = [t for t in module.state_dict().values() if t.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in floats]).all())


def _strengths(part: object) -> Iterator[float]:
    """Every `strength` of an objective and of the objects in its fields."""
    if is_dataclass(part):
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name == "strength":
                yield value
            yield from _strengths(value)
