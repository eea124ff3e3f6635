"""The tight l1 radius of Laplace smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._odd_quantile import half_gap
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.laplace import Laplace
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-15


@CERTIFICATES.register("laplace_l1")
@dataclass(frozen=True)
class LaplaceL1(Certificate):
    """`R = b/2 (F^-1(pA_lower) - F^-1(pB_upper))`, F of Laplace(0, 1), open ball.

    `F^-1(p)` is `ln(2p)` below one half and `-ln(2 (1-p))` above, so with bounds that know only
    `pB <= 1 - pA` this is `-b ln(2 (1 - pA_lower))`. No set of mass p grows faster than
    `min(p, 1-p) / b` under a shift, whatever its direction in the l1 ball, and half-spaces
    `{z_1 > t}` do: see `radii.certificates._odd_quantile`. Infinite where `pB_upper` is 0. Each
    quantile is moved against the radius by a share of 1e-15.

    Reference:
        Teng, Lee and Yuan 2019, "l1 Adversarial Robustness Certificates: a Randomized Smoothing
        Approach", for pB = 1 - pA; Yang et al. 2020, arXiv:2002.08118, Table 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.6]), pB_upper=np.array([0.1, 0.2]))
        >>> LaplaceL1(Laplace(b=1.0)).radius(bounds).round(4)
        array([1.6094, 0.5697])
    """

    noise: Laplace
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        return half_gap(bounds, self.noise.b, _tail, _MARGIN)


def _tail(q: FloatArray) -> FloatArray:
    """`-ln(2q)` for q in [0, 1/2]."""
    with np.errstate(divide="ignore"):
        # From one quarter on 1 - 2q is exact, so nothing is lost where the logarithm is near 0.
        return -np.where(q < 0.25, np.log(2 * q), np.log1p(-(1 - 2 * np.maximum(q, 0.25))))
