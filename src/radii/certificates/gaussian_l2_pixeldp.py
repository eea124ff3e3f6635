"""The l2 radius of Gaussian smoothing by differential privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._divergence import log_ratio
from radii.certificates._search import maximise
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of the formula


@CERTIFICATES.register("gaussian_l2_pixeldp")
@dataclass(frozen=True)
class GaussianL2PixelDP(Certificate):
    """`R = sup over e of sigma e / sqrt(2 ln(1.25 (1 + exp e) / (pA - exp(2e) pB)))`, open ball.

    The supremum is over `0 < e <= min(1, ln(pA / pB) / 2)`. Gaussian noise is (e, d)-differentially
    private for changes up to `sigma e / sqrt(2 ln(1.25 / d))`, so there `pA' >= exp(-e) (pA - d)`
    and `pB' <= exp(e) pB + d`; the largest d that keeps A ahead is
    `(pA - exp(2e) pB) / (1 + exp e)`.

    Every e gives a valid radius, so an inexact supremum errs low. The mechanism holds for e up to 1
    only, so the radius is below `0.571 sigma`, close to which it comes at `pA_lower` 1 and
    `pB_upper` 0. It is never above `gaussian_l2`; above `gaussian_l2_renyi` only where both
    probabilities are small (together below 0.11). It is lowered by a share of 1e-12 for rounding.

    Reference:
        Lecuyer et al. 2019, arXiv:1802.03471, Proposition 1; the Gaussian mechanism: Dwork and Roth
        2014, Theorem A.1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2PixelDP(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([0.3615, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        most = log_ratio(bounds) / 2  # where pA - exp(2e) pB = pA (1 - exp(2e - 2 most)) is 0
        leads = most > 0
        most, pA = np.where(leads, most, 1), np.where(leads, bounds.pA_lower, 1)

        def unit(e: FloatArray) -> FloatArray:
            left = -pA * np.expm1(2 * (e - most))
            inside = left > 0  # a d of 0 leaves no radius
            cost = np.log(1.25 * (1 + np.exp(e))) - np.log(np.where(inside, left, 1))
            return np.where(inside, e / np.sqrt(2 * cost), 0)

        best = unit(maximise(unit, 0.0, np.minimum(most, 1), grid=9, steps=36))
        return np.where(leads, self.noise.sigma * best * (1 - _MARGIN), 0)
