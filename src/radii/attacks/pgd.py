"""Projected gradient descent in l2 and in linf."""

from __future__ import annotations

from abc import abstractmethod
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
    scores_and_gradient,
)
from radii.records import Norm


@dataclass(frozen=True)
class ProjectedGradientDescent(Attack):
    """Steps of one length that raise the cross entropy, each brought back into the ball.

    Attributes:
        epsilon: Radius of the ball.
        steps: How many, each with one pass forwards and one backwards.
        step: The length of a step in the attack's norm; None takes the default of the norm.
        random_start: Start at a point drawn uniformly from the ball and not at the input.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.
    """

    epsilon: float
    steps: int = 10
    step: float | None = None
    random_start: bool = False
    low: float | None = None
    high: float | None = None
    default_step: ClassVar[float]  # times epsilon / steps

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon, step=self.step)
        check_steps(self.steps)
        check_bounds(self.low, self.high)

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The last point of the search; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        x = x.detach()
        step = self.default_step * self.epsilon / self.steps if self.step is None else self.step
        delta = torch.zeros_like(x)
        if self.random_start:
            delta = into_box(self._start(x, generator), x, self.low, self.high)
        for _ in range(self.steps):
            _, gradient = scores_and_gradient(model, x + delta, y)
            moved = delta + step * self._direction(gradient)
            delta = self._into_ball(into_box(moved, x, self.low, self.high))
        return Found(x + delta, torch.full_like(y, self.steps))

    def scaled(self, share: float) -> Self:
        """Radius and length of a step, times `share`; see `Attack.scaled`."""
        check_share(share)
        step = None if self.step is None else share * self.step
        return replace(self, epsilon=share * self.epsilon, step=step)

    @abstractmethod
    def _direction(self, gradient: Tensor) -> Tensor:
        """The steepest ascent of norm 1, or zero where the gradient is."""

    @abstractmethod
    def _into_ball(self, delta: Tensor) -> Tensor: ...

    @abstractmethod
    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the ball, `(batch, *shape)`."""


@ATTACKS.register("pgd_l2")
@dataclass(frozen=True)
class PGDL2(ProjectedGradientDescent):
    """Projected gradient descent in l2: steps along the gradient, brought back into the ball.

    Steps have length `2 epsilon / steps` unless `step` says otherwise. Where the gradient is zero
    the input does not move.

    Reference:
        Madry et al. 2018, arXiv:1706.06083; as Salman et al. 2019, arXiv:1906.04584, use it.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> PGDL2(epsilon=0.5).perturb(model, x, y, generator=torch.Generator())
        tensor([[0.1000, 0.8000]])
    """

    norm: ClassVar[Norm] = "l2"
    default_step: ClassVar[float] = 2.0
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.5},
        {"epsilon": 1.0, "steps": 40, "step": 0.1, "random_start": True},
    )

    def _direction(self, gradient: Tensor) -> Tensor:
        return normalised(gradient)

    def _into_ball(self, delta: Tensor) -> Tensor:
        return into_l2_ball(delta, self.epsilon)

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        direction = torch.empty_like(x).normal_(generator=generator)
        share = x.new_empty(len(x), *(1,) * (x.ndim - 1)).uniform_(generator=generator)
        length = self.epsilon * share ** (1 / max(1, x[0].numel()))
        return normalised(direction) * length


@ATTACKS.register("pgd_linf")
@dataclass(frozen=True)
class PGDLinf(ProjectedGradientDescent):
    """Projected gradient descent in linf: steps along the sign of the gradient.

    Steps have length `2.5 epsilon / steps` unless `step` says otherwise. Where a coordinate of the
    gradient is zero that coordinate does not move.

    Reference:
        Madry et al. 2018, arXiv:1706.06083, section 2 and, for the length of a step, section 5.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> PGDLinf(epsilon=0.5).perturb(model, x, y, generator=torch.Generator())
        tensor([[0.1000, 0.8000]])
    """

    norm: ClassVar[Norm] = "linf"
    default_step: ClassVar[float] = 2.5
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.1},
        {"epsilon": 0.2, "steps": 20, "step": 0.02, "random_start": True},
    )

    def _direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def _into_ball(self, delta: Tensor) -> Tensor:
        return delta.clamp(-self.epsilon, self.epsilon)

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.empty_like(x).uniform_(-self.epsilon, self.epsilon, generator=generator)
