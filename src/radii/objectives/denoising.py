"""Training of a denoiser before a classifier that stays as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from radii.errors import TrainingError
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32
from radii.smoothing import SmoothedClassifier


@runtime_checkable
class Denoises(Protocol):
    """A denoiser before a classifier, as `radii.DenoisedClassifier` is."""

    base: nn.Module

    def denoise(self, x: Tensor) -> Tensor:
        """What the classifier gets to see, `(rows, *shape)`."""


@OBJECTIVES.register("denoising")
@dataclass(frozen=True)
class Denoising(Objective):
    """How far a denoiser is from the input without noise, and its classifier from its own answer.

    With `D` the denoiser, `f` the classifier behind it and `xhat = D(x + delta)`, one noise vector
    for each input: `error * mean (xhat - x)^2 + stability * CE(f(xhat), argmax_c f_c(x))`. The
    first mean is over inputs and their coordinates. The labels are not used: the classifier's
    answer to the input without noise takes their place, and no gradient flows through it.

    The paper's two losses are `error=1,stability=0` and `error=0,stability=1`; it also trains with
    the first and goes on with the second.

    Attributes:
        error: Of the mean squared error.
        stability: Of the cross entropy.

    Reference:
        Salman et al. 2020, arXiv:2003.01908, equations 4 and 5.
    """

    error: float = 1.0
    stability: float = 0.0
    examples = ({}, {"error": 0.0, "stability": 1.0}, {"stability": 0.1})
    denoises: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("error", "stability"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        if not self.error and not self.stability:
            raise ValueError("error must be positive where stability is 0, got 0.0")

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`.

        Raises:
            TrainingError: If the base classifier has no denoiser.
        """
        denoised = _denoised_of(smoothed.base)
        cleaned = denoised.denoise(smoothed.noise.apply(x, generator=generator))
        terms = []
        if self.error:
            cleaned_x = at_least_float32(cleaned)
            terms.append(self.error * mse_loss(cleaned_x, x.to(cleaned_x.dtype)))
        if self.stability:
            with torch.no_grad():
                answer = denoised.base(x).argmax(1)
            scores = at_least_float32(denoised.base(cleaned))
            terms.append(self.stability * cross_entropy(scores, answer))
        return torch.stack(terms).sum()


def _denoised_of(base: object) -> Denoises:
    """The first part of a base classifier that denoises."""
    for part in base.modules() if isinstance(base, nn.Module) else ():
        if isinstance(part, Denoises):
            return part
    raise TrainingError(
        "the objective denoising trains a denoiser, and the base classifier has none; give one "
        "with --denoiser, as dncnn."
    )
