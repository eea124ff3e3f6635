"""Enough votes to decide one radius."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from radii.bounds import Bound
from radii.certificates.base import Certificate
from radii.stopping.base import STOPS, Course, Stop
from radii.stopping.radii import check_futility, decision


@STOPS.register("at_radius")
@dataclass(frozen=True)
class AtRadius(Stop):
    """Until it is decided whether the radius reaches R: claimed, or hopeless.

    Attributes:
        radius: R, in input units; a spec may also say `at_radius:0.5`.
        futility: Power that may be lost, at the probability where n draws would have even chances,
            by giving up early; see `hopeless`.
    """

    radius: float
    futility: float = 0.01
    positional: ClassVar[str | None] = "radius"
    examples = ({"radius": 0.5}, {"radius": 0.0, "futility": 0.0})

    def __post_init__(self) -> None:
        """Refuses what is no radius."""
        if not 0 <= self.radius < math.inf:
            raise ValueError(f"radius must be a number of at least 0, got {self.radius!r}")
        check_futility(self.futility)

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
            (self.radius,), n, alpha, bound, certificate, loss=self.futility, multiple=multiple
        )
