"""Enough votes to decide each of several radii."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from radii.bounds import Bound, Calibrated, ClopperPearson
from radii.bounds.calibrated import geometric_looks
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.records import ClassBounds, FloatArray, IntArray
from radii.stopping._hopeless import hopeless
from radii.stopping._threshold import threshold
from radii.stopping.base import STOPS, BoolArray, Course, Stop, at_all_looks, never_certifies


@dataclass(frozen=True, eq=False)
class Decision(Course):
    """Goes on until each threshold is claimed or hopeless.

    `lower` is the largest threshold that the bound reaches, by comparing counts. Where the bound
    says more than that, as `betting` does, what it says of the votes at the end may be taken too.

    Attributes:
        thresholds: `(r,)` float64. The least probability for each radius, rising.
        claim: `(r, m)` int64. The fewest votes that claim a threshold at a look.
        hopeless: `(r, m)` int64. The most with which it is given up.
    """

    thresholds: FloatArray
    claim: IntArray
    hopeless: IntArray

    def lower(self, look: int, k: IntArray | int) -> FloatArray:
        """The largest threshold claimed at this look, or 0; see `Course.lower`."""
        claimed = np.searchsorted(self.claim[:, self.at(look)], np.asarray(k), "right")
        return np.append(0.0, self.thresholds)[claimed]

    def done(self, look: int, k: IntArray | int, lower: FloatArray | float) -> BoolArray:
        """Whether the least threshold that is not yet claimed is hopeless; see `Course.done`.

        So are then those above it.
        """
        j = self.at(look)
        if j == len(self.looks) - 1:
            return np.full(np.shape(k), True)
        enough = np.append(self.hopeless[:, j], look)
        return np.asarray(k <= enough[np.searchsorted(self.thresholds, lower, "right")])


def decision(
    radii: Sequence[float],
    n: int,
    alpha: float,
    bound: Bound | None,
    certificate: Certificate,
    *,
    loss: float,
    multiple: int,
) -> Decision:
    """The course that decides these radii; see `Stop.course`.

    Raises:
        PlanError: If n draws can claim none of the radii, or the bound does not hold at all looks.
    """
    found = {threshold(certificate, radius) for radius in radii}
    values = sorted(p for p in found if p is not None)
    looks = geometric_looks(n, multiple=multiple)
    bound = at_all_looks(bound or Calibrated(), n, multiple)
    if isinstance(bound, Calibrated) and values:
        bound = replace(bound, thresholds="/".join(repr(p) for p in values))
        looks = bound.looks
    p = np.array(values)
    claim = _claims(bound, p, looks, alpha)
    if not np.any(claim <= looks):
        fixed = ClopperPearson() if isinstance(bound, Calibrated) else bound
        highest = fixed.lower(np.array(n), n, alpha)
        if highest <= 0.5:
            raise never_certifies(n, alpha)
        most = certificate.radius(ClassBounds.one_sided(highest))
        raise PlanError(
            f"radius must be at most {math.floor(float(most) * 1e6) / 1e6:g} for n={n} draws at "
            f"alpha={alpha:g} to reach it, got {min(radii):g}; take a smaller one, or more draws."
        )
    give_up = np.array([hopeless(looks, row, loss) for row in claim])
    give_up = np.minimum.accumulate(give_up[::-1], axis=0)[::-1]
    return Decision(looks, bound, alpha, p, claim, give_up)


def _claims(bound: Bound, p: FloatArray, looks: IntArray, alpha: float) -> IntArray:
    """`(r, m)` the fewest votes with `bound.lower >= p` at each look; one more than all if none."""
    if isinstance(bound, Calibrated) and len(p):
        return bound.boundaries(alpha)
    draws, values = np.broadcast_arrays(looks, p[:, None])
    below, above = np.full(draws.shape, -1), draws + 1
    while np.any(below + 1 < above):
        middle = (below + above) // 2
        enough = bound.lower(np.maximum(middle, 0), draws, alpha) >= values
        enough &= below + 1 < above
        below, above = (
            np.where(enough | (below + 1 >= above), below, middle),
            np.where(enough, middle, above),
        )
    return np.asarray(above)


@STOPS.register("radii")
@dataclass(frozen=True)
class Radii(Stop):
    """Until each of several radii is decided: claimed, or hopeless.

    At each radius the share of inputs certified is that of n draws at the same alpha, but for what
    `futility` gives up. All claims hold together with probability at least `1 - alpha`: with
    `calibrated`, which is the default, by nestedness; with any other bound that holds at every
    time, since they all follow from one lower bound. Radii that n draws cannot reach are hopeless
    from the start.

    Attributes:
        radii: In input units, joined by `/`; a spec may also say `radii:0.25,0.5,1`.
        futility: Power that may be lost at each radius, at the probability where n draws would
            have even chances, by giving up early; see `hopeless`.
    """

    radii: str
    futility: float = 0.01
    positional: ClassVar[str | None] = "radii"
    examples = ({"radii": "0/0.25/0.5"}, {"radii": "0.1", "futility": 0.0})

    def __post_init__(self) -> None:
        """Refuses what is no list of radii."""
        object.__setattr__(self, "radii", str(self.radii).replace(",", "/"))
        try:
            values = self.values
        except ValueError:
            values = (math.nan,)
        if not all(0 <= radius < math.inf for radius in values):
            raise ValueError(
                f"radii must be numbers of at least 0 joined by '/', got {self.radii!r}; "
                "write for example 0.25/0.5/1"
            )
        check_futility(self.futility)

    @property
    def values(self) -> tuple[float, ...]:
        """The radii as numbers."""
        return tuple(float(radius) for radius in self.radii.split("/"))

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
        return decision(
            self.values, n, alpha, bound, certificate, loss=self.futility, multiple=multiple
        )


def check_futility(futility: float) -> None:
    """Refuses what is no share of power."""
    if not 0 <= futility < 1:
        raise ValueError(f"futility must be in [0, 1), got {futility!r}")
