"""The l1 radius of smoothing with noise of density exp(-|z|^exponent) in each coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import bernoulli, gammaincc, gammainccinv, gammaincinv

from radii.certificates._odd_quantile import half_gap
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.iid_exponential import IidExponential
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12
_TERMS = 45
_BERNOULLI = bernoulli(24) / np.array([math.factorial(n) for n in range(25)], np.float64)


@CERTIFICATES.register("iid_exponential_l1")
@dataclass(frozen=True)
class IidExponentialL1(Certificate):
    """`R = (H(pA_lower) - H(pB_upper)) / 2`, open ball; `H(pA_lower)` where `pB = 1 - pA`.

    For an exponent of at least 1 the log density falls ever faster, the half-spaces `{z_1 > t}`
    grow fastest under a shift in the l1 ball, H is the quantile function of one coordinate, and
    the radius is tight. For a smaller exponent k the log density falls fastest near 0, the slabs
    `{0 < z_1 < t}` grow fastest, and the radius is not tight:

        H(p) = scale/k integral over s > s(p) of s^(1/k - 1) / (exp(s) - 1) ds,  p >= 1/2

    with `Q(1/k, s(p)) = 2p - 1`, Q the regularised upper incomplete gamma function. Infinite where
    `pB_upper` is 0, since noise of positive density everywhere never meets B then. Each H is moved
    against the radius by a share of 1e-12, to cover the inverse gamma functions.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the
        differential method, for the density of their Table 1.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> gaussian = IidExponential(scale=2**0.5, exponent=2.0)
        >>> IidExponentialL1(gaussian).radius(bounds).round(4)
        array([1.2816, 0.6408])
    """

    noise: IidExponential
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        exponent = self.noise.exponent
        tail = _quantile if exponent >= 1 else _slab_integral
        return half_gap(bounds, self.noise.scale, lambda q: tail(q, exponent), _MARGIN)


def _quantile(q: FloatArray, k: float) -> FloatArray:
    """The t with `P(z > t) = q` for one coordinate of scale 1, q in [0, 1/2]."""
    inner = 1 - 2 * q
    small = inner < 0.5
    near = gammaincinv(1 / k, np.where(small, inner, 0))
    far = gammainccinv(1 / k, np.where(small, 1, 2 * q))
    # The density is largest at 0, and inverse functions underflow near there.
    least = inner * math.gamma(1 + 1 / k)
    found: FloatArray = np.power(np.where(small, near, far), 1 / k)
    return np.maximum(found, least)


def _slab_integral(q: FloatArray, k: float) -> FloatArray:
    """`1/k` times the integral of `s^(1/k-1) / (exp(s) - 1)` over s > s(q), for k < 1.

    Above 1 the geometric series gives incomplete gamma functions; below 1 the series
    `s / (exp(s) - 1) = sum_n B_n s^n / n!` is integrated term by term.
    """
    a = 1 / k
    small = q < 0.25
    near = gammaincinv(a, np.where(small, 2 * q, 0))
    start = np.where(small, near, gammainccinv(a, np.where(small, 1, 1 - 2 * q)))
    n = np.arange(1, _TERMS + 1)
    upper = np.maximum(start, 1.0)[..., None]
    far = math.gamma(a) * (gammaincc(a, n * upper) * n**-a).sum(-1)
    powers = a - 1 + np.arange(len(_BERNOULLI))
    low = np.minimum(start, 1.0)[..., None]
    with np.errstate(divide="ignore"):
        rest = (-_BERNOULLI * np.expm1(powers * np.log(low)) / powers).sum(-1)
    return np.where(q == 0, np.inf, (far + rest) / k)
