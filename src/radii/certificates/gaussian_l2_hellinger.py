"""The l2 radius of Gaussian smoothing by the Hellinger divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._divergence import least_divergence
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of the divergence


@CERTIFICATES.register("gaussian_l2_hellinger")
@dataclass(frozen=True)
class GaussianL2Hellinger(Certificate):
    """`R = 2 sigma sqrt(-ln(1 - (sqrt pA - sqrt pB)^2 / 2))`, open ball; at most `gaussian_l2`.

    The integral of `sqrt(p q)` over two Gaussians at a distance r is `exp(-r^2 / 8 sigma^2)`, and
    the classes of a base classifier can tell the two apart no better than the points themselves:
    their own sum of `sqrt(p q)` is no smaller. It is at most `1 - (sqrt pA - sqrt pB)^2 / 2` once
    another class ties with the top class. At `pB_upper` 0 and `pA_lower` 1 the radius is
    `2 sigma sqrt(ln 2)`, its largest. It is lowered by a share of 1e-12 for rounding.

    Reference:
        Dvijotham et al. 2020, ICLR, "A framework for robustness certification of smoothed
        classifiers using f-divergences"; Li et al. 2019, arXiv:1809.03113, Theorem 1, order 1/2.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2Hellinger(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.8554, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        # The Renyi divergence of order 1/2 is -2 ln of the sum of sqrt(p q).
        return self.noise.sigma * np.sqrt(4 * least_divergence(bounds, 0.5)) * (1 - _MARGIN)
