"""What flows between the layers: votes, bounds on class probabilities, certificates.

base classifier + noise + plan -> Counts -> ClassBounds -> Certification

Where scores are averaged in place of votes, `SoftVotes` stand for `Counts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Norm = Literal["l0", "l1", "l2", "linf"]
T = TypeVar("T", np.int64, np.float64)

# However n numbers of at least 0 are added up in float64, the sum is off by less than a share
# `n 2^-52`: each of the n - 1 additions is off by at most a share 2^-53.
ROUNDING_PER_DRAW = 2.0**-52


@dataclass(frozen=True, eq=False)
class Counts:
    """How often the base classifier answered each class under noise.

    Attributes:
        votes: `(*batch, num_classes)` int64, each at least 0.
        tie: `(*batch,)` float64 in [0, 1). A uniform number, drawn with the votes from a stream of
            its own and independent of them, that a randomised bound may use; None where none was
            drawn.

    Example:
        >>> counts = Counts(np.array([[1, 98, 1], [50, 0, 50]]))
        >>> counts.n, counts.top, counts.num_classes
        (array([100, 100]), array([1, 0]), 3)
    """

    votes: IntArray
    tie: FloatArray | None = None

    def __post_init__(self) -> None:
        votes = np.asarray(self.votes)
        if not np.issubdtype(votes.dtype, np.integer):
            raise TypeError(f"votes must be integers, got {votes.dtype}; a frequency is no count")
        if votes.ndim == 0 or votes.shape[-1] < 2:
            raise ValueError(f"votes must be (*batch, num_classes >= 2), got {votes.shape}")
        if votes.size and votes.min() < 0:
            raise ValueError(f"votes must be at least 0, got {votes.min()}")
        object.__setattr__(self, "votes", votes.astype(np.int64, copy=False))
        if self.tie is not None:
            tie = np.asarray(self.tie, dtype=np.float64)
            if tie.shape != votes.shape[:-1]:
                raise ValueError(
                    f"tie must be one number an input, {votes.shape[:-1]}, got {tie.shape}"
                )
            if not np.all((tie >= 0) & (tie < 1)):
                raise ValueError(f"tie must be in [0, 1), got {tie.tolist()!r}")
            object.__setattr__(self, "tie", tie)

    @property
    def num_classes(self) -> int:
        """How many classes could have got a vote."""
        return int(self.votes.shape[-1])

    @property
    def n(self) -> IntArray:
        """`(*batch,)` int64. Draws, over all classes."""
        return np.asarray(self.votes.sum(axis=-1))

    @property
    def top(self) -> IntArray:
        """`(*batch,)` int64. The class with most votes; of equals, the first."""
        return np.asarray(self.votes.argmax(axis=-1))

    def of(self, label: IntArray) -> IntArray:
        """`(*batch,)` int64. The votes of class `label` `(*batch,)`, each in [0, num_classes)."""
        return _of(self.votes, label)

    def runner_up_votes(self, label: IntArray) -> IntArray:
        """`(*batch,)` int64. The most votes that any class other than `label` got."""
        others = self.votes.copy()
        np.put_along_axis(others, np.asarray(label)[..., None], -1, axis=-1)
        return np.asarray(others.max(axis=-1))


@dataclass(frozen=True, eq=False)
class SoftVotes:
    """What the scores of each class add up to, over independent draws of the noise.

    A score is in [0, 1], and those of one draw add up to 1 over the classes: a softmax, say, or a
    vote, which is 1 for one class and 0 for the others. They are added up in float64. Only bounds
    on means can use them: those with `soft`.

    Attributes:
        sums: `(*batch, num_classes)` float64. Of the scores.
        squares: `(*batch, num_classes)` float64. Of the squares of the scores.
        n: `(*batch,)` int64. Draws.

    Example:
        >>> scores = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
        >>> votes = SoftVotes(scores.sum(axis=0), (scores**2).sum(axis=0), np.array(3))
        >>> votes.sums, votes.top
        (array([2.25, 0.75]), array(0))
    """

    sums: FloatArray
    squares: FloatArray
    n: IntArray

    def __post_init__(self) -> None:
        for name in ("sums", "squares"):
            values = np.asarray(getattr(self, name))
            if not (np.issubdtype(values.dtype, np.integer) or values.dtype == np.float64):
                raise TypeError(f"{name} must be added up in float64, got {values.dtype}")
            object.__setattr__(self, name, values.astype(np.float64, copy=False))
        draws = np.asarray(self.n)
        if not np.issubdtype(draws.dtype, np.integer):
            raise TypeError(f"n must be integers, got {draws.dtype}")
        object.__setattr__(self, "n", draws.astype(np.int64, copy=False))
        self._check()

    def _check(self) -> None:
        """Refuses what no scores in [0, 1] add up to, rounding allowed for."""
        if self.sums.ndim == 0 or self.sums.shape[-1] < 2:
            raise ValueError(f"sums must be (*batch, num_classes >= 2), got {self.sums.shape}")
        if self.squares.shape != self.sums.shape:
            raise ValueError(
                "sums and squares must have one shape, "
                f"got {self.sums.shape} and {self.squares.shape}"
            )
        if self.n.shape != self.sums.shape[:-1]:
            raise ValueError(
                f"n must be one number an input, {self.sums.shape[:-1]}, got {self.n.shape}"
            )
        if self.n.size and self.n.min() < 0:
            raise ValueError(f"n must be at least 0, got {self.n.min()}")
        n = self.n[..., None]
        allowed = 1 + n * ROUNDING_PER_DRAW
        for name, values, most, what in (
            ("sums", self.sums, n * allowed, "n"),
            ("squares", self.squares, self.sums * allowed, "the sum"),
        ):
            outside = ~((values >= 0) & (values <= most))  # so that NaN is outside
            if np.any(outside):
                raise ValueError(
                    f"{name} of scores in [0, 1] must be in [0, {what}], "
                    f"got {float(values[outside][0])} with {what} "
                    f"{np.broadcast_to(most / allowed, values.shape)[outside][0]:g}"
                )

    @property
    def num_classes(self) -> int:
        """How many classes have a score."""
        return int(self.sums.shape[-1])

    @property
    def top(self) -> IntArray:
        """`(*batch,)` int64. The class with the largest sum; of equals, the first."""
        return np.asarray(self.sums.argmax(axis=-1))

    def of(self, label: IntArray) -> tuple[FloatArray, FloatArray]:
        """The sums and the squares of class `label` `(*batch,)`, each `(*batch,)` float64."""
        return _of(self.sums, label), _of(self.squares, label)


def _of(values: npt.NDArray[T], label: IntArray) -> npt.NDArray[T]:
    """`(*batch,)`: of `values` `(*batch, num_classes)` those of class `label` `(*batch,)`."""
    label, num_classes = np.asarray(label), values.shape[-1]
    if np.any((label < 0) | (label >= num_classes)):
        raise ValueError(f"label must be in [0, {num_classes}), got {label.tolist()!r}")
    return np.asarray(np.take_along_axis(values, label[..., None], axis=-1)[..., 0])


Votes = Counts | SoftVotes


@dataclass(frozen=True, eq=False)
class ClassBounds:
    """Bounds on the class probabilities of a smoothed classifier, that hold together.

    Attributes:
        pA_lower: `(*batch,)` float64. Below the probability of the top class.
        pB_upper: `(*batch,)` float64. Above the probability of every other class. It is a number
            of its own and not `1 - pA_lower` computed late, so that it keeps its digits near 0.
    """

    pA_lower: FloatArray
    pB_upper: FloatArray

    def __post_init__(self) -> None:
        for name in ("pA_lower", "pB_upper"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.all((values >= 0) & (values <= 1)):
                raise ValueError(f"{name} must be in [0, 1], got {values.tolist()!r}")
            object.__setattr__(self, name, values)
        if self.pA_lower.shape != self.pB_upper.shape:
            raise ValueError(
                "pA_lower and pB_upper must have one shape, "
                f"got {self.pA_lower.shape} and {self.pB_upper.shape}"
            )

    @classmethod
    def one_sided(cls, pA_lower: FloatArray | float) -> ClassBounds:
        """Bounds that know of the other classes only that they share `1 - pA_lower`."""
        lower = np.asarray(pA_lower, dtype=np.float64)
        rest = 1 - lower  # exact from one half upwards, by Sterbenz's lemma
        return cls(lower, np.where(lower >= 0.5, rest, np.minimum(np.nextafter(rest, 1), 1)))


@dataclass(frozen=True)
class Claim:
    """The look at the votes that claimed most, in a run that stopped early.

    Attributes:
        draws: Draws of the estimation until then; 0 if nothing was claimed.
        votes: How many of them were for the class selected.
    """

    draws: int
    votes: int


@dataclass(frozen=True)
class Certification:
    """What is certified of one input.

    With probability at least `1 - alpha` over the noise: if `prediction` is a class, the smoothed
    classifier answers it at every point closer than `radius` (open ball of the certificate's norm).

    Attributes:
        prediction: The certified class, or None where no class is certified.
        radius: Certified radius in input units, unrounded; 0 where it abstains.
        pA_lower: Bound below the probability of the class selected.
        pB_upper: Bound above the probability of every other class.
        selection: `(num_classes,)` votes of the n0 draws that selected the class; None if the
            noise was enumerated.
        estimation: `(num_classes,)` votes of the draws that bounded its probability.
        claim: Where these bounds come from, if not from all n draws.
        timed_out: Whether a time budget ended before the plan did. What is claimed holds all the
            same; `estimation` may hold draws that it does not rest on.
    """

    prediction: int | None
    radius: float
    pA_lower: float
    pB_upper: float
    selection: Votes | None
    estimation: Votes
    claim: Claim | None = None
    timed_out: bool = False


@dataclass(frozen=True)
class Prediction:
    """What the smoothed classifier answers at one input, without a radius.

    Attributes:
        prediction: The class, or None where the top two cannot be told apart.
        p_value: Two-sided p-value of the hypothesis that the top two are equally likely; within a
            time budget, times the number of looks planned.
        counts: `(num_classes,)` votes.
        timed_out: Whether a time budget ended before the top two could be told apart. `counts` may
            then hold draws made after the look that `p_value` belongs to.
    """

    prediction: int | None
    p_value: float
    counts: Counts
    timed_out: bool = False
