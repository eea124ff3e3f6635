"""How many draws, at which failure probability, bounded how, from which streams."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

import numpy as np

from radii.bounds.base import Bound
from radii.bounds.clopper_pearson import ClopperPearson
from radii.errors import PlanError
from radii.records import Counts

_MOST = 10_000  # draws up to which the least sufficient n is looked for


@dataclass(frozen=True)
class SamplingPlan:
    """The plan of CERTIFY: select the class with n0 draws, bound its probability with n fresh ones.

    Attributes:
        n0: Draws that select the class.
        n: Draws that bound its probability, fixed before looking.
        alpha: Probability that anything said about one input is wrong.
        bound: How votes become bounds on pA and pB.
        block: Draws in one block of the random stream. It is part of what names the noise: another
            block size draws other noise. On CPU a block passes through the base classifier alone.
        seed: Of the random streams; None asks the operating system for one.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """

    n0: int = 100
    n: int = 100_000
    alpha: float = 0.001
    bound: Bound = field(default_factory=ClopperPearson)
    block: int = 100
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("n0", "n", "block"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
            object.__setattr__(self, name, int(value))
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha!r}")

    def check(self, num_classes: int) -> None:
        """Refuses a plan under which no input could ever be certified.

        Raises:
            PlanError: If even n votes of n do not put the top class above the others.
        """
        if not self._succeeds(self.n, num_classes):
            enough = (n for n in range(1, _MOST) if self._succeeds(n, num_classes))
            least = next(enough, None)
            instead = "another bound" if least is None else f"n of at least {least}"
            raise PlanError(
                f"n={self.n} draws can never certify at alpha={self.alpha:g}: "
                f"take {instead}, or a larger alpha."
            )

    def _succeeds(self, n: int, num_classes: int) -> bool:
        unanimous = Counts(np.array([n] + [0] * (num_classes - 1)))
        bounds = self.bound.class_bounds(unanimous, unanimous.top, self.alpha)
        return bool(bounds.pA_lower > bounds.pB_upper)

    def seeded(self) -> SamplingPlan:
        """This plan, with a seed from the operating system if it has none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbits(63))
