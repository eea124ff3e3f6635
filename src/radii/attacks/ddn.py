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
    check_restarts,
    check_share,
    check_steps,
    into_box,
    into_l2_ball,
    normalised,
    perturbed,
    row_norms,
    scores_and_gradient,
    uniform_in_l2_ball,
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
        random_start: Start at a point drawn uniformly from the ball of radius `init_norm` and not
            at the input. Whether the input itself is wrong is then asked first, at the price of a
            forward pass.
        restarts: How many starts, the first one included; the smallest perturbation of all counts.
            All but the first are at random points in any case.

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
    random_start: bool = False
    restarts: int = 1
    norm: ClassVar[Norm] = "l2"
    minimal: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"steps": 60, "init_norm": 0.5, "epsilon": 0.25},
        {"steps": 60, "init_norm": 0.5, "random_start": True, "restarts": 2},
    )

    def __post_init__(self) -> None:
        check_numbers(init_norm=self.init_norm, epsilon=self.epsilon)
        check_steps(self.steps)
        check_restarts(self.restarts)
        check_bounds(self.low, self.high)
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be in (0, 1), got {self.gamma!r}")

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The smallest perturbation that changed the answer; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        x = x.detach()
        found = torch.zeros_like(x)
        smallest = torch.full_like(row_norms(found), math.inf)
        if self.random_start:
            with torch.no_grad():
                wrong = model(x).argmax(1) != y
            smallest = smallest.masked_fill(wrong.reshape(smallest.shape), 0.0)
        for restart in range(self.restarts):
            delta = torch.zeros_like(x)
            if self.random_start or restart:
                start = uniform_in_l2_ball(x, generator, self.init_norm)
                delta = into_box(start, x, self.low, self.high)
            found, smallest = self._descend(model, x, y, delta, found, smallest)
        found = found if self.epsilon is None else into_l2_ball(found, self.epsilon)
        queries = self.restarts * self.steps + self.random_start
        return Found(perturbed(x, found, self.low, self.high), torch.full_like(y, queries))

    def _descend(
        self, model: Model, x: Tensor, y: Tensor, delta: Tensor, found: Tensor, smallest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One search: the smallest perturbation so far, `found` included, and its norm.

        Where the norm is infinite none was found, and the perturbation is the last.
        """
        length = torch.full_like(smallest, self.init_norm)
        for k in range(self.steps):
            scores, gradient = scores_and_gradient(model, x + delta, y)
            wrong = (scores.argmax(1) != y).reshape(length.shape)
            norms = row_norms(delta)
            better = wrong & (norms < smallest)
            found = torch.where(better, delta, found)
            smallest = torch.where(better, norms, smallest)
            along = math.cos(math.pi * k / self.steps)
            step = _LAST_STEP + (1 - _LAST_STEP) * (1 + along) / 2
            length = torch.where(wrong, length * (1 - self.gamma), length * (1 + self.gamma))
            delta = length * normalised(delta + step * normalised(gradient))
            delta = into_box(delta, x, self.low, self.high)
        return torch.where(smallest.isfinite(), found, delta), smallest

    def scaled(self, share: float) -> Self:
        """`epsilon` and `init_norm`, times `share`; see `Attack.scaled`."""
        check_share(share)
        if self.epsilon is None:
            raise ValueError("epsilon of ddn must be a number to be scaled, got None; set epsilon")
        return replace(self, epsilon=share * self.epsilon, init_norm=share * self.init_norm)
