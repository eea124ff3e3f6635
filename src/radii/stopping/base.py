"""What a stopping rule is: when an input has enough votes, and what they claim."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from radii.bounds import BOUNDS, Bound, Calibrated, Hybrid
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.records import FloatArray, IntArray
from radii.registry import Registry

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Course(ABC):
    """A stopping rule made ready for one run: the same for all its inputs, and pure.

    The caller looks at the votes at `looks`, in turn, takes the largest `lower` so far, and stops
    at the first look at which `done` says so, at the latest at the last one. That largest lower
    bound is below pA with probability at least `1 - alpha`, whenever the caller stops.

    Attributes:
        looks: `(m,)` int64. Draws made at each look, rising; the last is n.
        bound: With everything filled in that the run decides, so that it belongs into the ledger.
        alpha: Probability that a lower bound at any look is wrong.
    """

    looks: IntArray
    bound: Bound
    alpha: float

    def at(self, look: int) -> int:
        """Which of the looks this is.

        Raises:
            ValueError: If it is none, so that nothing is known of it.
        """
        j = int(np.searchsorted(self.looks, look))
        if j == len(self.looks) or self.looks[j] != look:
            raise ValueError(f"look must be one of the course's looks, got {look!r}")
        return j

    def lower(self, look: int, k: IntArray | int) -> FloatArray:
        """The bound below pA after so many draws.

        Args:
            look: One of `looks`.
            k: `(*batch,)` votes of the class selected.
        """
        return self.bound.lower(np.asarray(k), int(self.looks[self.at(look)]), self.alpha)

    @abstractmethod
    def done(self, look: int, k: IntArray | int, lower: FloatArray | float) -> BoolArray:
        """Whether to stop.

        Args:
            look: One of `looks`.
            k: `(*batch,)` votes of the class selected.
            lower: `(*batch,)` the largest lower bound at this look and those before.
        """


@dataclass(frozen=True)
class Stop(ABC):
    """A rule that says when enough votes are counted.

    Attributes:
        positional: The parameter that a spec may give without its name, as in `at_radius:0.5`.
        examples: Parameters that documentation and conformance tests use.
    """

    positional: ClassVar[str | None] = None
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def course(
        self,
        n: int,
        alpha: float,
        bound: Bound | None,
        certificate: Certificate,
        *,
        multiple: int = 1,
    ) -> Course:
        """The rule for one run.

        Args:
            n: Draws at most.
            alpha: Failure probability of everything that is claimed of one input.
            bound: Which holds at all looks, or None for the one that suits the rule.
            certificate: Turns the bound into a radius, with `pB_upper = 1 - pA_lower`.
            multiple: All looks but the last are multiples of this.

        Raises:
            PlanError: If the bound does not hold at all looks, or nothing could be claimed.
        """


STOPS: Registry[Stop] = Registry("stop", "radii.stopping")


def at_all_looks(bound: Bound, n: int, multiple: int = 1) -> Bound:
    """The bound with what the run decides filled in.

    Raises:
        PlanError: If it does not hold at every stopping time.
    """
    if not bound.anytime:
        known = [name for name in BOUNDS.names() if BOUNDS[name].anytime]
        raise PlanError(
            f"{BOUNDS.spec_of(bound)} holds for a fixed n only, and so not under early stopping: "
            f"take one of {', '.join(known)}."
        )
    if isinstance(bound, Calibrated):
        return replace(bound, cap=n, multiple=multiple)
    if isinstance(bound, Hybrid):
        return replace(bound, cap=n)
    return bound


def never_certifies(n: int, alpha: float) -> PlanError:
    """Of a plan under which even n votes of n show nothing."""
    return PlanError(
        f"n={n} draws can never certify at alpha={alpha:g}: take more draws, or a larger alpha."
    )
