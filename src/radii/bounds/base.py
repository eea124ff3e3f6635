"""What a bound is: from votes to numbers on the safe side of the class probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes
from radii.registry import Registry

# Below some 1e-250 SciPy's distribution functions are 0 where what they stand for is not.
_LEAST_ALPHA = 1e-240


class Bound(ABC):
    """A confidence bound on a success probability p, and on the class probabilities pA and pB.

    `lower` and `upper` are one-sided and spend the alpha that they are given; `class_bounds` is one
    statement about all classes, and may split its alpha between them.

    Attributes:
        anytime: Whether the statement holds at every stopping time, or only for an n fixed before
            looking.
        soft: Whether `class_bounds` also takes `SoftVotes`, the sums of scores in [0, 1].
        randomized: Whether `class_bounds` has a use for `Counts.tie`, a uniform number drawn with
            the votes.
        examples: Parameters that documentation and conformance tests use.
    """

    anytime: ClassVar[bool]
    soft: ClassVar[bool] = False
    randomized: ClassVar[bool] = False
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p: for every p, P(lower(K, n, alpha) <= p) >= 1 - alpha.

        Args:
            k: `(*batch,)` int64. Successes, `0 <= k <= n`.
            n: Draws, one number or `(*batch,)`.
            alpha: Failure probability of this one-sided statement, in (0, 1).

        Returns:
            `(*batch,)` float64 in [0, 1).
        """

    @abstractmethod
    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p: for every p, P(upper(K, n, alpha) >= p) >= 1 - alpha.

        It is `1 - lower(n - k, n, alpha)`, as a number with its own digits.
        """

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """Bounds on pA and pB that hold together with probability at least `1 - alpha`.

        All of alpha is spent on the top class, and the others share what it leaves:
        `pB_upper = 1 - pA_lower`.

        Args:
            votes: `(*batch, num_classes)` estimation votes; soft ones only if the bound is `soft`.
            top: `(*batch,)` the class selected, from other votes than these.
            alpha: Failure probability of the joint statement, in (0, 1).

        Raises:
            TypeError: If the votes are soft and the bound is not.
        """
        counts = hard(self, votes)
        k, n = counts.of(top), counts.n
        return ClassBounds(self.lower(k, n, alpha), self.upper(n - k, n, alpha))


BOUNDS: Registry[Bound] = Registry("bound", "radii.bounds")


def hard(bound: Bound, votes: Counts | SoftVotes) -> Counts:
    """`votes`, or a `TypeError` that says which bounds take soft ones."""
    if isinstance(votes, Counts):
        return votes
    soft = [name for name in BOUNDS.names() if BOUNDS[name].soft]
    raise TypeError(
        f"{type(bound).__name__} needs whole votes, got {type(votes).__name__}; "
        f"bounds that take soft scores: {', '.join(soft)}"
    )


def check(k: IntArray, n: IntArray | int, alpha: float) -> tuple[IntArray, IntArray]:
    """`k` and `n` as int64 arrays of one shape, or a `ValueError` that says which one is off."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if alpha < _LEAST_ALPHA:
        raise ValueError(f"alpha must be at least {_LEAST_ALPHA:g}, got {alpha!r}")
    return check_counts(k, n)


def check_counts(k: IntArray, n: IntArray | int) -> tuple[IntArray, IntArray]:
    """`check` without an alpha."""
    counts, draws = np.broadcast_arrays(np.asarray(k), np.asarray(n))
    for what, values in (("k", counts), ("n", draws)):
        if not np.issubdtype(values.dtype, np.integer):
            raise TypeError(f"{what} must be integers, got {values.dtype}")
    if np.any(draws < 1):
        raise ValueError(f"n must be at least 1, got {draws.min()}")
    outside = (counts < 0) | (counts > draws)
    if np.any(outside):
        first = counts[outside][0], draws[outside][0]
        raise ValueError(f"k must be in [0, n], got k={first[0]} with n={first[1]}")
    return counts.astype(np.int64), draws.astype(np.int64)
