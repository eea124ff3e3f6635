"""The fast gradient sign method: one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from radii.attacks.base import (
    ATTACKS,
    BallAttack,
    Found,
    Model,
    check_bounds,
    check_numbers,
    check_restarts,
    check_share,
)
from radii.attacks.pgd import PGDLinf
from radii.records import Norm

_FROM_RANDOM = 1.25  # times epsilon, the step of Wong et al.


@ATTACKS.register("fgsm")
@dataclass(frozen=True)
class FGSM(BallAttack):
    """The fast gradient sign method: one step of `epsilon` in linf, along the sign of the gradient.

    With `random_start` the step begins at a point drawn uniformly from the ball, is `1.25 epsilon`
    long and is brought back into the ball, as Wong et al. train with it. A step of `2 epsilon` from
    anywhere ends in a corner of the ball.

    Attributes:
        epsilon: Radius of the ball.
        step: The length of the step; None takes the one above.
        random_start: Start at a random point and not at the input.
        restarts: How many starts; see `ProjectedGradientDescent`.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.

    Reference:
        Goodfellow et al. 2015, arXiv:1412.6572, section 4; with a random start, Wong et al. 2020,
        arXiv:2001.03994, Algorithm 3.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> FGSM(epsilon=0.5).perturb(model, x, y, generator=torch.Generator())
        tensor([[0.1000, 0.8000]])
    """

    epsilon: float
    step: float | None = None
    random_start: bool = False
    restarts: int = 1
    low: float | None = None
    high: float | None = None
    norm: ClassVar[Norm] = "linf"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.1},
        {"epsilon": 0.2, "step": 0.4, "random_start": True, "restarts": 2},
    )

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon, step=self.step)
        check_restarts(self.restarts)
        check_bounds(self.low, self.high)

    def search_within(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        epsilon: float | Tensor,
        *,
        generator: torch.Generator,
    ) -> Found:
        """Projected gradient descent of one step; see `BallAttack.search_within`."""
        usual = _FROM_RANDOM if self.random_start else 1.0
        descent = PGDLinf(
            epsilon=self.epsilon,
            steps=1,
            step=usual * self.epsilon if self.step is None else self.step,
            random_start=self.random_start,
            low=self.low,
            high=self.high,
            restarts=self.restarts,
        )
        return descent.search_within(model, x, y, epsilon, generator=generator)

    def scaled(self, share: float) -> Self:
        """Radius and length of the step, times `share`; see `Attack.scaled`."""
        check_share(share)
        step = None if self.step is None else share * self.step
        return replace(self, epsilon=share * self.epsilon, step=step)
