"""Shares that are known and not estimated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.bounds.base import BOUNDS, Bound, check_counts, hard
from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes


@BOUNDS.register("exact")
@dataclass(frozen=True)
class Exact(Bound):
    """`k/n` itself, for votes that count all n equally likely outcomes of a noise.

    Where a noise has finitely many outcomes, all equally likely, and the base classifier has
    answered each of them once, the votes over n are the probabilities. Nothing is random, and alpha
    is 0. A share that is neither 0 nor 1 is moved outwards by one unit in the last place, for the
    quotient is rounded; this is enough for n up to 2^53.

    **On random votes it bounds nothing.** Their share is above the probability about half the time.

    Reference:
        Levine and Feizi 2021, arXiv:2103.10834, where a noise is enumerated and alpha is 0.

    Example:
        >>> votes = Counts(np.array([3, 0, 1]))
        >>> bounds = Exact().class_bounds(votes, votes.top, alpha=0)
        >>> print(f"{bounds.pA_lower:.17f} {bounds.pB_upper:.17f}")
        0.74999999999999989 0.25000000000000006
    """

    anytime: ClassVar[bool] = False
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()  # it is no confidence bound

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """`k/n`, rounded down.

        Args:
            k: `(*batch,)` int64. Outcomes that are a success, `0 <= k <= n`.
            n: All outcomes, one number or `(*batch,)`.
            alpha: 0.
        """
        k, n = _check(k, n, alpha)
        return np.where(k == n, 1.0, np.nextafter(k / n, 0))

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """`k/n`, rounded up; see `lower`."""
        k, n = _check(k, n, alpha)
        return np.where(k == 0, 0.0, np.nextafter(k / n, 1))

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """The share of the top class, and that of the other class with most votes.

        Args:
            votes: `(*batch, num_classes)` how many outcomes each class has.
            top: `(*batch,)` the class to certify. It may come from the same votes.
            alpha: 0.
        """
        counts = hard(self, votes)
        return ClassBounds(
            self.lower(counts.of(top), counts.n, alpha),
            self.upper(counts.runner_up_votes(top), counts.n, alpha),
        )


def _check(k: IntArray, n: IntArray | int, alpha: float) -> tuple[IntArray, IntArray]:
    if alpha != 0:
        raise ValueError(
            f"alpha must be 0 for an exact bound, got {alpha!r}; "
            f"random votes need another bound, such as clopper_pearson"
        )
    return check_counts(k, n)
