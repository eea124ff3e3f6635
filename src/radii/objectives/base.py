"""What an objective is: the loss that training lowers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from radii.registry import Registry
from radii.smoothing import SmoothedClassifier


class Objective(ABC):
    """A loss of a smoothed classifier on a batch, configured by a frozen dataclass.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
        random: Whether the loss depends on the generator.
        denoises: Whether the loss is that of a denoiser before a classifier, and needs one.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)
    random: ClassVar[bool] = True
    denoises: ClassVar[bool] = False

    def at(self, epoch: int) -> Objective:
        """What is lowered in an epoch, counted from 0; an objective may begin as another one."""
        return self

    @abstractmethod
    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss, differentiable in the parameters of the base classifier.

        Leaves no gradient behind, in the parameters or in `x`.

        Args:
            smoothed: Base classifier, in training mode, and noise.
            x: `(batch, *shape)` float32.
            y: `(batch,)` int64. Labels.
            generator: Where the noise comes from; on the device of `x`.

        Returns:
            `()` mean over the batch.
        """


OBJECTIVES: Registry[Objective] = Registry("objective", "radii.objectives", Objective)
