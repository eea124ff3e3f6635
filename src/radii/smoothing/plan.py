"""How many draws, at which failure probability, bounded how, from which streams."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from radii.bounds.base import BOUNDS, Bound
from radii.bounds.clopper_pearson import ClopperPearson
from radii.bounds.exact import Exact
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.noise.base import Noise
from radii.noise.streams import Rng, checked_seed
from radii.records import Counts
from radii.smoothing.tally import Vote
from radii.stopping.base import Course, Stop
from radii.stopping.never import Never

_MOST = 10_000  # draws up to which the least sufficient n is looked for
_SEED_BITS: Mapping[Rng, int] = {"auto": 63, "chacha": 256}


@dataclass(frozen=True)
class SamplingPlan:
    """The plan of CERTIFY: select the class with n0 draws, bound its probability with n fresh ones.

    Attributes:
        n0: Draws that select the class.
        n: Draws that bound its probability: fixed before looking, or the most if it stops early.
        alpha: Probability that anything said about one input is wrong.
        bound: How votes become bounds on pA and pB. None takes the one that suits the stopping
            rule: `clopper_pearson` for `never`.
        stop: When an input has enough votes.
        block: Draws in one block of the random stream. It is part of what names the noise: another
            block size draws other noise. A stopping rule looks at whole blocks.
        seed: Of the random streams; None asks the operating system for one.

    For noise that is enumerated a plan has an exact bound, no selection (n0 = 0) and alpha = 0;
    `under` makes it.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """

    n0: int = 100
    n: int = 100_000
    alpha: float = 0.001
    bound: Bound | None = None
    stop: Stop = field(default_factory=Never)
    block: int = 100
    seed: int | None = None

    def __post_init__(self) -> None:
        exact = isinstance(self.bound, Exact)
        for name, least in (("n0", 0 if exact else 1), ("n", 1), ("block", 1)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(
                    f"{name} must be a whole number of at least {least}, got {value!r}"
                )
            object.__setattr__(self, name, int(value))
        if self.seed is not None:
            object.__setattr__(self, "seed", checked_seed(self.seed))
        if exact and (self.n0, self.alpha) != (0, 0):
            raise ValueError(
                f"n0 and alpha must be 0 with an exact bound, got n0={self.n0}, "
                f"alpha={self.alpha}; noise that is enumerated takes that bound by itself, "
                f"other noise needs another"
            )
        if not exact and not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha!r}")

    def under(self, noise: Noise) -> SamplingPlan:
        """This plan, or for noise that is enumerated the one that meets each outcome once.

        Raises:
            PlanError: If the bound is exact and the noise is not enumerated, or the plan stops
                early and the noise is.
        """
        if noise.num_outcomes is not None:
            if self.stops_early:
                raise PlanError(
                    "noise that is enumerated meets each outcome once, and there is nothing to "
                    "save: leave the stopping rule out."
                )
            return SamplingPlan(
                n0=0, n=noise.num_outcomes, alpha=0, bound=Exact(), block=self.block, seed=0
            )
        if isinstance(self.bound, Exact):
            raise PlanError(
                f"an exact bound needs noise that is enumerated, got {noise!r}; take another bound."
            )
        return self

    @property
    def stops_early(self) -> bool:
        """Whether an input may have enough votes before n draws."""
        return not isinstance(self.stop, Never)

    @property
    def fixed_bound(self) -> Bound:
        """The bound where nothing stops early."""
        return self.bound or ClopperPearson()

    def course(self, certificate: Certificate) -> Course:
        """The stopping rule made ready for one certificate.

        Raises:
            PlanError: If the bound does not hold at every stopping time or takes no such n, or
                nothing could be claimed.
        """
        with _of_the_plan():
            return _course(self.stop, self.n, self.alpha, self.bound, certificate, self.block)

    def check(self, num_classes: int, vote: Vote = "hard") -> None:
        """Refuses a plan under which no input could ever be certified.

        Raises:
            PlanError: If even n votes of n do not put the top class above the others, or the bound
                takes no such n, or no soft votes where they are asked for.
        """
        soft_votes = vote == "soft"
        if self.stops_early:
            if soft_votes:
                raise PlanError("soft votes need all n draws: leave the stopping rule out.")
            return  # `course` refuses what could claim nothing
        if soft_votes and not self.fixed_bound.soft:
            soft = [name for name in BOUNDS.names() if BOUNDS[name].soft]
            raise PlanError(
                f"{BOUNDS.spec_of(self.fixed_bound)} bounds hard votes only: "
                f"for soft votes take one of {', '.join(soft)}."
            )
        with _of_the_plan():
            succeeds = self._succeeds(self.n, num_classes)
        if not succeeds:
            enough = (n for n in range(1, _MOST) if self._succeeds(n, num_classes))
            least = next(enough, None)
            instead = "another bound" if least is None else f"n of at least {least}"
            raise PlanError(
                f"n={self.n} draws can never certify at alpha={self.alpha:g}: "
                f"take {instead}, or a larger alpha."
            )

    def _succeeds(self, n: int, num_classes: int) -> bool:
        votes = np.zeros(num_classes, dtype=np.int64)
        votes[:1] = n
        unanimous = Counts(votes, tie=np.array(0.0))
        bounds = self.fixed_bound.class_bounds(unanimous, unanimous.top, self.alpha)
        return bool(bounds.pA_lower > bounds.pB_upper)

    def seeded(self, rng: Rng = "auto") -> SamplingPlan:
        """This plan, with a seed from the operating system if it has none.

        It has 63 bits, or the 256 of a cryptographic key.
        """
        if self.seed is not None:
            return self
        return replace(self, seed=secrets.randbits(_SEED_BITS[rng]))


@contextmanager
def _of_the_plan() -> Iterator[None]:
    """Inside it, what a bound finds wrong with n is wrong with the plan."""
    try:
        yield
    except ValueError as error:
        raise PlanError(f"{error}.") from None


@lru_cache(maxsize=16)
def _course(
    stop: Stop, n: int, alpha: float, bound: Bound | None, certificate: Certificate, block: int
) -> Course:
    """Made once for all inputs of a run, which takes milliseconds or more."""
    return stop.course(n, alpha, bound, certificate, multiple=block)
