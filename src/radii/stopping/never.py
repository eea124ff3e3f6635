"""All n draws, always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radii.bounds import Bound, ClopperPearson
from radii.certificates.base import Certificate
from radii.records import FloatArray, IntArray
from radii.stopping.base import STOPS, BoolArray, Course, Stop


@dataclass(frozen=True, eq=False)
class _AllDraws(Course):
    """One look, at n."""

    def done(self, look: int, k: IntArray | int, lower: FloatArray | float) -> BoolArray:
        """Whether all are drawn; see `Course.done`."""
        return np.full(np.shape(k), self.at(look) == len(self.looks) - 1)


@STOPS.register("never")
@dataclass(frozen=True)
class Never(Stop):
    """All n draws for each input, as CERTIFY does; any bound will do, by default Clopper-Pearson.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """

    def course(
        self,
        n: int,
        alpha: float,
        bound: Bound | None,
        certificate: Certificate,
        *,
        multiple: int = 1,
    ) -> Course:
        """The rule for one run; see `Stop.course`."""
        return _AllDraws(np.array([n], dtype=np.int64), bound or ClopperPearson(), alpha)
