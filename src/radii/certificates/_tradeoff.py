"""What a set keeps when the noise moves: the trade-off function of a noise and its shift."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from radii.records import FloatArray, IntArray

_STEPS = 80  # of a search for a root, far more than it takes


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
    """The t with `P(L > t) = u`, to a few digits: all that `dual` needs."""
    shape = r.shape
    r, wanted = r.ravel(), quantile(law, np.broadcast_to(u, shape)).ravel()

    def excess(at: IntArray, t: FloatArray) -> FloatArray:
        chance = np.clip(law.exceeds(r[at], t), 1e-300, 1 - 1e-16)
        return np.asarray(quantile(law, chance) - wanted[at])

    everywhere = np.arange(r.size)
    low, high = -r / law.unit, r / law.unit
    above, below = excess(everywhere, low), excess(everywhere, high)
    for _ in range(60):
        at = np.flatnonzero((above < 0) | (below > 0))
        if not at.size:
            break
        low[at], high[at] = 2 * low[at], 2 * high[at]
        above[at], below[at] = excess(at, low[at]), excess(at, high[at])
    best = np.where(above < -below, low, high)
    least = np.minimum(np.abs(above), np.abs(below))
    at = everywhere
    for step in range(_STEPS):  # false position as in the Illinois method, now and then a bisection
        wide = high[at] - low[at] > 1e-12 * np.abs(best[at])
        at = at[(least[at] > 1e-5 * r[at] / law.unit) & wide]
        if not at.size:
            break
        t = (low[at] + high[at]) / 2
        if step % 4 != 3:
            span = np.minimum(below[at] - above[at], -1e-300)
            t = (low[at] * below[at] - high[at] * above[at]) / span
            t = np.clip(t, low[at], high[at])
        error = excess(at, t)
        left = error > 0
        low[at], high[at] = np.where(left, t, low[at]), np.where(left, high[at], t)
        below[at] = np.where(left, below[at] / 2, error)
        above[at] = np.where(left, error, above[at] / 2)
        closer = np.abs(error) < least[at]
        best[at] = np.where(closer, t, best[at])
        least[at] = np.where(closer, np.abs(error), least[at])
    return best.reshape(shape)
