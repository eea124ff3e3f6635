"""Equal answers with and without noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("stability")
@dataclass(frozen=True)
class Stability(Objective):
    """Cross entropy without noise, and of the answer under noise relative to the one without.

    With `p` the softmax of the base classifier:
    `CE(base(x), y) + strength * mean(-sum_c p_c(x) ln p_c(x + delta))`, with one noise vector for
    each input. The gradient flows through both answers: the target is not held fixed.

    Inputs with and without noise pass the base classifier together. A layer that uses the mean of
    its batch, as batch norm in training mode, so sees the mean over both halves, and its running
    statistics are those of the mixture. The code behind the published numbers passes the halves one
    after the other, which normalises each by its own; without such layers there is no difference.

    Attributes:
        strength: The papers' lambda.

    Reference:
        Li et al. 2019, arXiv:1809.03113; with a strength, as Jeong and Shin 2020, arXiv:2006.04062,
        compare with it.
    """

    strength: float = 2.0
    examples = ({}, {"strength": 0.5})

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength must be at least 0, got {self.strength!r}")

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`."""
        both = torch.cat([x, smoothed.noise.apply(x, generator=generator)])
        clean, noisy = at_least_float32(smoothed.base(both)).chunk(2)
        unstable = cross_entropy(noisy, clean.softmax(dim=-1))
        return cross_entropy(clean, y) + self.strength * unstable
