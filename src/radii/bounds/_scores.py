"""Bounds on means, which take sums of scores as well as votes."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from radii.bounds.base import Bound, check
from radii.records import ROUNDING_PER_DRAW, ClassBounds, Counts, FloatArray, IntArray, SoftVotes

# By how much the scores of one draw may add up to more than 1: the rounding of a softmax in
# float64, for up to a few thousand classes.
SCORES_OVER_ONE = 1e-12


class ScoreBound(Bound):
    """A bound that holds for the mean of any independent scores in [0, 1].

    The scores of a draw are at least 0 and add up to 1 over the classes, or to less. So the mean
    score of every other class is at most `1 - pA`, as with votes, and all of alpha is spent on pA.

    Rounding is counted against the claim. A sum of n scores, in whatever order they were added up
    in float64, is off by less than a share n 2^-52. So the sum of the top class is lowered by that
    share, and the sum of its squares raised. `pB_upper` is raised by 1e-12, for scores add up to 1
    only up to rounding.
    """

    soft: ClassVar[bool] = True

    @abstractmethod
    def mean_bounds(
        self, sums: FloatArray, squares: FloatArray, n: IntArray, alpha: float
    ) -> ClassBounds:
        """A bound below the mean m of scores, and one above `1 - m` with digits of its own.

        For independent X_1, ..., X_n in [0, 1] of mean m, the first is at most m and the second at
        least `1 - m` with probability at least `1 - alpha`. It must not fall when the sum rises,
        nor rise when the sum of the squares does.

        Args:
            sums: `(*batch,)` float64 in [0, n]. Of the scores, as if exact.
            squares: `(*batch,)` float64 in [0, n]. Of their squares, as if exact.
            n: `(*batch,)` int64. Draws, at least 1.
            alpha: Failure probability of this one-sided statement, in (0, 1).
        """

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """Bounds on pA and pB that hold together; see `Bound.class_bounds`.

        Raises:
            ValueError: If soft scores add up to more than 1 over the classes.
        """
        if not isinstance(votes, SoftVotes):
            return super().class_bounds(votes, top, alpha)
        sums, squares = votes.of(top)
        _, n = check(np.zeros_like(votes.n), votes.n, alpha)
        share = n * ROUNDING_PER_DRAW
        _check_total(votes, n * (share + SCORES_OVER_ONE))
        bounds = self.mean_bounds(
            np.clip(sums * (1 - share), 0, n), np.clip(squares * (1 + share), 0, n), n, alpha
        )
        return ClassBounds(
            bounds.pA_lower, np.minimum(bounds.pB_upper * (1 + 2.0**-52) + SCORES_OVER_ONE, 1.0)
        )


def _check_total(votes: SoftVotes, allowed: FloatArray) -> None:
    total = votes.sums.sum(axis=-1)
    over = total - votes.n > 2 * allowed
    if np.any(over):
        raise ValueError(
            f"the scores of a draw must add up to at most 1 over the classes, got a total of "
            f"{float(total[over][0])!r} for n={int(votes.n[over][0])}; divide them by their sum"
        )
