"""The decoupled direction and norm attack: the nearest input that the model gets wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from radii.attacks.base import (
    ATTACKS,
    Attack,
    Found,
    Model,
    check_bounds,
    check_inputs,
    check_numbers,
    check_share,
    check_steps,
    into_box,
    into_l2_ball,
    normalised,
    row_norms,
    scores_and_gradient,
)
from radii.records import Norm

_LAST_STEP = 0.01  # the length of a step goes from 1 to this along half a cosine


@ATTACKS.register("ddn")
@dataclass(frozen=True)
class DDN(Attack):
    """Decoupled direction and norm: the smallest l2 perturbation that changes the answer.

    Each step follows the gradient for the direction, and rescales to a norm that shrinks by the
    factor `1 - gamma` where the model is already wrong and grows by `1 + gamma` where it is not.
    What counts is the smallest perturbation that was wrong; where there was none, the last one (the
    published code then returns the input). An input that the model gets wrong as it is stays as it
    is. Where the gradient is zero the direction does not change.

    With `epsilon`, a perturbation that is longer is cut to that norm: the model may then be right
    again. Training on a bounded budget wants this, a search for the nearest error does not.

    Attributes:
        steps: How many, each with one pass forwards and one backwards.
        init_norm: The norm of the first step.
        gamma: By how much the norm changes at each step, in (0, 1).
        epsilon: The largest norm of what is returned, or None.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.

    Reference:
        Rony et al. 2019, arXiv:1811.09600, Algorithm 1; with `epsilon` as Salman et al. 2019,
        arXiv:1906.04584, train with it.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> found = DDN(steps=100).perturb(model, x, y, generator=torch.Generator())
        >>> 0.6 < float((found - x).norm()) < 0.63
        True
    """

    steps: int = 100
    init_norm: float = 1.0
    gamma: float = 0.05
    epsilon: float | None = None
    low: float | None = None
    high: float | None = None
    norm: ClassVar[Norm] = "l2"
    minimal: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"steps": 60, "init_norm": 0.5, "epsilon": 0.25},
    )

    def __post_init__(self) -> None:
        check_numbers(init_norm=self.init_norm, epsilon=self.epsilon)
        check_steps(self.steps)
        check_bounds(self.low, self.high)
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be in (0, 1), got {self.gamma!r}")

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The smallest perturbation that changed the answer; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        x = x.detach()
        delta, best = torch.zeros_like(x), torch.zeros_like(x)
        length = row_norms(delta) + self.init_norm
        best_length = torch.full_like(length, math.inf)
        for k in range(self.steps):
            scores, gradient = scores_and_gradient(model, x + delta, y)
            wrong = (scores.argmax(1) != y).reshape(length.shape)
            norms = row_norms(delta)
            better = wrong & (norms < best_length)
            best = torch.where(better, delta, best)
            best_length = torch.where(better, norms, best_length)
            along = math.cos(math.pi * k / self.steps)
            step = _LAST_STEP + (1 - _LAST_STEP) * (1 + along) / 2
            length = torch.where(wrong, length * (1 - self.gamma), length * (1 + self.gamma))
            delta = length * normalised(delta + step * normalised(gradient))
            delta = into_box(delta, x, self.low, self.high)
        delta = torch.where(best_length.isfinite(), best, delta)
        delta = delta if self.epsilon is None else into_l2_ball(delta, self.epsilon)
        return Found(x + delta, torch.full_like(y, self.steps))

    def scaled(self, share: float) -> Self:
        """`epsilon` and `init_norm`, times `share`; see `Attack.scaled`."""
        check_share(share)
        if self.epsilon is None:
            raise ValueError("epsilon of ddn must be a number to be scaled, got None; set epsilon")
        return replace(self, epsilon=share * self.epsilon, init_norm=share * self.init_norm)
