"""How a base classifier is trained: everything but what is trained, on what, and for which loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from radii.records import Norm
from radii.registry import Registry
from radii.training.augmentations import AUGMENTATIONS, Augmentation
from radii.training.optimisers import OPTIMISERS, SGD, Optimiser
from radii.training.schedules import SCHEDULES, Schedule, Step

Precision = Literal["float32", "bfloat16"]
Compile = Literal["auto", "on", "off"]
Keep = Literal["last", "best"]
Normalisation = Literal["data", "none"]

_LEAST = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "validate_n", "validate_every"), 1),
    **dict.fromkeys(("lr_warmup", "validate", "seed"), 0),
}
_CHOICES = {"precision": Precision, "compile": Compile, "keep": Keep, "normalize": Normalisation}

PLANS: Registry[TrainingPlan] = Registry("plan", "radii.training")


@PLANS.register("training")
@dataclass(frozen=True)
class TrainingPlan:
    """Epochs, steps, validation and seed; the keys of a recipe.

    Attributes:
        epochs: Passes over the data.
        batch_size: Examples in one step.
        lr: Learning rate, which the schedule multiplies.
        lr_warmup: Epochs in which the rate also rises in a line, from almost 0 to all of it.
        optimiser: How gradients move the weights.
        schedule: How the learning rate changes.
        accumulate: Parts into which the examples of a step are split, for memory; their gradients
            are added up. Each part has a noise stream of its own.
        clip: Longest gradient in l2, over all weights; longer ones are shortened to it.
        ema: What is kept of the running average of the weights at each step, in (0, 1); the
            average is then what is exported.
        normalize: By what inputs are normalised in the first layer: mean and deviation of the
            `data`, or `none`, as in scripts whose networks see pixels in [0, 1].
        augment: Random change of inputs, before noise.
        precision: `bfloat16` runs the layers that allow it in that type, weights stay float32.
        compile: Whether layers are compiled; `auto` does on CUDA where training is long enough.
        validate: Examples that are held out of training.
        validate_n: Draws for each of them.
        validate_every: Epochs from one validation to the next; the last epoch always has one.
        validate_norm: Of the radii; None takes the first of l2, l1, linf and l0 that is certified.
        keep: Which weights are exported: `last`, or `best`, those of the epoch with the largest
            average certified radius on the examples held out.
        seed: Of the first weights, the order of the examples, the noise and the augmentation.
    """

    epochs: int
    batch_size: int = 256
    lr: float = 0.01
    lr_warmup: int = 0
    optimiser: Optimiser = field(default_factory=SGD)
    schedule: Schedule = field(default_factory=Step)
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    normalize: Normalisation = "data"
    augment: Augmentation | None = None
    precision: Precision = "float32"
    compile: Compile = "auto"
    validate: int = 0
    validate_n: int = 100
    validate_every: int = 1
    validate_norm: Norm | None = None
    keep: Keep = "last"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                known = " or ".join(get_args(choices))
                raise ValueError(f"{name} must be {known}, got {getattr(self, name)!r}")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema must be in (0, 1), got {self.ema!r}")
        if self.lr_warmup >= self.epochs:
            raise ValueError(
                f"lr_warmup must be less than epochs, which is {self.epochs}, "
                f"got {self.lr_warmup!r}"
            )
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate must be at most batch_size, which is {self.batch_size}, "
                f"got {self.accumulate!r}"
            )
        if self.keep == "best" and not self.validate:
            raise ValueError(
                "keep must be last where no examples are held out, got 'best'; set validate"
            )

    def lr_at(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step.

        Args:
            epoch: From 0.
            step: Of the epoch, from 0.
            steps: Of an epoch.
        """
        at = epoch + step / steps if self.schedule.each_step else epoch
        lr = self.lr * self.schedule.factor(at, self.epochs)
        warm = self.lr_warmup * steps
        return lr * min(1.0, (epoch * steps + step + 1) / warm) if warm else lr

    def record(self) -> dict[str, Any]:
        """Every field by name, as JSON has it."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: object) -> object:
    if isinstance(value, Optimiser):
        return OPTIMISERS.spec_of(value)
    if isinstance(value, Schedule):
        return SCHEDULES.spec_of(value)
    return AUGMENTATIONS.spec_of(value) if isinstance(value, Augmentation) else value
