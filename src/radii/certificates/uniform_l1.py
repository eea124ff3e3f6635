"""The tight l1 radius of uniform smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.uniform import Uniform
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-15


@CERTIFICATES.register("uniform_l1")
@dataclass(frozen=True)
class UniformL1(Certificate):
    """`R = half_width (pA_lower - pB_upper)`, open ball.

    With bounds that know only `pB <= 1 - pA` this is `2 half_width (pA_lower - 1/2)`. A shift by
    delta leaves a share of `prod_i (1 - |delta_i| / (2 half_width))` of the cube covered, at least
    `1 - r / (2 half_width)` in the l1 ball, so A loses and B gains at most `r / (2 half_width)`.
    Rounded down by a share of 1e-15.

    Reference:
        Lee, Yuan, Chang and Jaakkola 2019, arXiv:1906.04948, for pB = 1 - pA; Yang et al. 2020,
        arXiv:2002.08118, Table 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> UniformL1(Uniform(half_width=1.0)).radius(bounds).round(4)
        array([0.8, 0.4])
    """

    noise: Uniform
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        gap = np.maximum(bounds.pA_lower - bounds.pB_upper, 0.0)
        return self.noise.half_width * gap * (1 - _MARGIN)
