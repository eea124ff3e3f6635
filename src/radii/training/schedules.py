"""How the learning rate goes from the first epoch to the last."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from radii.registry import Registry


class Schedule(ABC):
    """The learning rate of each epoch, as a share of the first.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def factor(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied with in `epoch`, `0 <= epoch < epochs`."""


SCHEDULES: Registry[Schedule] = Registry("schedule", "radii.training")


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

    def factor(self, epoch: int, epochs: int) -> float:
        """See `Schedule.factor`."""
        return float(self.gamma ** (epoch // self.every))


@SCHEDULES.register("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine, from 1 in the first epoch towards 0 after the last.

    Example:
        >>> [round(Cosine().factor(epoch, 4), 3) for epoch in range(4)]
        [1.0, 0.854, 0.5, 0.146]

    Reference:
        Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5.
    """

    def factor(self, epoch: int, epochs: int) -> float:
        """See `Schedule.factor`."""
        return (1 + math.cos(math.pi * epoch / epochs)) / 2
