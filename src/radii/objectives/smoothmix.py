"""Less confidence on the way from an input to where the smoothed classifier is fooled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, nll_loss

from radii.attacks.base import (
    check_bounds,
    check_inputs,
    check_numbers,
    check_steps,
    into_box,
    into_l2_ball,
    normalised,
    scores_and_gradient,
)
from radii.objectives._ascent import additive, check_strength, searching
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32, check_draws
from radii.smoothing import SmoothedClassifier, SoftClassifier


@OBJECTIVES.register("smoothmix")
@dataclass(frozen=True)
class SmoothMix(Objective):
    """Cross entropy of noisy copies, and mixtures of each input with an adversarial one.

    From `x_0 = x`, `x_T` is found by `steps` steps of length `step` (l2) along the gradient of
    `-ln phat(x)_y`, where `phat` is the mean softmax over `draws` noises that stay the same from
    here on. There is no ball unless `max_norm` is given. With `l` uniform on [0, 1/2], one for each
    input, `x_l = (1 - l) x_0 + l x_T` and `u` the uniform distribution, the loss is

        mean_i CE(base(x_0 + delta_i), y)
            + strength * mean_i KL((1 - l) phat(x_0) + l u || p(x_l + delta_i)),

    the second term being 0 for inputs that `phat(x_0)` gets wrong. The mean is over all inputs of
    the batch. Needs additive noise.

    Where there is a choice, this is what the authors' code does: the gradient flows through
    `phat(x_0)` in the target, too; the second term is a divergence, not a cross entropy; the search
    runs in evaluation mode; `strength` and `start` grow over `warmup` epochs. Two things differ: a
    box is only enforced where `low` and `high` are given, which are 0 and 1 there, and a step has
    its full length however small the gradient is.

    Attributes:
        draws: The paper's m, noisy copies of each input.
        strength: The paper's eta.
        steps: The paper's T.
        step: The paper's alpha, in units of the input.
        start: With 0, `x_0` is the input. Otherwise both terms take for `x_0` the point after the
            first step, brought within this distance of the input; the paper's one-step adversary
            is `start` equal to `step`.
        max_norm: The largest l2 distance of `x_T` from the input, or None.
        warmup: Epochs in which `strength` and `start` grow linearly to their values.
        low: The smallest value of a coordinate of `x_T`, or None.
        high: The largest value of a coordinate of `x_T`, or None.

    Reference:
        Jeong et al. 2021, arXiv:2111.09277, Algorithm 1.
    """

    draws: int = 4
    strength: float = 5.0
    steps: int = 8
    step: float = 1.0
    start: float = 0.0
    max_norm: float | None = None
    warmup: int = 10
    low: float | None = None
    high: float | None = None
    examples = (
        {"steps": 2, "step": 0.25},
        {"draws": 2, "steps": 3, "step": 0.5, "start": 0.5, "max_norm": 1.0, "strength": 1.0},
    )

    def __post_init__(self) -> None:
        check_draws(self.draws)
        check_strength(self.strength)
        check_steps(self.steps)
        check_numbers(step=self.step, max_norm=self.max_norm)
        check_bounds(self.low, self.high)
        if not 0 <= self.start < math.inf:
            raise ValueError(f"start must be at least 0, got {self.start!r}")
        if self.warmup < 0:
            raise ValueError(f"warmup must be at least 0, got {self.warmup!r}")

    def at(self, epoch: int) -> SmoothMix:
        """With the `strength` and `start` of that epoch; see `Objective.at`."""
        if epoch + 1 >= self.warmup:
            return self
        share = (epoch + 1) / self.warmup
        return replace(self, strength=share * self.strength, start=share * self.start, warmup=0)

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`.

        Raises:
            TrainingError: If the noise is not additive.
            ValueError: If inputs are outside [`low`, `high`].
        """
        check_inputs(x, y, self.low, self.high)
        noise = additive(smoothed.noise, "smoothmix")
        delta = noise.draw((self.draws * len(x), *x.shape[1:]), generator=generator)
        delta = delta.reshape(self.draws, *x.shape)
        near, far = self._ends(smoothed.base, x.detach(), y, delta)
        log_p = _log_softmax(smoothed.base, near + delta)
        natural = nll_loss(log_p.flatten(0, 1), y.repeat(self.draws))
        if self.strength == 0:
            return natural
        weight = torch.rand(len(x), generator=generator, device=x.device) / 2
        mixed = near + weight.reshape(-1, *(1,) * (x.ndim - 1)) * (far - near)
        log_mean = log_p.logsumexp(0) - math.log(self.draws)
        target = torch.logaddexp(
            torch.log1p(-weight)[:, None] + log_mean,
            torch.log(weight / log_mean.shape[1])[:, None],
        )
        log_q = _log_softmax(smoothed.base, mixed + delta)
        divergence = (target.exp() * (target - log_q)).sum(-1).mean(0)
        right = log_mean.argmax(1) == y
        return natural + self.strength * torch.where(right, divergence, 0.0).mean()

    def _ends(
        self, base: Callable[[Tensor], Any], x: Tensor, y: Tensor, delta: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`x_0` and `x_T`, detached."""
        near = far = x
        if self.strength == 0 and self.start == 0:
            return near, far
        soft = SoftClassifier(base, delta)
        with searching(base, x):
            for taken in range(self.steps):
                _, gradient = scores_and_gradient(soft, far, y)
                moved = far + self.step * normalised(gradient) - x
                if self.max_norm is not None:
                    moved = into_l2_ball(moved, self.max_norm)
                moved = into_box(moved, x, self.low, self.high)
                far = x + moved
                if taken == 0 and self.start > 0:
                    near = x + into_l2_ball(moved, self.start)
        return near, far


def _log_softmax(base: Callable[[Tensor], Any], copies: Tensor) -> Tensor:
    """`(draws, batch, *shape)` to `(draws, batch, num_classes)`, float32 or float64."""
    scores = at_least_float32(base(copies.flatten(0, 1)))
    return log_softmax(scores, dim=1).reshape(*copies.shape[:2], -1)
