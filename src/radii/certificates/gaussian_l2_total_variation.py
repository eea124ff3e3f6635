"""The l2 radius of Gaussian smoothing by the total variation distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import erfinv

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-13  # the relative error of SciPy's erfinv is below 1e-14


@CERTIFICATES.register("gaussian_l2_total_variation")
@dataclass(frozen=True)
class GaussianL2TotalVariation(Certificate):
    """`R = 2 sigma Phi^-1(1/2 + (pA - pB) / 4)`, open ball; never above `gaussian_l2`.

    The total variation distance of two Gaussians at a distance r is `2 Phi(r / 2 sigma) - 1`. It
    bounds what the top class loses and what another class gains, so no class ties before it reaches
    `(pA - pB) / 2`. At `pB_upper` 0 and `pA_lower` 1 the radius is `2 sigma Phi^-1(3/4)`, its
    largest. It is lowered by a share of 1e-13 for rounding.

    Reference:
        Dvijotham et al. 2020, ICLR, "A framework for robustness certification of smoothed
        classifiers using f-divergences".

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2TotalVariation(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.9075, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        lead = np.maximum(bounds.pA_lower - bounds.pB_upper, 0)
        # Phi^-1(1/2 + y) = sqrt 2 erfinv(2 y), which keeps its digits where y is small.
        unit = math.sqrt(2) * np.asarray(erfinv(lead / 2), np.float64)
        return np.asarray(2 * self.noise.sigma * unit * (1 - _MARGIN))
