"""The linf radius of Gaussian smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._dimension import check_dim
from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.gaussian_l2 import GaussianL2
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm


@CERTIFICATES.register("gaussian_linf")
@dataclass(frozen=True)
class GaussianLinf(Certificate):
    """The radius of `gaussian_l2` divided by `sqrt(dim)`, open ball.

    `||delta||_2 <= sqrt(dim) ||delta||_inf`, so the linf ball lies within the l2 ball of
    `sqrt(dim)` times its radius. In the corners the two sides agree, so no larger linf ball would
    do: the conversion loses nothing. Infinite where `pB_upper` is 0. The result is rounded down.

    Attributes:
        dim: Number of coordinates of an input.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Theorem 1 and 2, and
        `||delta||_2 <= sqrt(dim) ||delta||_inf`.

    Example:
        >>> certificate = GaussianLinf(Gaussian(sigma=0.5), dim=784)
        >>> certificate.radius(ClassBounds.one_sided(0.99)).round(4)
        np.float64(0.0415)
    """

    noise: Gaussian
    dim: int
    norm: ClassVar[Norm] = "linf"
    tight: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dim(self.dim)

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        radius = GaussianL2(self.noise).radius(bounds) / math.sqrt(self.dim)
        return np.where(np.isinf(radius), radius, np.nextafter(radius * (1 - 2**-52), 0))
