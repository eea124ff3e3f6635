"""The strongest combination of attacks that a budget pays for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from radii.attacks._descent import ProjectedGradientDescent
from radii.attacks._worst import Worst
from radii.attacks.base import (
    ATTACKS,
    Attack,
    Found,
    Model,
    check_bounds,
    check_inputs,
    check_numbers,
    check_share,
    into_box,
    perturbed,
    scores_and_gradient,
)
from radii.attacks.ddn import DDN
from radii.attacks.pgd import PGDL2, PGDLinf
from radii.attacks.pgd_l1 import PGDL1

_BALLS: dict[str, type[ProjectedGradientDescent]] = {"l1": PGDL1, "l2": PGDL2, "linf": PGDLinf}
_LEAST = 10
_BASE_STEPS = 20


@ATTACKS.register("auto")
@dataclass(frozen=True)
class Auto(Attack):
    """Several attacks in one ball; each input gets the worst perturbation that any of them met.

    A perturbation that the model gets wrong is worse than one that it gets right, and then one with
    a larger loss. Of the budget,

    - 40 % go to projected gradient descent from the input;
    - 40 % to the same from what 20 steps on `model.base` alone find, the classifier that a smoothed
      one averages over noise; where a model has no such attribute, from a random point;
    - 10 % to the same from a random point;
    - 10 % to `ddn`, cut to the ball, if the norm is l2, else also to the first.

    It is never weaker than its first part alone, `pgd_l2:steps=K,keep=worst` with K the 40 %. Each
    part ends with one forward pass beyond the budget, at most four in all; `queries` counts them.
    The 20 passes of the base alone, each the price of one draw of noise, are not counted there but
    in the fact `base_queries`.

    Attributes:
        epsilon: Radius of the ball.
        budget: Passes forwards and backwards for each input, at least 10.
        norm: "l1", "l2" or "linf".
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.

    Reference:
        Croce and Hein 2020, arXiv:2003.01690, for the idea of an ensemble without parameters; its
        members are those of `pgd_l2` and `ddn`.

    Example:
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> Auto(epsilon=0.5).perturb(model, x, y, generator=torch.Generator().manual_seed(0))
        tensor([[0.1000, 0.8000]])
    """

    epsilon: float
    budget: int = 200
    norm: Literal["l1", "l2", "linf"] = "l2"
    low: float | None = None
    high: float | None = None
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.5, "budget": 100},
        {"epsilon": 0.2, "norm": "linf", "budget": 40},
        {"epsilon": 1.0, "norm": "l1", "budget": 100},
    )

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon)
        check_bounds(self.low, self.high)
        if self.budget < _LEAST:
            raise ValueError(f"budget must be at least {_LEAST}, got {self.budget!r}")
        if self.norm not in _BALLS:
            raise ValueError(f"norm must be l1, l2 or linf, got {self.norm!r}")

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The worst perturbation that any part met; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        x = x.detach()
        worst = Worst(model, y)
        tenth = self.budget // 10
        # Of a soft classifier; a user's network may call anything by that name.
        base = getattr(model, "base", None) if hasattr(model, "attack_loss") else None
        if callable(base):
            second = self._descent(_BASE_STEPS).perturb(base, x, y, generator=generator) - x
        else:
            second = self._random(x, generator)
        passes = self._climb(model, x, y, second, 4 * tenth, worst)
        passes += self._climb(model, x, y, self._random(x, generator), tenth, worst)
        spent = 5 * tenth
        if self.norm == "l2":
            cap, low, high = self.epsilon, self.low, self.high
            ddn = DDN(tenth, init_norm=cap, epsilon=cap, low=low, high=high)
            found = ddn.perturb(model, x, y, generator=generator)
            with torch.no_grad():
                worst.see(found - x, model(found))
            passes += tenth + 1
            spent += tenth
        passes += self._climb(model, x, y, torch.zeros_like(x), self.budget - spent, worst)
        return Found(
            perturbed(x, worst.delta, self.low, self.high),
            torch.full_like(y, passes),
            {"base_queries": torch.full_like(y, _BASE_STEPS * callable(base)).to(x.dtype)},
        )

    def scaled(self, share: float) -> Self:
        """The radius, times `share`; see `Attack.scaled`."""
        check_share(share)
        return replace(self, epsilon=share * self.epsilon)

    def _descent(self, steps: int) -> ProjectedGradientDescent:
        kind = _BALLS[self.norm]
        return kind(self.epsilon, steps, low=self.low, high=self.high)

    def _random(self, x: Tensor, generator: torch.Generator) -> Tensor:
        start = self._descent(1)._start(x, generator)
        return into_box(start, x, self.low, self.high)

    def _climb(
        self, model: Model, x: Tensor, y: Tensor, delta: Tensor, steps: int, worst: Worst
    ) -> int:
        """Projected gradient descent from `x + delta`; how many passes it took."""
        descent = self._descent(steps)
        length = descent.path * self.epsilon / steps
        for _ in range(steps):
            scores, gradient = scores_and_gradient(model, x + delta, y)
            worst.see(delta, scores)
            ascent = descent._direction(gradient, x + delta)
            delta = descent._into_ball(delta + length * ascent, x, self.epsilon)
        with torch.no_grad():
            worst.see(delta, model(x + delta))
        return steps + 1
