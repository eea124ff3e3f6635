"""How likelihood ratios of shifted radial noise are distributed, by quadrature over the radius."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.special import betainc, expit, gammainccinv, gammaincinv, gammaln, log_expit, wrightomega

from radii.certificates._search import root
from radii.records import FloatArray, IntArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# Nodes that crowd at both ends of a piece, so that roots of the distance to an end do no harm.
_STEP = (1 - np.cos((1 + _NODES) * np.pi / 2)) / 2
_SHARE = np.sin((1 + _NODES) * np.pi / 2) * np.pi / 4 * _WEIGHTS
_TAILS = np.array([1e-20, 1e-9, 1e-3, 0.2])


@dataclass(frozen=True)
class RadialLaw:
    """`L = ln f(z - delta) - ln f(z)` for z with density f, a function of one norm.

    `ln f(z) = -g(||z||) + constant` with `g(rho) = pole ln rho + rho^exponent`, at scale 1, and
    delta a vertex of the ball of radius r of the same norm. In l2 a vertex is any point of the
    sphere, in l1 a multiple of a unit vector, in linf a multiple of (1, ..., 1).

    Given `rho = ||z||`, the ratio exceeds t where `||z - delta|| < rho'` with `g(rho') = g(rho) -
    t`. In l2 this is a cap of the sphere, of Beta((dim - 1)/2, (dim - 1)/2) probability. In l1 and
    linf alike, with `c = (rho + r - rho') / (2 rho)`, it has probability `(1 - c)^(dim - 1) / 2`,
    none if `rho' <= |rho - r|`, and 1/2 more if `rho' > rho + r`. What remains is an integral over
    rho, cut at every radius at which the integrand has a kink or a jump.
    """

    exponent: float
    pole: float
    dim: int
    shape: Literal["ball", "polytope"]

    @property
    def _gamma(self) -> float:
        return (self.dim - self.pole) / self.exponent

    @cached_property
    def _panels(self) -> FloatArray:
        """Quantiles of `ln rho` at probabilities from 1e-20 to 1 - 1e-20."""
        gamma = self._gamma
        lowest = (np.log(_TAILS) + gammaln(gamma + 1)) / gamma  # exact in the limit of small x
        low = np.log(np.maximum(gammaincinv(gamma, _TAILS), 1e-290))
        high = np.log(gammainccinv(gamma, _TAILS[::-1]))
        return np.concatenate([np.where(lowest < -50, lowest, low), high]) / self.exponent

    @cached_property
    def unit(self) -> float:
        """A length over which the likelihood ratio changes by about one standard deviation."""
        rho = math.exp((self._panels[3] + self._panels[4]) / 2)
        slope = self.pole / rho + self.exponent * rho ** (self.exponent - 1)
        return float(math.sqrt(self.dim) / slope if self.shape == "ball" else 1 / slope)

    @cached_property
    def _log_mass(self) -> float:
        """Log of what the unnormalised density integrates to."""
        return float(np.log(self._quadrature(self._panels, 0.0)[1].sum()))

    def _quadrature(self, cuts: FloatArray, log_mass: float) -> tuple[FloatArray, FloatArray]:
        """Nodes rho and weights, for pieces of `ln rho` between `(*batch, pieces + 1)` cuts."""
        left, right = cuts[..., :-1, None], cuts[..., 1:, None]
        log_rho = left + (right - left) * _STEP
        log_power = self.exponent * log_rho
        gamma = self._gamma
        log_density = gamma * (log_power - math.log(gamma) + 1) - np.exp(log_power)
        weights = (right - left) * _SHARE * np.exp(log_density - log_mass)
        flat = (*cuts.shape[:-1], -1)
        return np.exp(log_rho).reshape(flat), weights.reshape(flat)

    def exceeds(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)` for a shift of length r, both `(*batch,)`; `r > 0`."""
        shape = np.broadcast_shapes(r.shape, t.shape)
        r, t = (np.broadcast_to(values, shape).ravel() for values in (r, t))
        top = self._largest_gap(r)
        cuts = [
            *self._crossings(r, t, top),
            *(np.logaddexp(cut, np.log(r)) for cut in self._crossings(r, -t, top)),
            self._inner_crossing(r, t),
            np.log(r),
        ]
        fixed = np.broadcast_to(self._panels, (*r.shape, len(self._panels)))
        inside = np.clip(np.stack(cuts, axis=-1), self._panels[0], self._panels[-1])
        rho, weights = self._quadrature(
            np.sort(np.concatenate([inside, fixed], axis=-1), axis=-1), self._log_mass
        )
        used = weights > 0  # where cuts fall together nothing lies between them
        chance = np.zeros(used.shape)
        r, t = (np.broadcast_to(values[..., None], used.shape)[used] for values in (r, t))
        chance[used] = self._chance(rho[used], r, t)
        return np.asarray((weights * chance).sum(axis=-1).reshape(shape))

    def _chance(self, rho: FloatArray, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)` given that the norm is rho."""
        closer = self._closer(rho, t)
        if self.shape == "ball":
            cosine = (r**2 + closer * (2 * rho - closer)) / (2 * rho * r)
            half = (self.dim - 1) / 2
            return np.asarray(betainc(half, half, (1 - np.clip(cosine, -1, 1)) / 2))
        c = np.clip((r + closer) / (2 * rho), 0, 1)
        reached = closer < np.where(rho > r, r, 2 * rho - r)
        return np.asarray(((1 - c) ** (self.dim - 1) * reached + (closer < -r)) / 2)

    def _closer(self, rho: FloatArray, t: FloatArray) -> FloatArray:
        """`rho - rho'` with `g(rho') = g(rho) - t`; rho where no radius is that small."""
        power = rho**self.exponent
        c = self.pole / self.exponent
        if c == 0:
            drop = np.minimum(t, power)
        else:
            left = c * wrightomega(np.log(power / c) + (power - t) / c)
            drop = power - left
            for _ in range(2):  # Newton's steps on the drop itself, which keeps its digits
                drop = np.minimum(drop, power * (1 - 1e-15))
                error = drop - t - c * np.log1p(-drop / power)
                drop = drop - error / (c / (power - drop) + 1)
            drop = np.where(left < 1e-9 * power, power - left, np.minimum(drop, power))
        with np.errstate(divide="ignore"):
            closer: FloatArray = -rho * np.expm1(np.log1p(-drop / power) / self.exponent)
        return closer

    def _largest_gap(self, r: FloatArray) -> FloatArray:
        """The `ln rho` at which `g(rho) - g(rho + r)` is largest: it rises, then falls."""

        def slope(log_rho: FloatArray, at: IntArray) -> FloatArray:
            rho, q = np.exp(log_rho), self.exponent
            pull = self.pole * r[at] / (rho + r[at])
            return np.asarray(pull - q * rho * _gained(log_rho, r[at], q - 1))

        return root(slope, *self._ends(r))

    def _crossings(self, r: FloatArray, t: FloatArray, top: FloatArray) -> list[FloatArray]:
        """Both `ln rho` at which `g(rho) - g(rho + r) = t`, on either side of its largest."""

        def over(log_rho: FloatArray, at: IntArray) -> FloatArray:
            growth = np.log1p(r[at] / np.exp(log_rho))
            return -self.pole * growth - _gained(log_rho, r[at], self.exponent) - t[at]

        low, high = self._ends(r)
        return [root(lambda x, at: -over(x, at), low, top), root(over, top, high)]

    def _ends(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`ln rho` between which crossings matter: from well below what occurs."""
        return np.full(r.shape, self._panels[0] - 5), np.full(r.shape, self._panels[-1])

    def _inner_crossing(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """The `ln rho` below `ln r` at which `g(rho) - g(r - rho) = t`."""
        power = np.exp(np.minimum(self.exponent * np.log(r), 600))

        def under(logit: FloatArray, at: IntArray) -> FloatArray:
            near, rest = expit(logit) ** self.exponent, expit(-logit) ** self.exponent
            return np.asarray(t[at] - self.pole * logit - power[at] * (near - rest))

        # Logits of all floats in (0, 1).
        logit = root(under, np.full(r.shape, -690.0), np.full(r.shape, 37.0))
        return np.asarray(np.log(r) + log_expit(logit))


def _gained(log_rho: FloatArray, r: FloatArray, power: float) -> FloatArray:
    """`(rho + r)^power - rho^power`, or something large where that is no number."""
    growth = np.log1p(r / np.exp(log_rho))
    log_sum = np.minimum(power * (log_rho + growth), 600)
    return np.asarray(-np.exp(log_sum) * np.expm1(-power * growth))
