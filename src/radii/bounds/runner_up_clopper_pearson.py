"""Exact binomial bounds on the selected class and on the strongest of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radii.bounds.base import BOUNDS, hard
from radii.bounds.clopper_pearson import ClopperPearson
from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes

Side = Callable[[IntArray, IntArray, float], FloatArray]


@BOUNDS.register("runner_up_clopper_pearson")
@dataclass(frozen=True)
class RunnerUpClopperPearson(ClopperPearson):
    """Clopper-Pearson for pA, and for pB from the votes of the runner-up; not for every class.

    Proof that it holds. Let b be the class other than the selected one whose probability pB is the
    largest. Nobody knows which it is, but it is one class, and the votes did not choose it. Its
    bound `upper(K_b, n, share * alpha)` is below pB with probability at most `share * alpha`. The
    runner-up has at least as many votes as b, and a bound does not fall when its count rises. So
    the bound of the runner-up, whichever class that is, is below pB no more often. The same holds
    of no lower bound, where the largest count flatters. pA spends the rest of alpha, and
    `1 - pA_lower` bounds pB on the same event, so the smaller of the two is taken.

    However many classes there are, nothing is divided by their number. So pA loses next to nothing
    against `clopper_pearson`, and wherever the votes that it does not get are spread over several
    classes pB is far below `1 - pA`.

    Attributes:
        share: Of alpha, that is spent on pB, in (0, 1).

    Reference:
        Clopper and Pearson 1934; that the runner-up needs no union over classes is this library's
        own remark. Cohen et al. 2019, arXiv:1902.02918, section 3.2.2, take pB = 1 - pA.

    Example:
        >>> votes = Counts(np.array([450] + 11 * [50]))
        >>> bounds = RunnerUpClopperPearson().class_bounds(votes, votes.top, alpha=0.001)
        >>> print(f"pA >= {bounds.pA_lower}, pB <= {bounds.pB_upper}")
        pA >= 0.40..., pB <= 0.08...
    """

    share: float = 0.05
    examples = ({}, {"share": 0.5})

    def __post_init__(self) -> None:
        """Refuses shares that are none."""
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share!r}")

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """Bounds on pA and pB that hold together; see `Bound.class_bounds`."""
        counts = hard(self, votes)
        k, n = counts.of(top), counts.n
        of_top, of_runner_up = (1 - self.share) * alpha, self.share * alpha
        lower, upper = self._sides(counts)
        return ClassBounds(
            lower(k, n, of_top),
            np.minimum(
                upper(n - k, n, of_top),
                upper(counts.runner_up_votes(top), n, of_runner_up),
            ),
        )

    def _sides(self, _: Counts) -> tuple[Side, Side]:
        """The bounds on one probability: neither falls as its count rises."""
        return self.lower, self.upper
