"""Projected gradient descent in l2 and in linf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from radii.attacks._descent import ProjectedGradientDescent
from radii.attacks.base import (
    ATTACKS,
    into_box,
    into_l2_ball,
    into_linf_ball,
    normalised,
    uniform_in_l2_ball,
)
from radii.records import Norm


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
    path: ClassVar[float] = 2.0
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.5},
        {"epsilon": 1.0, "steps": 40, "step": 0.1, "random_start": True},
        {
            "epsilon": 0.5,
            "steps": 20,
            "step": 0.2,
            "random_start": True,
            "restarts": 2,
            "schedule": "cosine",
        },
    )

    def _direction(self, gradient: Tensor, at: Tensor) -> Tensor:
        return normalised(gradient)

    def _into_ball(self, delta: Tensor, x: Tensor, epsilon: float | Tensor) -> Tensor:
        return into_l2_ball(into_box(delta, x, self.low, self.high), epsilon)

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return uniform_in_l2_ball(x, generator, self.epsilon)


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
    path: ClassVar[float] = 2.5
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.1},
        {"epsilon": 0.2, "steps": 20, "step": 0.02, "random_start": True},
        {"epsilon": 0.1, "restarts": 2, "schedule": "step", "keep": "worst"},
    )

    def _direction(self, gradient: Tensor, at: Tensor) -> Tensor:
        return gradient.sign()

    def _into_ball(self, delta: Tensor, x: Tensor, epsilon: float | Tensor) -> Tensor:
        return into_linf_ball(into_box(delta, x, self.low, self.high), epsilon)

    def _start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.empty_like(x).uniform_(-self.epsilon, self.epsilon, generator=generator)
