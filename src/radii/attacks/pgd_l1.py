"""Projected gradient descent in l1, along a few coordinates at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from radii.attacks._descent import ProjectedGradientDescent
from radii.attacks._l1_ball import into_l1_ball, uniform_in_l1_ball
from radii.attacks.base import ATTACKS
from radii.records import Norm

_AT_BOUND = 1e-6  # of the interval: coordinates that are nearer to a bound are at it


@ATTACKS.register("pgd_l1")
@dataclass(frozen=True)
class PGDL1(ProjectedGradientDescent):
    """Projected gradient descent in l1: equal steps in the coordinates where it is steepest.

    Each step moves the share `sparsity` of the coordinates, at least one, by the sign of their
    gradient; those with the largest gradients are taken, but none that a bound stops. Then the
    nearest point of the ball within the bounds is taken. Steps have l1 length `2 epsilon / steps`
    unless `step` says otherwise.

    The steepest ascent of a plane is along one coordinate. More of them suit models that bend, and
    pixels, which bounds stop soon.

    Attributes:
        sparsity: The share of the coordinates that a step moves, in (0, 1].

    Reference:
        Tramer and Boneh 2019, arXiv:1904.13000 (SLIDE); the projection into ball and bounds at once
        is that of Croce and Hein 2021, arXiv:2103.01208.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> PGDL1(epsilon=0.5).perturb(model, x, y, generator=torch.Generator())
        tensor([[0.1000, 0.8000]])
    """

    sparsity: float = 0.01
    norm: ClassVar[Norm] = "l1"
    path: ClassVar[float] = 2.0
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.5},
        {"epsilon": 1.0, "steps": 40, "random_start": True, "restarts": 2, "sparsity": 0.2},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.sparsity <= 1:
            raise ValueError(f"sparsity must be in (0, 1], got {self.sparsity!r}")

    def _direction(self, gradient: Tensor, at: Tensor) -> Tensor:
        if not gradient.numel():
            return gradient
        if self.low is not None and self.high is not None:
            left = torch.where(gradient > 0, self.high - at, at - self.low)
            gradient = torch.where(left > _AT_BOUND * (self.high - self.low), gradient, 0.0)
        rows = gradient.flatten(1)
        count = max(1, round(self.sparsity * rows.shape[1]))
        chosen = rows.abs().topk(count, dim=1).indices
        signs = torch.zeros_like(rows).scatter(1, chosen, rows.gather(1, chosen).sign())
        moved = signs.abs().sum(1, keepdim=True).clamp(min=1)
        return (signs / moved).reshape(gradient.shape)

    def _into_ball(self, delta: Tensor, x: Tensor, epsilon: float | Tensor) -> Tensor:
        if self.low is None or self.high is None:
            return into_l1_ball(delta, epsilon)
        room = torch.where(delta > 0, self.high - x, x - self.low)
        return into_l1_ball(delta, epsilon, room)

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.epsilon * uniform_in_l1_ball(x, generator)
