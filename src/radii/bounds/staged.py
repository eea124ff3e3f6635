"""Clopper-Pearson at a few chosen stages, for stopping early."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from radii.bounds._looks import AtLooks
from radii.bounds.base import BOUNDS
from radii.records import FloatArray, IntArray


@BOUNDS.register("staged")
@dataclass(frozen=True)
class Staged(AtLooks):
    """Clopper-Pearson at each of s stages, at `alpha / s`.

    With few stages this is close to the bound for a fixed n, and easy inputs can stop early. At a
    stage it is Clopper-Pearson at that share; between two stages it is looser, and still holds: see
    `AtLooks` for the statement and its proof. An n beyond the last stage is refused, for no look
    would ever use those draws.

    Horvath et al. draw fresh samples in every stage. Here a stage keeps the votes of those before;
    the union bound asks for no independence between the stages.

    Attributes:
        stages: The n of each stage, all draws so far counted, rising and joined by `/`. The last is
            the largest n that may be drawn.

    Reference:
        Horvath, Mueller, Fischer and Vechev 2022, arXiv:2106.06946, adaptive sampling.

    Example:
        >>> bound = Staged("1000/100000")
        >>> bound.lower(np.array([1000, 100_000]), np.array([1000, 100_000]), alpha=0.001).round(6)
        array([0.992428, 0.999924])
    """

    stages: str = "100/1000/10000/100000"
    examples = ({}, {"stages": "20/30/60/100/1000/100000"})

    def __post_init__(self) -> None:
        """Refuses what is no rising list of whole numbers."""
        fits = re.fullmatch(r"[1-9]\d{0,17}(/[1-9]\d{0,17})*", str(self.stages))
        if not fits or any(n >= more for n, more in pairwise(self.sizes)):
            raise ValueError(
                f"stages must be rising whole numbers joined by '/', got {self.stages!r}; "
                "write for example 1000/10000/100000"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The n of each stage."""
        return tuple(int(size) for size in self.stages.split("/"))

    def looks(self, n: int) -> tuple[IntArray, FloatArray]:
        """Look times and shares of alpha; see `AtLooks.looks`.

        Raises:
            ValueError: If n is beyond the last stage.
        """
        sizes = self.sizes
        if n > sizes[-1]:
            raise ValueError(
                f"n must be at most {sizes[-1]}, the last of the stages {self.stages}, got {n}; "
                f"add a stage of that size"
            )
        return np.array(sizes, dtype=np.int64), np.full(len(sizes), 1 / len(sizes))
