"""Exact binomial bounds on every class."""

from __future__ import annotations

from dataclasses import dataclass

from radii.bounds.base import BOUNDS, hard
from radii.bounds.clopper_pearson import ClopperPearson
from radii.records import ClassBounds, Counts, IntArray, SoftVotes


@BOUNDS.register("multiclass_clopper_pearson")
@dataclass(frozen=True)
class MulticlassClopperPearson(ClopperPearson):
    """Clopper-Pearson for each class, at `alpha / num_classes`.

    It pays where the votes that the top class does not get are spread over many classes: pB is then
    far below `1 - pA`, and a class can be certified that has less than half of the votes. Against
    one strong rival it gives less than `clopper_pearson`, which spends all of alpha on pA.

    Reference:
        Clopper and Pearson 1934, with the union bound over the classes; Cohen et al. 2019,
        arXiv:1902.02918, section 3.2.2, take pB = 1 - pA instead.

    Example:
        >>> import numpy as np
        >>> votes = Counts(np.array([450] + 11 * [50]))
        >>> bounds = MulticlassClopperPearson().class_bounds(votes, votes.top, alpha=0.001)
        >>> print(f"pA >= {bounds.pA_lower}, pB <= {bounds.pB_upper}")
        pA >= 0.39..., pB <= 0.08...
    """

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """Bounds on pA and pB that hold together; see `Bound.class_bounds`."""
        counts = hard(self, votes)
        share = alpha / counts.num_classes
        # The largest of the other classes' bounds is that of the largest count, for a bound does
        # not fall when its count rises.
        return ClassBounds(
            self.lower(counts.of(top), counts.n, share),
            self.upper(counts.runner_up_votes(top), counts.n, share),
        )
