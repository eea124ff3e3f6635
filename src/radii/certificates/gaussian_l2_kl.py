"""The l2 radius of Gaussian smoothing by the Kullback-Leibler divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._divergence import least_divergence
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of the divergence


@CERTIFICATES.register("gaussian_l2_kl")
@dataclass(frozen=True)
class GaussianL2KL(Certificate):
    """`R = sigma sqrt(-2 ln(1 - (sqrt pA - sqrt pB)^2))`, open ball; never above `gaussian_l2`.

    `KL(N(x + delta, sigma^2 I) || N(x, sigma^2 I)) = ||delta||^2 / 2 sigma^2`, and the classes of a
    base classifier can tell the two apart no better than the points themselves. The radius is where
    this reaches the least divergence at which another class ties with the top class. Infinite where
    `pA_lower` is 1 and `pB_upper` is 0. It is lowered by a share of 1e-12 for rounding.

    Reference:
        Dvijotham et al. 2020, ICLR, "A framework for robustness certification of smoothed
        classifiers using f-divergences"; Li et al. 2019, arXiv:1809.03113, Theorem 1, order 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2KL(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.9022, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        radius = self.noise.sigma * np.sqrt(2 * least_divergence(bounds, 1)) * (1 - _MARGIN)
        certain = (bounds.pA_lower == 1) & (bounds.pB_upper == 0)
        return np.where(certain, np.inf, radius)
