"""Training without noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("standard")
@dataclass(frozen=True)
class Standard(Objective):
    """Cross entropy of the inputs as they are: `CE(base(x), y)`.

    The noise of the classifier is not used: what is certified under noise afterwards is the floor
    from which every other objective starts.

    Reference:
        Cohen et al. 2019, arXiv:1902.02918, section 3.3, which says why this is not enough.
    """

    random: ClassVar[bool] = False

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`."""
        return cross_entropy(at_least_float32(smoothed.base(x)), y)
