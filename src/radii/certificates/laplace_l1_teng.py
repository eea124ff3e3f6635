"""The l1 radius of Laplace smoothing after Teng et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.laplace_l1_pixeldp import log_ratio
from radii.noise.laplace import Laplace
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 2e-15


@CERTIFICATES.register("laplace_l1_teng")
@dataclass(frozen=True)
class LaplaceL1Teng(Certificate):
    """`R = max(b/2 ln(pA_lower / pB_upper), -b ln(1 - pA_lower + pB_upper))`, open ball.

    The first is differential privacy with `exp(r/b)`, the second that no set grows by more than
    `1 - exp(-r/b)`. It is the tight radius where `pA <= 1/2` or `pA + pB = 1`, and less elsewhere.
    Infinite where `pB_upper` is 0. Rounded down by a share of 2e-15.

    Reference:
        Teng, Lee and Yuan 2019, "l1 Adversarial Robustness Certificates: a Randomized Smoothing
        Approach".

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.6]), pB_upper=np.array([0.1, 0.2]))
        >>> LaplaceL1Teng(Laplace(b=1.0)).radius(bounds).round(4)
        array([1.6094, 0.5493])
    """

    noise: Laplace
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        unit = np.maximum(log_ratio(bounds) / 2, minus_log_rest(bounds))
        return self.noise.b * unit * (1 - _MARGIN)


def minus_log_rest(bounds: ClassBounds) -> FloatArray:
    """`-ln(1 - pA + pB)` to all digits; 0 where `pA <= pB`, infinite at pA = 1, pB = 0."""
    gap = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0)
    rest = np.minimum((1 - bounds.pA_lower) + bounds.pB_upper, 1.0)
    with np.errstate(divide="ignore"):
        # The sum keeps its digits where it is near 0, the difference where the sum is near 1.
        return np.where(gap > 0.5, -np.log(rest), -np.log1p(-np.minimum(gap, 0.5)))
