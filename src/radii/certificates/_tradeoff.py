"""What a set keeps when the noise moves: the trade-off function of a noise and its shift."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from radii.certificates._search import BoolArray, bisect
from radii.records import FloatArray, IntArray

_DOUBLINGS = 60  # of an interval, far more than a root takes
_REACH = 11.0  # log of the longest shift that is looked for, over the unit of the law
_RAREST = 1e-16  # what is less is taken as this, or a little more


class ShiftLaw(Protocol):
    """How `L = ln f(z - delta) - ln f(z)` is distributed, for z with a symmetric density f.

    delta is the worst shift of its length, and the scale of the noise is 1. A law can be hashed,
    and equal laws are the same law: tables are kept by it.

    Attributes:
        shape: "ball" where ratios are nearly normal, "polytope" where they are nearly those of
            Laplace noise. It chooses the coordinates of the tables, and no more.
        dim: Number of coordinates of an input.
        pole: Of the density at the origin.
        exponent: Of the norm in the density.
        unit: A length over which L changes by about one standard deviation.
    """

    @property
    def shape(self) -> Literal["ball", "polytope"]: ...
    @property
    def dim(self) -> int: ...
    @property
    def pole(self) -> float: ...
    @property
    def exponent(self) -> float: ...
    @property
    def unit(self) -> float: ...

    def __hash__(self) -> int: ...

    def exceeds(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)` for a shift of length r, both `(*batch,)`; `r > 0`. Good to 10 digits."""
        ...


def quantile(law: ShiftLaw, p: FloatArray) -> FloatArray:
    """A quantile function in which `T_r` is nearly a shift by a multiple of r.

    That of the normal law for a ball, and of the Laplace law otherwise, where for Gaussian and
    Laplace noise it is one exactly.
    """
    if law.shape == "ball":
        return np.asarray(ndtri(p))
    small = np.maximum(np.minimum(p, 1 - p), 1e-300)
    return np.asarray(np.copysign(np.log(2 * small), p - 0.5))


def probability(law: ShiftLaw, x: FloatArray) -> FloatArray:
    """The inverse of `quantile`."""
    if law.shape == "ball":
        return np.asarray(ndtr(x))
    half = np.exp(-np.abs(x)) / 2
    return np.asarray(np.where(x < 0, half, 1 - half))


def kept(law: ShiftLaw, r: FloatArray, u: FloatArray) -> FloatArray:
    """`T_r(u)`: the least mass around delta of a set that has mass `1 - u` around 0.

    Args:
        law: Of the noise.
        r: `(*batch,)`, positive.
        u: `(*batch,)`, in (0, 1).
    """
    return dual(law, r, u, worst_ratio(law, r, u))


def dual(law: ShiftLaw, r: FloatArray, u: FloatArray, t: FloatArray) -> FloatArray:
    """A bound below `T_r(u)`, for any t: `S(-t) - exp(t) (u - S(t))` with `S(t) = P(L > t)`.

    It is Lagrange's dual, with the symmetry of the noise, and an equality where `S(t) = u`. So an
    error in t only lowers it, and to second order.
    """
    return np.asarray(law.exceeds(r, -t) - np.exp(t) * (u - law.exceeds(r, t)))


def worst_ratio(law: ShiftLaw, r: FloatArray, u: FloatArray) -> FloatArray:
    """The t with `P(L > t) = u`, to a few digits: all that `dual` needs. By Ridders' method."""
    shape = r.shape
    r, wanted = r.ravel(), quantile(law, np.broadcast_to(u, shape)).ravel()
    size = r / law.unit

    def excess(at: IntArray, t: FloatArray) -> FloatArray:
        chance = np.clip(law.exceeds(r[at], t), 1e-300, 1 - 1e-16)
        return np.asarray(quantile(law, chance) - wanted[at])

    def narrow(at: IntArray, t: FloatArray) -> FloatArray:
        """Makes each t an end."""
        error = excess(at, t)
        left, here = error > 0, (t, error)
        low[at], above[at] = np.where(left, here, (low[at], above[at]))
        high[at], below[at] = np.where(left, (high[at], below[at]), here)
        return error

    everywhere = np.arange(r.size)
    low, high = -size, +size
    above, below = excess(everywhere, low), excess(everywhere, high)
    for _ in range(_DOUBLINGS):
        at = np.flatnonzero((above < 0) | (below > 0))
        if not at.size:
            break
        low[at], high[at] = 2 * low[at], 2 * high[at]
        above[at], below[at] = excess(at, low[at]), excess(at, high[at])
    while True:
        far = np.minimum(above, -below) > 1e-5 * size
        at = np.flatnonzero(far & (high - low > 1e-12 * (size + np.abs(low))))
        if not at.size:
            return np.where(above < -below, low, high).reshape(shape)
        half, span = (high[at] - low[at]) / 2, above[at] * below[at]
        middle = low[at] + half
        error = narrow(at, middle)
        narrow(at, middle + half * error / np.sqrt(error**2 - span))


@lru_cache(maxsize=64)
def largest_shift(law: ShiftLaw) -> float:
    """A length at which a set of mass 1/2 keeps `_RAREST`."""

    def keeps(log_r: FloatArray) -> BoolArray:
        return np.asarray(kept(law, np.exp(log_r), np.full(log_r.shape, 0.5)) > _RAREST)

    least = np.log([law.unit])
    return float(np.exp(bisect(keeps, least, least + _REACH, steps=14))[0])
