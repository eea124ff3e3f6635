"""How fast a set of given mass can grow, and the radius that follows, from the law of the slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from radii.certificates._atoms import Atoms
from radii.records import FloatArray

_LEAST = 1e-300  # probabilities below it are taken as this
# Normal quantiles of the masses at which tangents are kept.
_QUANTILES = np.append(-np.geomspace(37, 10, 1001)[:-1], np.linspace(-10, 0, 8000))


@dataclass(frozen=True, eq=False)
class Growth:
    """A bound above `Psi(p) = sup E[phi G]` over `0 <= phi <= 1` of mean p, and its integral.

    For every t, `Psi(p) <= t p + E max(G - t, 0)`, with equality at the quantile t of G. So `Atoms`
    give a bound: what the highest mass p of the atoms holds, plus their `rest`. It is linear
    between knots. Where there are too many of them, tangents take their place, which lie above.

    Attributes:
        mass: `(knots,)`, increasing from 0 to 1/2.
        height: `(knots,)` the bound on Psi.
        slope: `(knots - 1,)` its derivative above each knot but the last.
        done: `(knots,)` integral of `dp / Psi(p)` from each knot to 1/2.
    """

    mass: FloatArray
    height: FloatArray
    slope: FloatArray
    done: FloatArray

    @classmethod
    def of(cls, law: Atoms) -> Growth:
        """The bound for a law that is symmetric about 0 and has these atoms above 0."""
        order = np.argsort(-law.values, kind="stable")
        values, weights = law.values[order], law.weights[order]
        counts = weights > _LEAST
        rest = law.rest + float(values[~counts] @ weights[~counts])
        values, weights = values[counts], weights[counts]
        mass = np.append(0, np.cumsum(weights))
        height = np.append(0, np.cumsum(weights * values))
        kept = np.arange(len(mass))
        if len(kept) > len(_QUANTILES):
            kept = np.unique(np.append(np.searchsorted(mass, ndtr(_QUANTILES)), kept[[0, -1]]))
            kept = kept[kept < len(mass)]
        mass, height = mass[kept], height[kept]
        # Between two masses: the tangent at the one, up to the tangent at the other.
        high, low = values[kept[:-1]], values[kept[1:] - 1]
        step, rise = np.diff(mass), np.diff(height)
        fall = np.where(high > low, high - low, 1)
        share = np.where(high > low, np.clip((rise - low * step) / fall, 0, step), 0)
        knots = np.stack([mass[:-1], mass[:-1] + share], axis=1).ravel()
        heights = np.stack([height[:-1], height[:-1] + high * share], axis=1).ravel()
        ends, level = np.array([mass[-1], 0.5]), np.repeat(height[-1], 2)
        return cls._through(np.append(knots, ends), np.append(heights, level), rest)

    @classmethod
    def _through(cls, mass: FloatArray, height: FloatArray, rest: float) -> Growth:
        """Linear between points of increasing mass; all beyond 1/2 count as one at 1/2."""
        mass, height = np.minimum(mass, 0.5), np.maximum.accumulate(height) + rest
        last = np.append(np.diff(mass) > 0, True)  # of those with one mass
        mass, height = mass[last], height[last]
        width = np.diff(mass)
        slope = np.diff(height) / width
        parts = _integral(width, height[1:], height[:-1])
        return cls(mass, height, slope, np.append(np.cumsum(parts[::-1])[::-1], 0))

    def integral(self, q: FloatArray) -> FloatArray:
        """Integral of `dp / Psi(p)` from q in [0, 1/2] to 1/2, erring low."""
        q = np.maximum(q, _LEAST)
        below = np.minimum(np.searchsorted(self.mass, q, side="right"), len(self.mass) - 1) - 1
        above = below + 1
        bottom = self.height[below] + self.slope[below] * (q - self.mass[below])
        part = _integral(self.mass[above] - q, self.height[above], bottom)
        found: FloatArray = np.minimum(self.done[above] + part, self.done[below])
        return found


def _integral(width: FloatArray, top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Integral of `1/h` over a width on which h falls linearly from `top` to `bottom`."""
    fall = (top - bottom) / top
    even = fall < 1e-9
    with np.errstate(divide="ignore"):
        mean = np.where(fall < 0.5, -np.log1p(-np.minimum(fall, 0.5)), np.log(top / bottom))
    integral: FloatArray = width / top * np.where(even, 1, mean / np.where(even, 1, fall))
    return integral
