"""The boundary attack: decisions only, through foolbox."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

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
from radii.records import Norm


@ATTACKS.register("boundary")
@dataclass(frozen=True)
class Boundary(Attack):
    """The boundary attack: a walk along the decision boundary that comes nearer to the input.

    It starts from a point with another answer and needs the model's decisions alone: a random step
    at the same distance, then a step towards the input, taken if the answer stays another one. The
    nearest wrong input that the model was asked about is returned. Starting points are other inputs
    of the batch and noise; an input without one stays as it is, and so does one that is wrong as it
    is. The fact `found` is 1 where a wrong input is returned, else 0.

    Each pass of the model counts as one query of each input that is searched for, those for the
    starting point included. Needs `radii[attacks]`; the inputs of a batch share random directions.

    Attributes:
        steps: The most steps; each asks once, each tenth twice.
        queries: The most queries of an input, or None.
        spherical_step: The first random step, relative to the distance.
        source_step: The first step towards the input, relative to the distance.
        step_adaptation: The factor by which both change with their success.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.

    Reference:
        Brendel, Rauber and Bethge 2018, arXiv:1712.04248; foolbox 3, doi:10.21105/joss.02607.
    """

    steps: int = 5000
    queries: int | None = None
    spherical_step: float = 0.01
    source_step: float = 0.01
    step_adaptation: float = 1.5
    low: float | None = None
    high: float | None = None
    epsilon: None = field(default=None, init=False, repr=False)
    norm: ClassVar[Norm] = "l2"
    needs: ClassVar[Needs] = "decisions"
    minimal: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"steps": 1200, "spherical_step": 0.3, "source_step": 0.1},
        {"queries": 1500, "spherical_step": 0.1, "source_step": 0.1},
    )

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_numbers(
            queries=self.queries, spherical_step=self.spherical_step, source_step=self.source_step
        )
        check_bounds(self.low, self.high)
        if not 1 < self.step_adaptation < math.inf:
            raise ValueError(f"step_adaptation must be above 1, got {self.step_adaptation!r}")

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The nearest wrong input that was met; see `Attack.search`.

        Raises:
            RadiiError: If foolbox is not installed.
        """
        check_inputs(x, y, self.low, self.high)
        attack = _foolbox.installed("foolbox.attacks").BoundaryAttack(
            steps=self.steps,
            spherical_step=self.spherical_step,
            source_step=self.source_step,
            step_adaptation=self.step_adaptation,
        )
        asked = _foolbox.Decisions(model, x.detach(), y, self.norm, self.queries)
        return _foolbox.search(attack, asked, self.low, self.high, generator)

    def scaled(self, share: float) -> Self:
        """There is no ball to be scaled; see `Attack.scaled`."""
        raise ValueError("epsilon of boundary must be a number to be scaled, but it has none")
