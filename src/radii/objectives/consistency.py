"""Equal answers under noise, whatever the copies are trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from radii.objectives.base import OBJECTIVES
from radii.objectives.copies import CopiesObjective
from radii.objectives.gaussian import GaussianAugmentation
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("consistency")
@dataclass(frozen=True)
class Consistency(CopiesObjective):
    """Another loss, and how far the answers to the noisy copies of one input are apart.

    With `p_i` the softmax of copy `i` and `pbar` their mean over the copies, the loss is that of
    `over` plus `strength * mean_i KL(pbar || p_i) + entropy * H(pbar)`, all of the same scores. The
    gradient flows through every `p_i`, `pbar` included. Equal answers alone are also given by a
    classifier that knows nothing; the entropy term makes it take sides.

    A `strength` that is too large for the noise ends in a classifier with one answer for
    everything: 25 and more does at `sigma = 1`.

    The published script takes a batch of B in `draws` steps of B / draws inputs each: for its batch
    of 256 and 2 draws take a batch size of 128.

    Attributes:
        strength: The paper's lambda: 10 at `sigma = 0.25`, 5 at 0.5 and 1.
        entropy: The paper's eta.
        over: Makes the copies, at least 2 of each input, and has a loss of its own of them.

    Reference:
        Jeong and Shin 2020, arXiv:2006.04062.
    """

    strength: float = 5.0
    entropy: float = 0.5
    over: CopiesObjective = field(default_factory=lambda: GaussianAugmentation(draws=2))
    examples = ({}, {"strength": 1.0, "entropy": 0.1, "over": {"name": "gaussian", "draws": 3}})

    def __post_init__(self) -> None:
        for name in ("strength", "entropy"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        if not isinstance(self.over, CopiesObjective):
            raise TypeError(f"over must be an objective of noisy copies, got {self.over!r}")
        if self.num_copies is not None:
            self._check(self.num_copies)

    @property
    def num_copies(self) -> int | None:
        """See `CopiesObjective.num_copies`."""
        return self.over.num_copies

    def at(self, epoch: int) -> Consistency:
        """The same terms over what `over` is in that epoch; see `Objective.at`."""
        over = self.over.at(epoch)
        return self if over is self.over else replace(self, over=over)

    def copies(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The copies of `over`; see `CopiesObjective.copies`."""
        return self.over.copies(smoothed, x, y, generator=generator)

    def of_scores(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of the copies' scores; see `CopiesObjective.of_scores`."""
        self._check(len(scores))
        log_p = log_softmax(scores, dim=-1)
        log_mean = log_p.logsumexp(0) - math.log(len(scores))
        apart = log_mean - log_p.mean(0)
        terms = log_mean.exp() * (self.strength * apart - self.entropy * log_mean)
        return self.over.of_scores(scores, y) + terms.sum(-1).mean()

    def _check(self, draws: int) -> None:
        if draws < 2:
            raise ValueError(
                f"over must make at least 2 noisy copies of each input, got {draws} of "
                f"{self.over!r}; set its parameters so that it makes more"
            )
