"""Losses of the scores of several noisy copies of each input."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.objectives.base import Objective
from radii.smoothing import SmoothedClassifier


@dataclass(frozen=True)
class CopiesObjective(Objective):
    """A loss that makes noisy copies of each input and then only looks at their scores.

    So another objective may add terms of the same scores, as `consistency` does, without passes of
    its own.
    """

    @property
    def num_copies(self) -> int | None:
        """Copies of each input; None where that is not known before they are made."""
        return None

    def at(self, epoch: int) -> CopiesObjective:
        """See `Objective.at`."""
        return self

    @abstractmethod
    def copies(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """Noisy copies to train on.

        Args:
            smoothed: See `Objective.loss`.
            x: See `Objective.loss`.
            y: See `Objective.loss`.
            generator: See `Objective.loss`.

        Returns:
            `(draws * batch, *shape)` float32, detached: all inputs once, all again, and so on.
        """

    def of_scores(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of the copies' scores: the mean cross entropy, unless it is overridden.

        Args:
            scores: `(draws, batch, num_classes)`, float32 or float64.
            y: `(batch,)` int64. Labels.

        Returns:
            `()` mean over the batch.
        """
        return cross_entropy(scores.flatten(0, 1), y.repeat(len(scores)))

    def scores(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """`(draws, batch, num_classes)` scores of `copies`, float32 or float64."""
        noisy = self.copies(smoothed, x, y, generator=generator)
        scores = at_least_float32(smoothed.base(noisy))
        return scores.reshape(-1, len(x), scores.shape[-1])

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`."""
        return self.of_scores(self.scores(smoothed, x, y, generator=generator), y)


def noisy_copies(
    smoothed: SmoothedClassifier, x: Tensor, draws: int, generator: torch.Generator
) -> Tensor:
    """`(draws * batch, *shape)` float32: each input under noise of its own in every copy."""
    copies = x.expand(draws, *x.shape).reshape(-1, *x.shape[1:])
    return smoothed.noise.apply(copies, generator=generator)


def at_least_float32(scores: Tensor) -> Tensor:
    """Scores as losses are computed of them, also where layers ran in a shorter type."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def check_draws(draws: int, least: int = 1) -> None:
    """Refuses too few noisy copies."""
    if draws < least:
        raise ValueError(f"draws must be at least {least}, got {draws!r}")
