"""The l1 radius of Pareto smoothing by the level-set method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._odd_quantile import half_gap
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.pareto import Pareto
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-13
_TERMS = 45
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@CERTIFICATES.register("pareto_l1")
@dataclass(frozen=True)
class ParetoL1(Certificate):
    """`R = H(pA_lower)` for `pB = 1 - pA`, else `(H(pA_lower) - H(pB_upper)) / 2`, open ball.

    The log density falls fastest near 0, so the sets of mass p that grow fastest under a shift in
    the l1 ball are the slabs `{0 < z_1 < t}`, by
    `Psi(p) = a / (2 scale) (1 - |1 - 2p|^(1 + 1/a))`, and

        H(p) = integral_1/2^p dp / Psi(p) = scale/a u 2F1(1, 1/c; 1 + 1/c; u^c)

    with `u = 2p - 1` and `c = 1 + 1/a`, odd in u. Such slabs are not the shifts of each other,
    hence not tight. Infinite where `pB_upper` is 0. Each H is moved against the radius by a share
    of 1e-13.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the
        differential method and Table 1, for pB = 1 - pA.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> ParetoL1(Pareto(scale=1.0, a=3.0)).radius(bounds).round(4)
        array([0.4489, 0.2245])
    """

    noise: Pareto
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        a = self.noise.a
        return half_gap(bounds, self.noise.scale / a, lambda q: _integral(q, a), _MARGIN)


def _integral(q: FloatArray, a: float) -> FloatArray:
    """Integral of `dv / (1 - v^c)` over [0, 1 - 2q], c = 1 + 1/a, for q in [0, 1/2].

    With `v = exp(-y/c)` it is the integral of `exp(-y/c) / (1 - exp(-y)) / c` over
    `y > -c ln(1 - 2q)`: a geometric series for y > 1, and 1/y plus a smooth function below.
    """
    c = 1 + 1 / a
    with np.errstate(divide="ignore"):
        start = -c * np.log1p(-2 * q)
        low = np.minimum(start, 1.0)
        singular = -np.log(low)
    terms = 1 + c * np.arange(_TERMS)
    upper = np.maximum(start, 1.0)[..., None]
    far = (np.exp(-terms / c * upper) / terms).sum(-1)
    half = (1 - low[..., None]) / 2
    y = low[..., None] + half * (1 + _NODES)
    smooth = np.exp(y / (a + 1)) / np.expm1(y) - 1 / y
    near = singular + (half * _WEIGHTS * smooth).sum(-1)
    total: FloatArray = far + near / c
    return total
