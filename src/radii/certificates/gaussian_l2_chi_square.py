"""The l2 radius of Gaussian smoothing by the chi-square divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._divergence import least_divergence
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of the divergence


@CERTIFICATES.register("gaussian_l2_chi_square")
@dataclass(frozen=True)
class GaussianL2ChiSquare(Certificate):
    """`R = sigma sqrt(ln(1 + (pA-pB)^2 / (pA+pB - (pA-pB)^2)))`, open; at most `gaussian_l2`.

    The chi-square divergence of two Gaussians at a distance r is `exp(r^2 / sigma^2) - 1`, and the
    classes of a base classifier can tell the two apart no better than the points themselves. The
    fraction under the logarithm is the least divergence at which another class ties with the top
    class. Infinite where `pA_lower` is 1 and `pB_upper` is 0. It is lowered by a share of 1e-12 for
    rounding.

    Reference:
        Dvijotham et al. 2020, ICLR, "A framework for robustness certification of smoothed
        classifiers using f-divergences"; Li et al. 2019, arXiv:1809.03113, Theorem 1, order 2.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2ChiSquare(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.8867, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        # The Renyi divergence of order 2 is ln of 1 plus the chi-square divergence.
        radius = self.noise.sigma * np.sqrt(least_divergence(bounds, 2)) * (1 - _MARGIN)
        certain = (bounds.pA_lower == 1) & (bounds.pB_upper == 0)
        return np.where(certain, np.inf, radius)
