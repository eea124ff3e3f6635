"""Clopper-Pearson at geometric times, for stopping at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radii.bounds._looks import AtLooks
from radii.bounds.base import BOUNDS
from radii.records import FloatArray, IntArray

_FEWEST = 10  # a look at fewer draws could certify nothing at the usual alpha
_LAST = int(np.iinfo(np.int64).max)


@BOUNDS.register("union_clopper_pearson")
@dataclass(frozen=True)
class UnionClopperPearson(AtLooks):
    """Clopper-Pearson at geometric look times, the j-th at `5 alpha / ((j + 4) (j + 5))`.

    The shares sum to alpha over infinitely many looks. The looks are `cap / factor^i`, rounded up,
    down to 10 draws, and `cap * factor^i` above. At a look the bound is Clopper-Pearson at that
    share; between two looks it is looser, and still holds: see `AtLooks` for the statement and its
    proof.

    Attributes:
        cap: One of the look times: the largest n that is meant to be drawn.
        factor: From one look to the next, in [1.01, 100]. A smaller one sees sooner that it is
            enough, and spends alpha on more looks.

    Reference:
        Clopper and Pearson 1934, with the union bound over the looks; Voracek 2024,
        arXiv:2406.17830. What is returned between the looks is this library's own.

    Example:
        >>> bound = UnionClopperPearson()
        >>> bound.looks(200)[0]
        array([ 13,  25,  49,  98, 196, 391])
        >>> bound.lower(np.array([97, 98, 99]), np.array([98, 98, 100]), alpha=0.001).round(4)
        array([0.8828, 0.9069, 0.8828])
    """

    cap: int = 100_000
    factor: float = 2.0
    examples = ({}, {"cap": 60, "factor": 1.1}, {"cap": 20_000, "factor": 1.5})

    def __post_init__(self) -> None:
        """Refuses what gives no look times."""
        if not 1 <= self.cap <= _LAST:
            raise ValueError(f"cap must be a whole number of at least 1, got {self.cap!r}")
        if not 1.01 <= self.factor <= 100:
            raise ValueError(f"factor must be in [1.01, 100], got {self.factor!r}")

    def looks(self, n: int) -> tuple[IntArray, FloatArray]:
        """Look times and shares of alpha; see `AtLooks.looks`."""
        found, power = {self.cap}, 1
        while (t := math.ceil(self.cap / self.factor**power)) >= _FEWEST:
            found.add(t)
            power += 1
        power = 1
        while max(found) < n:
            found.add(min(math.ceil(self.cap * self.factor**power), _LAST))
            power += 1
        times = np.array(sorted(found), dtype=np.int64)
        times = times[: np.searchsorted(times, n, "left") + 1]
        j = np.arange(1, len(times) + 1)
        return times, 5 / ((j + 4.0) * (j + 5.0))
