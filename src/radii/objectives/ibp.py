"""Interval bound propagation: training on the worst scores that a box of inputs could have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.attacks.base import check_bounds
from radii.objectives._ascent import in_evaluation
from radii.objectives._interval_rules import propagated, worst_differences
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32
from radii.objectives.intervals import ball, check_epsilon
from radii.smoothing import SmoothedClassifier


@OBJECTIVES.register("ibp")
@dataclass(frozen=True)
class IntervalBounds(Objective):
    """Cross entropy, and that of the worst scores: `kappa * CE(x) + (1 - kappa) * CE(worst)`.

    The worst scores are bounds, by interval arithmetic, of what the base classifier in evaluation
    mode answers to inputs within `epsilon` of `x` in linf. In the first `warmup` epochs only the
    first term counts; during `ramp` epochs after these `epsilon` grows from 0 and `kappa` falls
    from 1, both in equal steps, to their values.

    What it certifies are the answers of the base classifier itself (`ibp_certified`): the noise of
    the classifier is not used.

    Attributes:
        epsilon: Radius of the linf ball.
        kappa: The share of the first term.
        warmup: Epochs without the second term.
        ramp: Epochs in which it comes in; the last of them has the full `epsilon`.
        low: The smallest value that a coordinate can have, or None.
        high: The largest value that a coordinate can have, or None.

    Reference:
        Gowal et al. 2018, arXiv:1810.12715, section 3.
    """

    epsilon: float
    kappa: float = 0.5
    warmup: int = 0
    ramp: int = 0
    low: float | None = None
    high: float | None = None
    random: ClassVar[bool] = False
    examples = (
        {"epsilon": 0.1},
        {"epsilon": 0.2, "kappa": 0.25, "ramp": 2, "low": -9.0, "high": 9.0},
    )

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        if not 0 <= self.kappa <= 1:
            raise ValueError(f"kappa must be in [0, 1], got {self.kappa!r}")
        for name in ("warmup", "ramp"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        check_bounds(self.low, self.high)

    def at(self, epoch: int) -> IntervalBounds:
        """With the `epsilon` and `kappa` of an epoch; see `Objective.at`."""
        done = epoch - self.warmup + 1
        share = 0.0 if done <= 0 else min(1.0, done / max(1, self.ramp))
        kappa = 1 - share * (1 - self.kappa)
        return replace(self, epsilon=share * self.epsilon, kappa=kappa, warmup=0, ramp=0)

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss at the full `epsilon` and `kappa`; see `Objective.loss`.

        Raises:
            ValueError: If inputs are outside [`low`, `high`].
            BaseClassifierError: If the base classifier does what there is no bound for.
        """
        loss = cross_entropy(at_least_float32(smoothed.base(x)), y)
        if self.kappa == 1:
            return loss
        box = ball(x, y, self.epsilon, low=self.low, high=self.high)
        with in_evaluation(smoothed.base):
            scores = propagated(smoothed.base, box)
        worst = worst_differences(scores, y)
        return self.kappa * loss + (1 - self.kappa) * cross_entropy(worst, y)
