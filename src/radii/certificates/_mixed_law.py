"""How likelihood ratios of shifted mixed linf noise are distributed, by quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Literal

import numpy as np
from scipy.special import erf, erfc, ndtr, ndtri

from radii.certificates._truncated_sum import SumTable, mass, moments, reach, sum_table
from radii.noise._mixed_radius import radius_law
from radii.records import FloatArray

_REST = 46.0  # radii and gaps with a probability below exp(-46) are left out
# Ends of the pieces of the integral over rho, in logits, and nodes of each piece.
_PIECES = (-_REST, -4, 4, _REST), 14
_PIECES_FEW = (-_REST, -24, -10, -4, -1.5, 0, 1.5, 4, 10, 24, _REST), 8
_RAREST = 1e-22  # cases with a smaller probability are left out
_MANY = 250  # coordinates from which the first of these does


@dataclass(frozen=True)
class MixedLaw:
    """`L = ln f(z - delta) - ln f(z)` for z with density f, at scale 1, `delta = (r, ..., r)`.

    With `rho = ||z||_inf`, `rho' = ||z - delta||_inf` and S the sum of the coordinates, L is
    `-pole ln(rho' / rho) + r S - dim r^2 / 2`. Given rho, one coordinate is plus or minus rho, and
    the others are independent normals truncated to `[-rho, rho]`. There are three cases:

    - It is -rho. Then `rho' = rho + r`, and the other dim - 1 are as they were.
    - It is rho, and no other is below `2 r - rho`. Then `rho' = rho - r`, and the other dim - 1 are
      truncated to `[2 r - rho, rho]`.
    - It is rho, and the least is `2 c - rho` with `c < r`. Then `rho' = rho + r - 2 c`, and the
      other dim - 2 are truncated to `[2 c - rho, rho]`.

    In each case L exceeds t where a sum of truncated normals exceeds a number. What remains is an
    integral over rho, and in the third case over c, of smooth functions.
    """

    pole: float
    dim: int
    shape: ClassVar[Literal["ball", "polytope"]] = "ball"
    exponent: ClassVar[float] = 2.0

    @property
    def typical(self) -> float:
        """A typical rho."""
        log_rho, weights = self.radii
        return math.exp(weights @ log_rho)

    @cached_property
    def unit(self) -> float:
        """A length over which L changes by about one standard deviation."""
        return 1 / (math.sqrt(self.dim) + self.pole / self.typical)

    @cached_property
    def gaps(self) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights on [-1, 1] for c, more of them the faster the chances change with c."""
        steps = 2 * self.pole / (self.typical * math.sqrt(self.dim))
        place, share = np.polynomial.legendre.leggauss(16 + math.ceil(1.25 * steps))
        return place, share

    def exceeds(self, r: FloatArray, t: FloatArray) -> FloatArray:
        """`P(L > t)` for a shift of length r, both `(*batch,)`; `r > 0`."""
        out = np.empty(r.shape)
        for length in np.unique(r):
            at = r == length
            out[at] = sum(part.exceeds(t[at]) for part in _parts(self, float(length)))
        return out

    @cached_property
    def radii(self) -> tuple[FloatArray, FloatArray]:
        """Nodes of ln rho, and weights that add up to 1."""
        law = radius_law(self.pole, self.dim)
        pieces, nodes = _PIECES if self.dim > _MANY else _PIECES_FEW
        place, share = np.polynomial.legendre.leggauss(nodes)
        cuts = np.interp(pieces, law.logit, law.x)
        half = np.diff(cuts)[:, None] / 2
        x = (cuts[:-1, None] + half * (1 + place)).ravel()
        rho = np.exp(x)
        log_density = (1 - self.pole) * x - rho**2 / 2
        log_density += (self.dim - 1) * np.log1p(-erfc(rho / math.sqrt(2)))
        weights = (half * share).ravel() * np.exp(log_density - log_density.max())
        return x, weights / weights.sum()

    def widest(self, rho: FloatArray) -> FloatArray:
        """The c such that the least of the others is above `2 c - rho` with chance exp(-46)."""
        passed = -math.expm1(-_REST / (self.dim - 1)) * erf(rho / math.sqrt(2))
        return np.asarray((rho + ndtri(ndtr(-rho) + passed)) / 2)

    @cached_property
    def sums(self) -> tuple[SumTable, SumTable]:
        """Tables of sums of dim - 1 and of dim - 2 truncated normals."""
        log_rho = self.radii[0]
        return (
            sum_table(self.dim - 1, log_rho, self.widest),
            sum_table(self.dim - 2, log_rho, self.widest),
        )


@dataclass(frozen=True, eq=False)
class _Part:
    """Cases, each with a sum that must be z standard deviations above its mean.

    Attributes:
        weights: `(cases,)` probabilities.
        start: `(cases,)` z for a log ratio of 0, over `reach`.
        slope: `(cases,)`. By how much that grows with the log ratio.
        reach: `(cases,)` largest |z| in the table.
        coefficients: `(powers, cases)` of the correction that turns z into a quantile.
    """

    weights: FloatArray
    start: FloatArray
    slope: FloatArray
    reach: FloatArray
    coefficients: FloatArray

    def exceeds(self, t: FloatArray) -> FloatArray:
        """Probability of these cases with a log ratio above t, `(*batch,)`."""
        place = self.start + self.slope * t[..., None]
        inside = np.clip(place, -1, 1)
        score = np.zeros(place.shape)
        for coefficient in self.coefficients[::-1]:
            score *= inside
            score += coefficient
        score += place * self.reach
        return np.asarray(ndtr(-score) @ self.weights)


@lru_cache(maxsize=256)
def _parts(law: MixedLaw, r: float) -> tuple[_Part, ...]:
    """The three cases of `MixedLaw` for a shift of length r."""
    log_rho, chances = law.radii
    rho, dim = np.exp(log_rho)[:, None], law.dim
    widest, whole = law.widest(rho), mass(-rho, rho)

    def part(
        sums: SumTable, c: FloatArray, chance: FloatArray, known: FloatArray, log_growth: FloatArray
    ) -> _Part:
        """Cases with others in `[2 c - rho, rho]`, which with `known` add up to S."""
        low, weights = 2 * c - rho, chances[:, None] / 2 * chance
        mean, deviation = moments(low, rho)
        furthest = reach(sums.n, low, rho)
        scale = math.sqrt(sums.n) * deviation * furthest
        needed = dim * r / 2 + law.pole * log_growth / r - known - sums.n * mean
        kept = weights > _RAREST
        return _Part(
            weights[kept],
            (needed / scale)[kept],
            (1 / (r * scale))[kept],
            furthest[kept],
            sums.at(c / widest)[:, kept],
        )

    most, fewer = law.sums
    zero, top = np.zeros(rho.shape), np.minimum(r, widest)
    reached = r < widest  # else the second case has a probability below exp(-46)
    beyond = np.where(reached, (mass(2 * top - rho, rho) / whole) ** (dim - 1), 0)
    place, share = law.gaps
    c = top * (1 + place) / 2
    left = mass(2 * c - rho, rho) / whole
    density = (dim - 1) * left ** (dim - 2) * np.exp(-((2 * c - rho) ** 2) / 2) / whole
    chance = density * math.sqrt(2 / math.pi) * top / 2 * share
    return (
        part(most, zero, zero + 1, -rho, np.log1p(r / rho)),
        part(most, top, beyond, rho, np.log1p(-np.where(reached, r / rho, 0))),
        part(fewer, c, chance, 2 * c, np.log1p((r - 2 * c) / rho)),
    )
