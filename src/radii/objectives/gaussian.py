"""Training on noisy copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from radii.objectives.base import OBJECTIVES
from radii.objectives.copies import CopiesObjective, check_draws, noisy_copies
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("gaussian")
@dataclass(frozen=True)
class GaussianAugmentation(CopiesObjective):
    """Cross entropy of noisy copies of each input: `mean_i CE(base(x + delta_i), y)`.

    The noise is the one that the classifier is smoothed with, Gaussian or not, drawn anew for every
    input at every step.

    Attributes:
        draws: Noisy copies of each input.

    Reference:
        Lecuyer et al. 2019, arXiv:1802.03471; Cohen et al. 2019, arXiv:1902.02918, section 3.3.
    """

    draws: int = 1
    examples = ({}, {"draws": 3})

    def __post_init__(self) -> None:
        check_draws(self.draws)

    @property
    def num_copies(self) -> int:
        """See `CopiesObjective.num_copies`."""
        return self.draws

    def copies(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """Each input under noise, `draws` times; see `CopiesObjective.copies`."""
        return noisy_copies(smoothed, x, self.draws, generator)
