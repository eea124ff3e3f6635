"""Sequential tests of thresholds known in advance, with their exact error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from radii.bounds._calibration import boundary
from radii.bounds.base import BOUNDS, Bound, check
from radii.records import FloatArray, IntArray


@BOUNDS.register("calibrated")
@dataclass(frozen=True)
class Calibrated(Bound):
    """The largest threshold that enough votes speak for, at looks fixed in advance.

    For each threshold q there is a boundary: at look j, after `t_j` draws, q is claimed if at least
    `b_j(q)` were successes. The probability under p = q to reach the boundary at any look, computed
    by a recursion over counts with a bound on its rounding errors, is at most alpha; nearly all of
    alpha is spent, where Ville's inequality leaves a half.

    The claims hold together, at all looks at once, without a correction for their number:

    - The chance to reach a boundary rises with p (draw with uniform numbers: a larger p turns
      failures into successes, never the other way). So for every p below q, too, it is at most
      alpha.
    - The boundaries are nested: `b_j(q) <= b_j(q')` for `q < q'`, at every look. Raising a boundary
      lowers its error, so each is made at least as high as those of the thresholds below.
    - If some claim is wrong, `p < q`, then at the same look the least threshold above p is claimed
      as well, which is wrong too. That has probability at most alpha.

    The sequential part is the test that bets on all p above q by the prior of `betting:truncated`,
    at a level found by bisection; the last look, at `cap`, is the fewest successes that the
    rest of alpha allows. With n not a look, at most `n - t_j` successes came after the last look
    and none is lost before the next one, so the claims of both looks with these counts hold.

    Between thresholds it says nothing: the bound is one of them, or 0.

    Attributes:
        thresholds: Probabilities, rising and joined by `/`. A stopping rule fills them in.
        cap: The last look: the largest n that may be drawn. A stopping rule fills it in.
        share: Of alpha, that is kept for the last look at least, in [0, 1]. More of it restores
            the power of the test with a fixed n, and costs samples where that has power to spare.
        first: The first look.
        factor: From one look to the next, above 1.
        multiple: All looks but the last are rounded up to multiples of this.

    Reference:
        Armitage, McPherson and Rowe 1969, for the recursion; Lan and DeMets 1983, for spending
        alpha over the looks. The calibration of a betting test by it is this library's own.

    Example:
        >>> bound = Calibrated(thresholds="0.5/0.9", cap=1000)
        >>> bound.lower(np.array([16, 30, 83, 930]), np.array([32, 32, 83, 1000]), alpha=0.001)
        array([0. , 0.5, 0.9, 0.9])
    """

    thresholds: str = "0.5/0.75/0.9/0.95/0.98/0.99/0.995/0.999"
    cap: int = 100_000
    share: float = 0.8
    first: int = 32
    factor: float = 1.1
    multiple: int = 1
    anytime: ClassVar[bool] = True
    examples = (
        {"cap": 2_000},
        {"thresholds": "0.3/0.7/0.95", "cap": 400, "share": 0.3, "first": 5},
    )

    def __post_init__(self) -> None:
        """Refuses what gives no boundaries."""
        try:
            values = self.values
        except ValueError:
            values = (math.nan,)
        if not all(0 < p < 1 for p in values) or any(p >= more for p, more in pairwise(values)):
            raise ValueError(
                f"thresholds must be rising numbers in (0, 1) joined by '/', "
                f"got {self.thresholds!r}; write for example 0.5/0.9/0.99"
            )
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be in [0, 1], got {self.share!r}")
        geometric_looks(self.cap, self.first, self.factor, self.multiple)

    @property
    def values(self) -> tuple[float, ...]:
        """The thresholds as numbers."""
        return tuple(float(p) for p in self.thresholds.split("/"))

    @property
    def looks(self) -> IntArray:
        """`(m,)` Draws at each look, rising, the last one `cap`."""
        return geometric_looks(self.cap, self.first, self.factor, self.multiple)

    def boundaries(self, alpha: float) -> IntArray:
        """`(thresholds, m)` the fewest successes that claim each threshold at each look.

        `looks + 1` where none suffice.
        """
        rows = [boundary(p, alpha, self.share, tuple(self.looks.tolist())) for p in self.values]
        return np.maximum.accumulate(np.array(rows, dtype=np.int64), axis=0)

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """The largest threshold claimed, or 0; see `Bound.lower`. Holds at every stopping time."""
        k, n = check(k, n, alpha)
        return np.concatenate([[0.0], self.values])[self._claimed(k, n, alpha)]

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds at every stopping time n."""
        k, n = check(k, n, alpha)
        values = np.array(self.values)
        rest = np.where(values >= 0.5, 1 - values, np.nextafter(1 - values, 1))
        return np.concatenate([[1.0], rest])[self._claimed(n - k, n, alpha)]

    def _claimed(self, k: IntArray, n: IntArray, alpha: float) -> IntArray:
        """How many of the thresholds are claimed."""
        looks, boundaries = self.looks, self.boundaries(alpha)
        last = np.searchsorted(looks, n, "right") - 1
        following = np.minimum(last + 1, len(looks) - 1)
        fewest = k - (n - looks[np.maximum(last, 0)])
        sooner = (fewest >= boundaries[:, np.maximum(last, 0)]) & (last >= 0)
        later = (k >= boundaries[:, following]) & (looks[following] > n)
        return np.asarray((sooner | later).sum(axis=0))


def geometric_looks(cap: int, first: int = 32, factor: float = 1.1, multiple: int = 1) -> IntArray:
    """`first`, then each `factor` times the last, rounded up; the last one is `cap`.

    Args:
        cap: The last look.
        first: The first look.
        factor: Above 1.
        multiple: All looks but the last are rounded up to multiples of this.
    """
    for name, value in (("cap", cap), ("first", first), ("multiple", multiple)):
        if value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if not 1.01 <= factor <= 100:
        raise ValueError(f"factor must be in [1.01, 100], got {factor!r}")
    found, t = [], float(first)
    while (look := math.ceil(t / multiple) * multiple) < cap:
        found.append(look)
        t = max(t * factor, look + 1.0)
    return np.array([*found, cap], dtype=np.int64)
