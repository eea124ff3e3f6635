"""The l1 radius of splitting noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.splitting import Splitting
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-15


@CERTIFICATES.register("splitting_l1")
@dataclass(frozen=True)
class SplittingL1(Certificate):
    """`R = half_width (pA_lower - pB_upper)`, open ball.

    With bounds that know only `pB <= 1 - pA` this is `2 half_width (pA_lower - 1/2)`. Coordinate i
    falls into another piece with probability at most `|delta_i| / (2 half_width)`, so any of them
    does with at most `r / (2 half_width)`, however the offsets depend on each other: A loses and B
    gains no more. Rounded down by a share of 1e-15.

    For noise whose cuts lie between the levels of a grid, enumerated or drawn, the ball holds the
    inputs on that grid and no others.

    Reference:
        Levine and Feizi 2021, arXiv:2103.10834, Theorem 2; for pB of its own by the same proof.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> SplittingL1(Splitting(half_width=1.0)).radius(bounds).round(4)
        array([0.8, 0.4])
    """

    noise: Splitting
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = True

    @property
    def domain(self) -> str | None:
        """The grid, if the cuts lie between its levels; see `Certificate.domain`."""
        if not self.noise.deterministic:
            return self.noise.domain
        return f"inputs whose coordinates are all multiples of 1/{self.noise.levels}"

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        gap = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0)
        return self.noise.width / 2 * gap * (1 - _MARGIN)
