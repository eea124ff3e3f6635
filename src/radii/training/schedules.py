"""How the learning rate goes from the first step to the last."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from radii.registry import Registry


class Schedule(ABC):
    """The learning rate in the course of training, as a share of `lr`.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @property
    def each_step(self) -> bool:
        """Whether the rate changes within an epoch; then `factor` is asked at each step."""
        return False

    @abstractmethod
    def factor(self, epoch: float, epochs: int) -> float:
        """What the learning rate is multiplied with.

        Args:
            epoch: Epochs done, `0 <= epoch < epochs`: a whole number, unless `each_step`.
            epochs: In all.
        """


SCHEDULES: Registry[Schedule] = Registry("schedule", "radii.training", Schedule)


@SCHEDULES.register("step")
@dataclass(frozen=True)
class Step(Schedule):
    """Multiplied with `gamma` after every `every` epochs.

    Example:
        >>> [Step(every=2, gamma=0.5).factor(epoch, 5) for epoch in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int = 30
    gamma: float = 0.1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every!r}")
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma must be in (0, 1], got {self.gamma!r}")

    def factor(self, epoch: float, epochs: int) -> float:
        """See `Schedule.factor`."""
        return float(self.gamma ** (epoch // self.every))


@SCHEDULES.register("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine, from 1 in the first epoch towards 0 after the last.

    Attributes:
        each_step: Go down within epochs, too, and not only between them.

    Example:
        >>> [round(Cosine().factor(epoch, 4), 3) for epoch in range(4)]
        [1.0, 0.854, 0.5, 0.146]

    Reference:
        Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5.
    """

    each_step: bool = False
    examples = ({}, {"each_step": True})

    def factor(self, epoch: float, epochs: int) -> float:
        """See `Schedule.factor`."""
        return (1 + math.cos(math.pi * epoch / epochs)) / 2


@SCHEDULES.register("one_cycle")
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from `first` to 1 over a share `rise` of all steps, then down to `last`, both by cosines.

    So `lr` is the largest rate, and it changes with every step. The defaults are those of torch's
    `OneCycleLR`.

    Example:
        >>> [round(OneCycle(rise=0.5).factor(epoch, 4), 3) for epoch in range(4)]
        [0.04, 0.52, 1.0, 0.5]

    Reference:
        Smith and Topin 2018, arXiv:1708.07120.
    """

    rise: float = 0.3
    first: float = 0.04
    last: float = 4e-6

    def __post_init__(self) -> None:
        if not 0 < self.rise < 1:
            raise ValueError(f"rise must be in (0, 1), got {self.rise!r}")
        for name in ("first", "last"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)!r}")

    @property
    def each_step(self) -> bool:
        """It does change within an epoch."""
        return True

    def factor(self, epoch: float, epochs: int) -> float:
        """See `Schedule.factor`."""
        done = epoch / epochs
        if done < self.rise:
            return _between(self.first, 1.0, done / self.rise)
        return _between(1.0, self.last, (done - self.rise) / (1 - self.rise))


def _between(start: float, end: float, share: float) -> float:
    """On half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
