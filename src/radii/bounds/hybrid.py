"""Bets on the way, and Clopper-Pearson at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.bounds.base import BOUNDS, Bound, check
from radii.bounds.betting import Betting
from radii.bounds.clopper_pearson import ClopperPearson
from radii.records import FloatArray, IntArray


@BOUNDS.register("hybrid")
@dataclass(frozen=True)
class Hybrid(Bound):
    """A share of alpha bets at every time; the rest is a Clopper-Pearson bound at `cap` draws.

    Before `cap` draws the bound is that of `betting:truncated=true` at `share * alpha`, which holds
    at all times at once. At `cap` draws it is the larger of that and of Clopper-Pearson at
    `(1 - share) * alpha`, one more statement about one fixed time. Together they fail with
    probability at most alpha, by the union bound, so the larger of the two may be taken, at every
    stopping time. Who stops early has the betting bound; who draws all has nearly that of a fixed
    n.

    Attributes:
        cap: The largest n that is meant to be drawn. A stopping rule fills it in.
        share: Of alpha, that bets, in (0, 1).

    Reference:
        Ville 1939; Clopper and Pearson 1934; their union is this library's own.

    Example:
        >>> k, n = np.array([100, 99_500]), np.array([100, 100_000])
        >>> Hybrid().lower(k, n, alpha=0.001).round(5)
        array([0.9108 , 0.99425])
    """

    cap: int = 100_000
    share: float = 0.3
    anytime: ClassVar[bool] = True
    examples = ({"cap": 60, "share": 0.5}, {"cap": 2_000})

    def __post_init__(self) -> None:
        """Refuses shares that are none."""
        if self.cap < 1:
            raise ValueError(f"cap must be a whole number of at least 1, got {self.cap!r}")
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share!r}")

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds at every stopping time n."""
        k, n = check(k, n, alpha)
        sequence = Betting(truncated=True).lower(k, n, self.share * alpha)
        last = ClopperPearson().lower(np.minimum(k, self.cap), self.cap, (1 - self.share) * alpha)
        return np.where(n == self.cap, np.maximum(sequence, last), sequence)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds at every stopping time n."""
        k, n = check(k, n, alpha)
        sequence = Betting(truncated=True).upper(k, n, self.share * alpha)
        last = ClopperPearson().upper(np.minimum(k, self.cap), self.cap, (1 - self.share) * alpha)
        return np.where(n == self.cap, np.minimum(sequence, last), sequence)
