"""HopSkipJump: decisions only, through foolbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from radii.attacks import _foolbox
from radii.attacks.base import (
    ATTACKS,
    Attack,
    Found,
    Model,
    Needs,
    check_bounds,
    check_inputs,
    check_numbers,
    check_steps,
)


@ATTACKS.register("hopskipjump")
@dataclass(frozen=True)
class HopSkipJump(Attack):
    """HopSkipJump: the gradient at the decision boundary, estimated from decisions alone.

    Each step estimates the direction of the boundary from the decisions at random points around a
    point on it, steps that way, and comes back to the boundary by halving the way to the input. The
    nearest wrong input that the model was asked about is returned. Starting points and queries are
    as for `boundary`, and the fact `found` too.

    foolbox scales the step of an input by the gradients of its whole batch, so that it shrinks as
    the batch grows; here each input's own gradient scales it. Without bounds, the first step looks
    for its direction as near to the boundary as all others do.

    Attributes:
        steps: How many.
        queries: The most queries of an input, or None.
        gradient_queries: For the first estimate of a direction; step k takes sqrt(k) times as many.
        max_gradient_queries: The most for one estimate; as many copies of the batch lie in memory.
        gamma: Sets how finely the boundary is searched: `gamma` divided by the dimension to the
            power of 1.5 (l2) or 2 (linf), relative to the distance.
        norm: "l2" or "linf".
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.

    Reference:
        Chen, Jordan and Wainwright 2020, arXiv:1904.02144; foolbox 3, doi:10.21105/joss.02607.
    """

    steps: int = 64
    queries: int | None = None
    gradient_queries: int = 100
    max_gradient_queries: int = 1000
    gamma: float = 1.0
    norm: Literal["l2", "linf"] = "l2"
    low: float | None = None
    high: float | None = None
    epsilon: None = field(default=None, init=False, repr=False)
    needs: ClassVar[Needs] = "decisions"
    minimal: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"steps": 10, "gamma": 0.03},
        {"queries": 3000, "steps": 15, "norm": "linf", "gamma": 0.1},
    )

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_numbers(
            queries=self.queries,
            gradient_queries=self.gradient_queries,
            max_gradient_queries=self.max_gradient_queries,
            gamma=self.gamma,
        )
        check_bounds(self.low, self.high)
        if self.norm not in ("l2", "linf"):
            raise ValueError(f"norm must be l2 or linf, got {self.norm!r}; pgd_l1 searches in l1")

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The nearest wrong input that was met; see `Attack.search`.

        Raises:
            RadiiError: If foolbox is not installed, or the model answers the same input otherwise
                when asked again.
        """
        check_inputs(x, y, self.low, self.high)
        attack = _per_input(bounded=self.low is not None)(
            steps=self.steps,
            initial_gradient_eval_steps=self.gradient_queries,
            max_gradient_eval_steps=self.max_gradient_queries,
            gamma=self.gamma,
            constraint=self.norm,
        )
        asked = _foolbox.Decisions(model, x.detach(), y, self.norm, self.queries)
        return _foolbox.search(attack, asked, self.low, self.high, generator)

    def scaled(self, share: float) -> Self:
        """There is no ball to be scaled; see `Attack.scaled`."""
        raise ValueError("epsilon of hopskipjump must be a number to be scaled, but it has none")


def _per_input(bounded: bool) -> type[Any]:
    """The attack of foolbox, with the length of a step that each input's own gradient sets."""
    parent: type[Any] = _foolbox.installed("foolbox.attacks").HopSkipJumpAttack

    class PerInput(parent):  # type: ignore[misc]
        def approximate_gradients(self, *args: Any) -> Any:
            gradients = super().approximate_gradients(*args)
            rows = gradients.raw.flatten(1)
            norms = rows.norm(dim=1, keepdim=True)
            return type(gradients)((rows / (norms + 1e-12)).reshape(gradients.shape))

        def select_delta(self, originals: Any, distances: Any, step: int) -> Any:
            # The first step looks a tenth of the box around itself: too far where it is not tight.
            return super().select_delta(originals, distances, step if bounded else step + 1)

    return PerInput
