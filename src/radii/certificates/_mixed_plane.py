"""How likelihood ratios of shifted mixed linf noise are distributed for inputs of two numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from scipy.special import ndtr, wrightomega

from radii.certificates._search import bisect
from radii.noise._mixed_radius import radius_law
from radii.records import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# Nodes that crowd at both ends of a piece, so that roots of the distance to an end do no harm.
_STEP = (1 - np.cos((1 + _NODES) * np.pi / 2)) / 2
_SHARE = np.sin((1 + _NODES) * np.pi / 2) * np.pi / 4 * _WEIGHTS
_PIECES = np.array([-46, -25, -12, -5, -2, 0, 2, 4, 7, 12, 20, 46])  # in logits of the law of rho


@dataclass(frozen=True)
class MixedPlaneLaw:
    """`L = ln f(z - delta) - ln f(z)` for z with density f, at scale 1, `delta = (r, r)`.

    The three cases of `MixedLaw`, with one coordinate that is not known, or none. So each leaves
    the probability of an interval under the normal law, and an integral over rho, which is cut
    wherever an end of an interval has a kink. The pole is positive.
    """

    pole: float
    dim: ClassVar[int] = 2
    shape: ClassVar[Literal["ball", "polytope"]] = "ball"
    exponent: ClassVar[float] = 2.0
    unit: ClassVar[float] = 0.5

    @cached_property
    def _panels(self) -> FloatArray:
        """Quantiles of ln rho."""
        law = radius_law(self.pole, 2)
        return np.asarray(np.interp(_PIECES, law.logit, law.x))

    @cached_property
    def _total(self) -> float:
        """What the unnormalised density of rho integrates to."""
        rho, weights = self._quadrature(self._panels)
        return float((weights * _between(-rho, rho)).sum())

    def _quadrature(self, cuts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nodes rho and weights, for pieces of ln rho between `(*batch, pieces + 1)` cuts."""
        left, right = cuts[..., :-1, None], cuts[..., 1:, None]
        log_rho = left + (right - left) * _STEP
        log_density = (1 - self.pole) * log_rho - np.exp(2 * log_rho) / 2
        weights = (right - left) * _SHARE * np.exp(log_density)
        flat = (*cuts.shape[:-1], (cuts.shape[-1] - 1) * len(_STEP))
        return np.exp(log_rho).reshape(flat), weights.reshape(flat)

    def exceeds(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)` for a shift of length r, both `(*batch,)`; `r > 0`."""
        with np.errstate(divide="ignore"):
            cuts = np.log(np.maximum(np.stack(self._kinks(r, t), axis=-1), 1e-300))
        fixed = np.broadcast_to(self._panels, (*r.shape, len(self._panels)))
        inside = np.clip(cuts, self._panels[0], self._panels[-1])
        rho, weights = self._quadrature(np.sort(np.concatenate([inside, fixed], axis=-1), axis=-1))
        r, t = r[..., None], t[..., None]
        minus = np.clip(rho + (t + self.pole * np.log1p(r / rho)) / r + r, -rho, rho)
        closer = np.log1p(-np.where(r < rho, r / rho, 0))
        plus = np.clip((t + self.pole * closer) / r + r - rho, np.minimum(2 * r - rho, rho), rho)
        # With y = rho + r - 2 c, L exceeds t where pole ln y + r y < pole ln rho + r rho - t.
        offset = np.log(r / self.pole) + np.log(rho) + (r * rho - t) / self.pole
        least = r - self.pole * wrightomega(offset) / r
        chance = _between(minus, rho) + _between(plus, rho) * (r < rho)
        chance += _between(np.maximum(least, -rho), np.minimum(2 * r - rho, rho))
        return np.asarray((weights * chance).sum(axis=-1) / (2 * self._total))

    def _kinks(self, r: FloatArray, t: FloatArray) -> list[FloatArray]:
        """Every rho at which an interval changes which of its ends holds."""
        k = self.pole
        with np.errstate(divide="ignore", over="ignore"):
            grown = r / np.maximum(np.expm1(np.minimum(-(t + r**2) / k, 700)), 0)
            shrunk = r / np.maximum(-np.expm1(np.maximum(-(t - r**2) / k, -700)), 0)

        def rest(share: FloatArray) -> FloatArray:
            return k * np.log(share / (1 - share)) + r**2 * (2 * share - 1)

        share = bisect(lambda s: rest(s) < t, np.zeros(r.shape), np.ones(r.shape))
        far = [each + r for each in self._crossings(r, -t)]
        return [
            np.minimum(grown, 1e9),
            np.minimum(shrunk, 1e9),
            share * r,
            r,
            *self._crossings(r, t),
            *far,
        ]

    def _crossings(self, r: FloatArray, t: FloatArray) -> list[FloatArray]:
        """Both rho at which `-pole ln(1 + r/rho) - 2 r rho - r^2 = t`; it rises, then falls."""
        top = self.pole / (np.sqrt(r**2 + 2 * self.pole) + r)

        def above(rho: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
            value = -self.pole * np.log1p(r / np.maximum(rho, 1e-300)) - 2 * r * rho - r**2
            return np.asarray(value > t)

        reached = above(top)
        end = np.where(reached, np.maximum(top, (np.abs(t) + 1) / r), top)
        return [
            bisect(lambda rho: ~above(rho), np.where(reached, 0, top), top),
            bisect(above, top, end),
        ]


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    """Probability of `[low, high]` under the normal law, 0 if it is empty."""
    upper = low > 0
    gap = np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return np.asarray(np.maximum(gap, 0))
