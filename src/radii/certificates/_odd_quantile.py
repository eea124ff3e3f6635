"""Radii `scale/2 (H(pA) - H(pB))` with a quantile function H that is odd about 1/2.

This is the level-set method: if no set of mass p under the noise grows faster than `Psi(p)` when
the noise moves by one unit, then the mass of A, at least pA at first, and that of B, at most pB,
do not meet before the distance

    R = 1/2 integral_pB^pA dp / Psi(p) = (H(pA) - H(pB)) / 2,    H(p) = integral_1/2^p dp / Psi(p)

The complement of a set grows as the set itself shrinks, so `Psi(p) = Psi(1 - p)` for symmetric
noise, and H is odd about 1/2. With bounds that know only `pB <= 1 - pA` this is `R = H(pA)`.

Reference:
    Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the differential
    method, for pB = 1 - pA.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radii.records import ClassBounds, FloatArray


def half_gap(
    bounds: ClassBounds,
    scale: float,
    tail: Callable[[FloatArray], FloatArray],
    margin: float,
) -> FloatArray:
    """`scale/2 (H(pA_lower) - H(pB_upper))`, rounded against the radius.

    Args:
        bounds: `(*batch,)`.
        scale: Of the noise.
        tail: `H(1 - q) = -H(q)` for `(*batch,)` q in [0, 1/2]: decreasing, 0 at 1/2, and infinite
            at 0 if anywhere. It is given `1 - p` with all its digits.
        margin: Each H is moved against the radius by this share, which is to cover the relative
            error of `tail` and 3e-16 for what is done here.

    Returns:
        `(*batch,)` float64; 0 where `pA_lower <= pB_upper`.
    """
    top = _quantile(bounds.pA_lower, tail)
    other = _quantile(bounds.pB_upper, tail)
    top = top * (1 - margin * np.sign(top))
    other = other * (1 + margin * np.sign(other))
    positive = (bounds.pA_lower > bounds.pB_upper) & (top > other)
    gap = np.where(positive, top, 0.0) - np.where(positive, other, 0.0)
    return scale / 2 * gap


def _quantile(p: FloatArray, tail: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """H(p)."""
    # 1 - p is exact from one half upwards, by Sterbenz's lemma.
    size = tail(np.where(p >= 0.5, 1 - p, p))
    return np.where(p >= 0.5, size, -size)
