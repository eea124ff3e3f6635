"""The l1 radius of smoothing with noise of density exp(-|z|^exponent) in each coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import bernoulli, gammainc, gammaincc, gammainccinv, gammaincinv

from radii.certificates._odd_quantile import half_gap
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.iid_exponential import IidExponential
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12
_LEAST = 1e-290  # below it the inverse is not asked
_DROP = 40  # exp(-40) of the first term of a series counts as 0
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
    power = _inverse(1 / k, inner, 2 * q)
    # The density is largest at 0. Near there inverse functions underflow, and lose digits before.
    found: FloatArray = np.where(power > _LEAST, np.power(power, 1 / k), 0)
    return np.maximum(found, inner * math.gamma(1 + 1 / k) * (1 - 2.0**-50))


def _slab_integral(q: FloatArray, k: float) -> FloatArray:
    """`1/k` times the integral of `s^(1/k-1) / (exp(s) - 1)` over s > s(q), for k < 1.

    Above 1 the geometric series gives incomplete gamma functions; below 1 the series
    `s / (exp(s) - 1) = sum_n B_n s^n / n!` is integrated term by term.
    """
    a = 1 / k
    start = _inverse(a, 2 * q, 1 - 2 * q)
    low = start < 1
    powers = a - 1 + np.arange(len(_BERNOULLI))
    with np.errstate(divide="ignore"):
        logs = np.log(start[low, None])
    found = np.empty_like(start)
    found[low] = _beyond(np.ones(1), a) - (_BERNOULLI * np.expm1(powers * logs) / powers).sum(-1)
    found[~low] = _beyond(start[~low], a)
    return np.where(q == 0, np.inf, found / k)


def _beyond(start: FloatArray, a: float) -> FloatArray:
    """The integral of `s^(a-1) / (exp(s) - 1)` over s > start, for `(entries,)` of at least 1.

    The term `integral of s^(a-1) exp(-n s)` is at most `exp(-(n-1) start)` times the first, and is
    left out where that is below 5e-18.
    """
    total = gammaincc(a, start)
    for n in range(2, _DROP + 2):
        seen = start < _DROP / (n - 1)
        total[seen] += gammaincc(a, n * start[seen]) * n**-a
    return np.asarray(total * math.gamma(a))


def _inverse(a: float, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The s with `P(a, s) = lower` and `Q(a, s) = upper`, for two numbers of sum 1.

    Each entry has one inverse, from `lower` at most up to 0.9, where it keeps its digits. SciPy's
    Q is slow for s below 1 and its P for s above `max(a, 1)`.
    """
    split = np.clip(gammainc(a, max(a, 1.0)), 0.5, 0.9)
    near = lower < split
    found = np.empty_like(lower)
    found[near] = gammaincinv(a, lower[near])
    found[~near] = gammainccinv(a, upper[~near])
    return found
