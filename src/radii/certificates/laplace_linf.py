"""The linf radius of Laplace smoothing by the level-set method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from radii.certificates._dimension import check_dim
from radii.certificates._odd_quantile import half_gap
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.laplace import Laplace
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12
_RAREST = 1e-305  # tails of the binomial law below this are left out of the table


@CERTIFICATES.register("laplace_linf")
@dataclass(frozen=True)
class LaplaceLinf(Certificate):
    """`R = 1/2 integral over [pB_upper, pA_lower] of dp / Psi(p)`, open ball.

    Along delta the log density rises by `sum_i delta_i sign(z_i) / b`. The linf ball of radius 1
    has the steepest such delta in its corners, where the sum is `(2K - dim) / b` with K of the law
    Binomial(dim, 1/2). So the growth of sets of mass p is at most

        Psi(p) = the mean of (2K - dim) / b over the top p of the law of K

    which is linear between the binomial tails `P(K >= j)` and takes there the values
    `j C(dim, j) / (2^dim b)`; the integral is exact. The sets that grow fastest are not the shifts
    of each other, hence not tight for `dim > 1`. With bounds that know only `pB <= 1 - pA` this is
    the integral from 1/2 to pA. Infinite where `pB_upper` is 0. Each half of the integral is moved
    against the radius by a share of 1e-12; below tails of 1e-305 Psi is taken too large.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the
        differential method and Table 1; the binomial tail takes the place of their normal
        approximation.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.5]), pB_upper=np.array([0.1, 0.1]))
        >>> LaplaceLinf(Laplace(b=1.0), dim=784).radius(bounds).round(5)
        array([0.04578, 0.02289])
    """

    noise: Laplace
    dim: int
    norm: ClassVar[Norm] = "linf"
    tight: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_dim(self.dim)

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        law = _law(self.dim)
        return half_gap(bounds, self.noise.b, law.integral, _MARGIN)


@dataclass(frozen=True, eq=False)
class _Law:
    """`Psi` and its integral at the binomial tails, from one half downwards.

    Attributes:
        dim: Number of coordinates.
        tails: `(nodes,)` masses, increasing, the last one 1/2.
        growth: `(nodes,)` Psi there, for b = 1.
        slope: `(nodes,)` derivative of Psi below each mass.
        done: `(nodes,)` integral of `dp / Psi(p)` from each mass to 1/2.
    """

    dim: int
    tails: FloatArray
    growth: FloatArray
    slope: FloatArray
    done: FloatArray

    def integral(self, q: FloatArray) -> FloatArray:
        """Integral of `dp / Psi(p)` from q in [0, 1/2] to 1/2."""
        above = np.searchsorted(self.tails, q)  # the first node of at least this mass
        tail, growth, slope = self.tails[above], self.growth[above], self.slope[above]
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = (tail - q) / growth
            rising = -np.log1p(-np.minimum(slope * loss, 1)) / slope
            # Below the least mass of the table Psi(p) is at most dim p, and equal for p < 2^-dim.
            near = -np.log1p(-np.minimum((tail - q) / tail, 0.5))
            normal = np.maximum(q, np.finfo(np.float64).tiny)  # or the quotient overflows
            far = np.log(tail / normal) + (np.log(normal) - np.log(q))
            last = np.where(q < tail / 2, far, near) / self.dim
        inner = np.where(slope == 0, loss, rising)
        ends = np.append(np.inf, self.done)[above]
        inner = np.minimum(self.done[above] + inner, ends)
        found: FloatArray = np.where(above == 0, self.done[0] + last, inner)
        return found


@lru_cache(maxsize=16)
def _law(dim: int) -> _Law:
    """The table of a dimension: some thousand nodes at most."""
    half = dim // 2 + 1  # the least j with 2j > dim
    j = np.arange(half, dim + 1, dtype=np.float64)
    # C(2m, m) / 4^m = prod_i (1 - 1/2i)
    central = math.exp(math.fsum(np.log1p(-0.5 / np.arange(1, half))))
    first = dim / 2 * central  # half C(dim, half) / 2^dim
    log_ratio = np.log1p((2 * j[:-1] - dim) / (dim - j[:-1]))  # of Psi at successive tails
    log_growth = math.log(first) - np.append(0, np.cumsum(log_ratio))
    nodes = int(np.searchsorted(-log_growth + np.log(j), -math.log(_RAREST)))
    j, growth = j[:nodes], np.exp(log_growth[:nodes])
    chance = growth / j  # P(K = j)
    middle = central if dim % 2 == 0 else 0.0  # P(K = dim / 2)
    # Each tail from the end that is closer, so that neither sum is long where it is near 0.
    from_half = 0.5 - middle / 2 - np.append(0, np.cumsum(chance[:-1]))
    tails = np.where(from_half > 0.25, from_half, np.cumsum(chance[::-1])[::-1])
    slope = 2 * j - dim
    parts = log_ratio[: nodes - 1] / slope[:-1]
    done = middle / 2 / first + np.append(0, np.cumsum(parts))
    if middle > 0:  # the node 1/2, below which Psi is constant
        tails, growth = np.append(0.5, tails), np.append(first, growth)
        slope, done = np.append(0, slope), np.append(0, done)
    return _Law(dim, tails[::-1], growth[::-1], slope[::-1], done[::-1])
