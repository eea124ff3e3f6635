"""TRADES: accuracy on the inputs, and equal answers near them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from radii.attacks.base import (
    check_bounds,
    check_inputs,
    check_numbers,
    check_steps,
    into_box,
    into_l2_ball,
    normalised,
)
from radii.objectives._ascent import check_strength, searching
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32
from radii.smoothing import SmoothedClassifier

_START = 1e-3  # the divergence has no gradient at x itself; the papers' code starts this far away
_DEFAULT_STEP = {"l2": 2.0, "linf": 2.5}  # times epsilon / steps, as the attacks pgd_l2, pgd_linf


@OBJECTIVES.register("trades")
@dataclass(frozen=True)
class Trades(Objective):
    """Cross entropy, and how far answers change in a ball: `CE(x) + strength * KL(p(x) || p(x'))`.

    `p` is the softmax of the base classifier. `x'` is found by steps of one length that raise the
    same divergence, each brought back into the ball, from a random point very close to `x`, with
    the base classifier in evaluation mode. The gradient flows through both `p(x)` and `p(x')`.

    This is the empirical defence that certified ones are compared with. The noise of the classifier
    is not used.

    Attributes:
        epsilon: Radius of the ball.
        strength: The paper's 1 / lambda.
        norm: Of the ball.
        steps: Of the search, each with one pass forwards and one backwards.
        step: The length of a step in `norm`; None takes `2 epsilon / steps` in l2 and
            `2.5 epsilon / steps` in linf.
        low: The smallest value of a coordinate of `x'`, or None.
        high: The largest value of a coordinate of `x'`, or None.

    Reference:
        Zhang et al. 2019, arXiv:1901.08573, Algorithm 1.
    """

    epsilon: float
    strength: float = 6.0
    norm: Literal["l2", "linf"] = "linf"
    steps: int = 10
    step: float | None = None
    low: float | None = None
    high: float | None = None
    examples = (
        {"epsilon": 0.1, "steps": 2},
        {"epsilon": 0.25, "strength": 1.0, "norm": "l2", "steps": 3, "low": -9.0, "high": 9.0},
    )

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon, step=self.step)
        check_steps(self.steps)
        check_bounds(self.low, self.high)
        check_strength(self.strength)
        if self.norm not in _DEFAULT_STEP:
            raise ValueError(f"norm must be l2 or linf, got {self.norm!r}")

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`.

        Raises:
            ValueError: If inputs are outside [`low`, `high`].
        """
        check_inputs(x, y, self.low, self.high)
        with searching(smoothed.base, x):
            near = self._perturbed(smoothed.base, x.detach(), generator)
        scores, of_near = at_least_float32(smoothed.base(torch.cat([x, near]))).chunk(2)
        return cross_entropy(scores, y) + self.strength * _divergence(scores, of_near) / len(x)

    def _perturbed(
        self, base: Callable[[Tensor], Tensor], x: Tensor, generator: torch.Generator
    ) -> Tensor:
        """`x'`, detached."""
        step = self.step
        if step is None:
            step = _DEFAULT_STEP[self.norm] * self.epsilon / self.steps
        with torch.no_grad():
            scores = at_least_float32(base(x))
        delta = _START * torch.empty_like(x).normal_(generator=generator)
        for _ in range(self.steps):
            leaf = (x + delta).requires_grad_()
            divergence = _divergence(scores, at_least_float32(base(leaf)))
            (gradient,) = torch.autograd.grad(divergence, [leaf])
            ascent = normalised(gradient) if self.norm == "l2" else gradient.sign()
            delta = into_box(delta + step * ascent, x, self.low, self.high)
            if self.norm == "l2":
                delta = into_l2_ball(delta, self.epsilon)
            else:
                delta = delta.clamp(-self.epsilon, self.epsilon)
        return x + delta


def _divergence(scores: Tensor, other: Tensor) -> Tensor:
    """`KL(p || q)` of the softmax of two `(batch, num_classes)` scores, summed over the batch."""
    p, q = log_softmax(scores, dim=1), log_softmax(other, dim=1)
    return kl_div(q, p, reduction="sum", log_target=True)
