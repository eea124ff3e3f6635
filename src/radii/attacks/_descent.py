"""Projected gradient descent, in whatever norm."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor

from radii.attacks._worst import Worst
from radii.attacks.base import (
    BallAttack,
    Found,
    Model,
    check_bounds,
    check_numbers,
    check_restarts,
    check_share,
    check_steps,
    into_box,
    perturbed,
    scores_and_gradient,
)

Schedule = Literal["constant", "cosine", "step"]
Keep = Literal["last", "worst"]


@dataclass(frozen=True)
class ProjectedGradientDescent(BallAttack):
    """Steps that raise the loss, each brought back into the ball.

    With one start and `keep="last"` the last point is what is found. Otherwise points are compared,
    each input's on their own: one that the model gets wrong is worse than one that it gets right,
    and then one with a larger loss. That takes one more forward pass for each start. No input is
    left out once it is wrong: with a model that averages over a few draws of noise, a larger loss
    is still a stronger attack. Starts follow one another, so they take time but no memory.

    Attributes:
        epsilon: Radius of the ball.
        steps: How many, each with one pass forwards and one backwards.
        step: The length of a step in the attack's norm, the first one where lengths fall; None
            takes the default of the norm.
        random_start: Start at a point drawn uniformly from the ball and not at the input.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.
        restarts: How many starts, the first one included. The first is at the input, or with
            `random_start` at a random point; all others are at random points.
        schedule: How the length of a step changes: "constant"; "cosine", which falls to almost 0
            along half a cosine; "step", which is divided by 10 after half of the steps and again
            after three quarters. The default length grows so that all steps together stay as long.
        keep: What is kept of each start: its "last" point, or the "worst" that it met, the start
            included.
    """

    epsilon: float
    steps: int = 10
    step: float | None = None
    random_start: bool = False
    low: float | None = None
    high: float | None = None
    restarts: int = 1
    schedule: Schedule = "constant"
    keep: Keep = "last"
    path: ClassVar[float]  # length of all steps together by default, times epsilon

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon, step=self.step)
        check_steps(self.steps)
        check_bounds(self.low, self.high)
        check_restarts(self.restarts)
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be constant, cosine or step, got {self.schedule!r}")
        if self.keep not in get_args(Keep):
            raise ValueError(f"keep must be last or worst, got {self.keep!r}")

    def search_within(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        epsilon: float | Tensor,
        *,
        generator: torch.Generator,
    ) -> Found:
        """The worst point of the search; see `BallAttack.search_within`."""
        shares = self._shares()
        if self.step is None:
            length = self.path * epsilon / sum(shares)
        else:
            length = self.step * (epsilon / self.epsilon)
        compares = self.restarts > 1 or self.keep == "worst"
        worst = Worst(model, y)
        for restart in range(self.restarts):
            delta = torch.zeros_like(x)
            if self.random_start or restart:
                start = self._start(x, generator) * (epsilon / self.epsilon)
                delta = into_box(start, x, self.low, self.high)
            for share in shares:
                at = x + delta
                scores, gradient = scores_and_gradient(model, at, y)
                if self.keep == "worst":
                    worst.see(delta, scores)
                moved = delta + share * length * self._direction(gradient, at)
                delta = self._into_ball(moved, x, epsilon)
            if compares:
                with torch.no_grad():
                    worst.see(delta, model(x + delta))
        queries = self.restarts * (self.steps + compares)
        found = worst.delta if compares else delta
        return Found(perturbed(x, found, self.low, self.high), torch.full_like(y, queries))

    def scaled(self, share: float) -> Self:
        """Radius and length of a step, times `share`; see `Attack.scaled`."""
        check_share(share)
        step = None if self.step is None else share * self.step
        return replace(self, epsilon=share * self.epsilon, step=step)

    def _shares(self) -> list[float]:
        """The length of each step, as a share of the first."""
        if self.schedule == "cosine":
            return [(1 + math.cos(math.pi * k / self.steps)) / 2 for k in range(self.steps)]
        if self.schedule == "step":
            at = [k / self.steps for k in range(self.steps)]
            return [1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01 for done in at]
        return [1.0] * self.steps

    @abstractmethod
    def _direction(self, gradient: Tensor, at: Tensor) -> Tensor:
        """The steepest ascent of norm 1 from a point, or zero where the gradient is."""

    @abstractmethod
    def _into_ball(self, delta: Tensor, x: Tensor, epsilon: float | Tensor) -> Tensor:
        """A point of the ball with `x + delta` between the bounds."""

    @abstractmethod
    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the ball of the attack's radius, `(batch, *shape)`."""
