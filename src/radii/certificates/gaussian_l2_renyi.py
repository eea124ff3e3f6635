"""The l2 radius of Gaussian smoothing by the Renyi divergence of the best order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._divergence import least_divergence
from radii.certificates._search import maximise
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of the divergence
_ORDERS = (0.5, 2.0)


@CERTIFICATES.register("gaussian_l2_renyi")
@dataclass(frozen=True)
class GaussianL2Renyi(Certificate):
    """`R^2 = sup over a of -(2 sigma^2 / a) ln(1 - pA - pB + 2 M_a)`, open; at most `gaussian_l2`.

    `M_a = ((pA^(1-a) + pB^(1-a)) / 2)^(1 / (1-a))`. The Renyi divergence of order a of two
    Gaussians at a distance r is `a r^2 / 2 sigma^2`, and the classes of a base classifier can tell
    the two apart no better than the points themselves. The logarithm is the least divergence at
    which another class ties with the top class.

    Every order a > 0 gives a valid radius (the paper takes a > 1), so an inexact supremum errs low;
    orders from 0.5 to 2 are searched, and the best is between 0.75 and 1.5 where `pA + pB <= 1`.
    Infinite where `pA_lower` is 1 and `pB_upper` is 0. It is lowered by a share of 1e-12 for
    rounding.

    Reference:
        Li et al. 2019, arXiv:1809.03113, Theorem 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2Renyi(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.9125, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""

        def square(order: FloatArray) -> FloatArray:
            return 2 / order * least_divergence(bounds, order)

        low, high = (np.full(bounds.pA_lower.shape, end) for end in _ORDERS)
        best = square(maximise(square, low, high, grid=7, steps=30))
        radius = self.noise.sigma * np.sqrt(best) * (1 - _MARGIN)
        certain = (bounds.pA_lower == 1) & (bounds.pB_upper == 0)
        return np.where(certain, np.inf, radius)
