"""What flows between the layers: votes, bounds on class probabilities, certificates.

base classifier + noise + plan -> Counts -> ClassBounds -> Certification
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Norm = Literal["l0", "l1", "l2", "linf"]


@dataclass(frozen=True, eq=False)
class Counts:
    """How often the base classifier answered each class under noise.

    Attributes:
        votes: `(*batch, num_classes)` int64, each at least 0.

    Example:
        >>> counts = Counts(np.array([[1, 98, 1], [50, 0, 50]]))
        >>> counts.n, counts.top, counts.num_classes
        (array([100, 100]), array([1, 0]), 3)
    """

    votes: IntArray

    def __post_init__(self) -> None:
        votes = np.asarray(self.votes)
        if not np.issubdtype(votes.dtype, np.integer):
            raise TypeError(f"votes must be integers, got {votes.dtype}; a frequency is no count")
        if votes.ndim == 0 or votes.shape[-1] < 2:
            raise ValueError(f"votes must be (*batch, num_classes >= 2), got {votes.shape}")
        if votes.size and votes.min() < 0:
            raise ValueError(f"votes must be at least 0, got {votes.min()}")
        object.__setattr__(self, "votes", votes.astype(np.int64, copy=False))

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
        label = np.asarray(label)
        if np.any((label < 0) | (label >= self.num_classes)):
            raise ValueError(f"label must be in [0, {self.num_classes}), got {label.tolist()!r}")
        picked = np.take_along_axis(self.votes, label[..., None], axis=-1)
        return np.asarray(picked[..., 0])

    def runner_up_votes(self, label: IntArray) -> IntArray:
        """`(*batch,)` int64. The most votes that any class other than `label` got."""
        others = self.votes.copy()
        np.put_along_axis(others, np.asarray(label)[..., None], -1, axis=-1)
        return np.asarray(others.max(axis=-1))


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
class Certification:
    """What is certified of one input.

    With probability at least `1 - alpha` over the noise: if `prediction` is a class, the smoothed
    classifier answers it at every point closer than `radius` (open ball of the certificate's norm).

    Attributes:
        prediction: The certified class, or None where no class is certified.
        radius: Certified radius in input units, unrounded; 0 where it abstains.
        pA_lower: Bound below the probability of the class selected.
        pB_upper: Bound above the probability of every other class.
        selection: `(num_classes,)` votes of the n0 draws that selected the class.
        estimation: `(num_classes,)` votes of the n draws that bounded its probability.
    """

    prediction: int | None
    radius: float
    pA_lower: float
    pB_upper: float
    selection: Counts
    estimation: Counts


@dataclass(frozen=True)
class Prediction:
    """What the smoothed classifier answers at one input, without a radius.

    Attributes:
        prediction: The class, or None where the top two cannot be told apart.
        p_value: Two-sided p-value of the hypothesis that the top two are equally likely.
        counts: `(num_classes,)` votes.
    """

    prediction: int | None
    p_value: float
    counts: Counts
