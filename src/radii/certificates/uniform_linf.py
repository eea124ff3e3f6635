"""The tight linf radius of uniform smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._dimension import check_dim
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.uniform import Uniform
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 3e-15


@CERTIFICATES.register("uniform_linf")
@dataclass(frozen=True)
class UniformLinf(Certificate):
    """`R = 2 half_width (1 - (1 - (pA_lower - pB_upper)/2)^(1/dim))`, open ball.

    With bounds that know only `pB <= 1 - pA` the inner bracket is `3/2 - pA_lower`. A shift by
    delta leaves a share of `prod_i (1 - |delta_i| / (2 half_width))` of the cube covered, least in
    the corners of the linf ball; A loses and B gains at most the rest. Rounded down by a share of
    3e-15.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1, for pB = 1 - pA.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> UniformLinf(Uniform(half_width=1.0), dim=784).radius(bounds).round(6)
        array([0.001303, 0.000569])
    """

    noise: Uniform
    dim: int
    norm: ClassVar[Norm] = "linf"
    tight: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_dim(self.dim)

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        gap = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0)
        share = -np.expm1(np.log1p(-gap / 2) / self.dim)
        return 2 * self.noise.half_width * share * (1 - _MARGIN)
