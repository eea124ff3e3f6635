"""The l1 radius of Gaussian smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.gaussian_l2 import GaussianL2
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm


@CERTIFICATES.register("gaussian_l1")
@dataclass(frozen=True)
class GaussianL1(Certificate):
    """The radius of `gaussian_l2`, read in l1, open ball.

    `||delta||_2 <= ||delta||_1`, so the l1 ball lies within the l2 ball of the same radius. Along
    one axis the two norms agree, so no larger l1 ball would do: the conversion loses nothing.
    Infinite where `pB_upper` is 0.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Theorem 1 and 2, and
        `||delta||_2 <= ||delta||_1`.

    Example:
        >>> GaussianL1(Gaussian(sigma=0.5)).radius(ClassBounds.one_sided(0.99)).round(4)
        np.float64(1.1632)
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        return GaussianL2(self.noise).radius(bounds)
