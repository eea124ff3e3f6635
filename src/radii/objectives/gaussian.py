"""Training on noisy copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.objectives.base import OBJECTIVES, Objective
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("gaussian")
@dataclass(frozen=True)
class GaussianAugmentation(Objective):
    """Cross entropy of one noisy copy of each input: `CE(base(x + delta), y)`.

    The noise is the one that the classifier is smoothed with, Gaussian or not, drawn anew for every
    input at every step.

    Reference:
        Lecuyer et al. 2019, arXiv:1802.03471; Cohen et al. 2019, arXiv:1902.02918, section 3.3.
    """

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`."""
        noisy = smoothed.noise.apply(x, generator=generator)
        scores: Tensor = smoothed.base(noisy)
        return cross_entropy(scores.float(), y)
