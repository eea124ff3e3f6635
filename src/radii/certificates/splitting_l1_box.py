"""The l1 radius of splitting noise for inputs of which every coordinate lies in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.base import Noise
from radii.noise.splitting import Splitting
from radii.records import ClassBounds, FloatArray, Norm

if TYPE_CHECKING:
    from torch import Tensor

_MARGIN = 1e-12


@CERTIFICATES.register("splitting_l1_box")
@dataclass(frozen=True)
class SplittingL1Box(Certificate):
    """The r with `1 - (1 - 1/T)^j (1 - (r - j)/T) = (pA - pB)/2`, `T = 2 half_width`, j = floor(r).

    The ball holds the points of `[0, 1]^d` only, and the input must be one of them; for
    `grid_splitting`, points of its grid. For `T > 1` this is more than `splitting_l1` from radius 1
    on; otherwise it is the same.

    Proof: with independent offsets no coordinate changes its piece with probability
    `prod_i (1 - |delta_i| / T)`. Its logarithm is concave in delta, so in the part of the l1 ball
    where `|delta_i| <= 1` it is least at an extreme point: j coordinates move by 1 and one by the
    rest. A loses and B gains at most what remains to 1. Some classifier on `floor(r) + 1`
    coordinates does lose as much. Rounded down by a share of 1e-12.

    Reference:
        Voracek and Hein 2023, "Improving l1-Certified Robustness via Randomized Smoothing by
        Leveraging Box Constraints", ICML, for the idea; Levine and Feizi 2021, arXiv:2103.10834.

    Example:
        >>> bounds = ClassBounds.one_sided(np.array([0.6, 0.99]))
        >>> SplittingL1Box(Splitting(half_width=4.0)).radius(bounds).round(4)
        array([0.8   , 5.0454])
    """

    noise: Splitting
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = True

    @classmethod
    def covers(cls, noise: Noise) -> bool:
        """Whether it is splitting noise with independent offsets."""
        return isinstance(noise, Splitting) and not noise.deterministic

    @property
    def domain(self) -> str:
        """The unit cube, and the grid if the noise has one; see `Certificate.domain`."""
        if self.noise.domain is not None:
            return f"{self.noise.domain} and lie in [0, 1]"
        return "inputs whose coordinates all lie in [0, 1]"

    def objection(self, x: Tensor) -> str | None:
        """Refuses inputs outside the unit cube; see `Certificate.objection`."""
        outside = (x < 0) | (x > 1)
        if not bool(outside.any()):
            return None
        return (
            f"must lie in [0, 1] for splitting_l1_box, got {float(x[outside][0])!r}; scale the "
            f"inputs or take the certificate splitting_l1"
        )

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        width = self.noise.width
        lost = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0) / 2
        if width <= 1:
            return width * lost * (1 - _MARGIN)
        step = np.log1p(-1 / width)
        whole = np.floor(np.log1p(-lost) / step)
        rest = -width * np.expm1(np.log1p(-lost) - whole * step)
        found: FloatArray = (whole + np.clip(rest, 0, 1)) * (1 - _MARGIN)
        return found
