"""The tight l2 radius of smoothing with uniform noise on a ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import beta, betaincinv

from radii.certificates._dimension import check_dim
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.uniform_ball import UniformBall
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12
_LEAST = 1e-290  # below it the inverse is not asked
_BETA_MARGIN = 1e-9  # SciPy's beta is off by up to 2e-10


@CERTIFICATES.register("uniform_ball_l2")
@dataclass(frozen=True)
class UniformBallL2(Certificate):
    """`R = 2 radius sqrt(q)` with `I_q(1/2, (dim+1)/2) = (pA_lower - pB_upper) / 2`, open ball.

    I is the regularised incomplete beta function. After a shift by r the two balls have all but a
    share `I_s(1/2, (dim+1)/2)` of their volume in common, `s = (r / (2 radius))^2`: that much A
    loses and B gains at most. The same radius as
    `radius (2 - 4 I^-1(1/2 - (pA - pB)/4; (dim+1)/2, (dim+1)/2))`, with all digits near a tie.
    Rounded down by a share of 1e-12, to cover the inverse of the beta function.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1, for pB = 1 - pA.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> UniformBallL2(UniformBall(radius=1.0), dim=784).radius(bounds).round(5)
        array([0.03744, 0.01809])
    """

    noise: UniformBall
    dim: int
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_dim(self.dim)

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        gap = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0)
        half = (self.dim + 1) / 2
        square = betaincinv(0.5, half, gap / 2)
        # The inverse ends at 2e-308. Below, the share is that of its tangent at 0, which is less.
        tangent = gap / 4 * beta(0.5, half) * (1 - _BETA_MARGIN)
        share: FloatArray = np.where(square > _LEAST, np.sqrt(square), tangent)
        return 2 * self.noise.radius * share * (1 - _MARGIN)
