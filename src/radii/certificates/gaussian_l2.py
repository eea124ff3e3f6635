"""The tight l2 radius of Gaussian smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

# The relative error of SciPy's ndtri is below 1e-14; each quantile moves by 10 times that.
_MARGIN = 1e-13


@CERTIFICATES.register("gaussian_l2")
@dataclass(frozen=True)
class GaussianL2(Certificate):
    """`R = sigma/2 (Phi^-1(pA_lower) - Phi^-1(pB_upper))`, open ball.

    With bounds that know only `pB <= 1 - pA` this is `sigma Phi^-1(pA_lower)`. Infinite where
    `pB_upper` is 0. Each quantile is moved against the radius by a share of 1e-13, and the result
    is rounded down.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Theorem 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([1.0616, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        top = ndtri(bounds.pA_lower)
        other = ndtri(bounds.pB_upper)
        top = top * (1 - _MARGIN * np.sign(top))
        other = other * (1 + _MARGIN * np.sign(other))
        positive = (bounds.pA_lower > bounds.pB_upper) & (top > other)
        gap = np.where(positive, top, 0.0) - np.where(positive, other, 0.0)
        radius = self.noise.sigma / 2 * gap
        return np.where(np.isinf(radius), radius, np.nextafter(radius, 0))
