"""The smallest ball in which another attack succeeds, for each input on its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from radii.attacks._around import AroundAttack
from radii.attacks.base import ATTACKS, BallAttack, Found, Model, check_inputs

_ORDERS = {"l1": 1.0, "l2": 2.0, "linf": math.inf}


@ATTACKS.register("minimum_norm")
@dataclass(frozen=True)
class MinimumNorm(AroundAttack):
    """The smallest perturbation with which an attack on a ball changes the answer, by bisection.

    The first search is in the attack's whole ball. Then the radius is bisected, for each input on
    its own: between the norm of its smallest perturbation so far that was wrong, and the largest
    radius below that in which a search failed. What counts is the norm of a perturbation and not
    the radius in which it was looked for. An input for which nothing was found yet is searched for
    in the whole ball again, where only random starts make a difference; if nothing is found at
    all, it gets its last perturbation. An input that the model gets wrong as it is stays as it is.

    One run draws the whole empirical curve, which takes a run for each radius otherwise.

    Attributes:
        attack: The attack, on a ball and by gradients; its `epsilon` is the largest norm.
        searches: How many; the norm is found up to `epsilon / 2 ** (searches - 1)`.

    Reference:
        Rauber et al. 2017, arXiv:1707.04131 (Foolbox): attacks are compared by the smallest
        perturbation, and those with a radius are searched for the smallest that succeeds.

    Example:
        >>> from radii.attacks import PGDL2
        >>> def model(x):
        ...     return torch.stack([x[:, 0], -x[:, 0]], dim=1)
        >>> x, y = torch.tensor([[0.6, 0.8]]), torch.tensor([0])
        >>> attack = MinimumNorm(PGDL2(epsilon=1.0))
        >>> found = attack.perturb(model, x, y, generator=torch.Generator())
        >>> 0.6 < float((found - x).norm()) < 0.602
        True
    """

    searches: int = 10
    minimal: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"attack": "pgd_l2(epsilon=1.0)"},
        {"attack": "pgd_linf(epsilon=0.5,steps=5,random_start=true)", "searches": 12},
        {"attack": "pgd_l1(epsilon=1.5,restarts=2)"},
    )

    def __post_init__(self) -> None:
        if not isinstance(self.attack, BallAttack) or self.attack.needs != "gradients":
            known = [
                name
                for name in ATTACKS.names()
                if issubclass(ATTACKS[name], BallAttack) and ATTACKS[name].needs == "gradients"
            ]
            raise ValueError(
                f"attack of minimum_norm must search a ball by gradients, got {self.attack!r}; "
                f"take one of {', '.join(known)}"
            )
        if self.searches < 1:
            raise ValueError(f"searches must be at least 1, got {self.searches!r}")

    @property
    def _ball(self) -> BallAttack:
        assert isinstance(self.attack, BallAttack)
        return self.attack

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The smallest perturbation that changed the answer; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        best = x = x.detach()
        found = _wrong(model, x, y)
        failed = self._norms(x - x)  # zeros
        smallest = torch.where(found, 0.0, failed + self._ball.epsilon)
        queries = torch.ones_like(y)
        for _ in range(self.searches):
            radius = torch.where(found, (failed + smallest) / 2, smallest)
            inner = self._ball.search_within(model, x, y, radius.to(x), generator=generator)
            wrong, norms = _wrong(model, inner.x, y), self._norms(inner.x - x)
            better = wrong & ((norms < smallest) | ~found)
            best = torch.where(better | ~found, inner.x, best)
            smallest = torch.where(better, norms, smallest)
            found = found | wrong
            failed = torch.where(found & ~wrong, radius, failed)
            failed = torch.where(failed < smallest, failed, 0.0)
            queries = queries + inner.queries + 1
        return Found(best, queries)

    def _norms(self, delta: Tensor) -> Tensor:
        """`(batch, 1, ..., 1)`, float32 or float64."""
        rows = delta.flatten(1).to(torch.promote_types(delta.dtype, torch.float32))
        return _rows(torch.linalg.vector_norm(rows, _ORDERS[self.norm], dim=1), delta)


@torch.no_grad()
def _wrong(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """`(batch, 1, ..., 1)`. Where the model's answer is not the label."""
    return _rows(model(x).argmax(1) != y, x)


def _rows(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (x.ndim - 1))
