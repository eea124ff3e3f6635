"""What the differential certificates of radial noise share: the theorem and its evaluation."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from radii.certificates._atoms import Atoms
from radii.certificates._dimension import check_dim
from radii.certificates._direction import coordinate, sign, sum_of_signs
from radii.certificates._growth import Growth
from radii.certificates._odd_quantile import half_gap
from radii.certificates._radial_slope import ExponentialSlope, PowerSlope, slope_atoms
from radii.certificates.base import Certificate
from radii.noise._spheres import SphereNorm
from radii.noise.base import Noise
from radii.noise.radial import Radial
from radii.noise.radial_power import RadialPower
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-9
_ATOMS = 1_000_000  # of the law of the slope along the worst direction
_BINS = 8000  # at most, of a law that is one of its factors
_ANGLES = 4000  # the same for the angle in l2

# Norms in which noise that depends on a norm is certified.
_COVERED: dict[SphereNorm, tuple[Norm, ...]] = {
    "l1": ("l1", "linf"),
    "l2": ("l1", "l2", "linf"),
    "linf": ("l1", "linf"),
}


@dataclass(frozen=True)
class RadialDifferential(Certificate):
    """`R = 1/2 integral over [pB_upper, pA_lower] of dp / Psi(p)` for density `exp(-g(||z||))`.

    Psi(p) is the greatest rate at which a set of mass p can grow. Proof: when the noise moves along
    v, a set U grows at the rate `integral over U of <-grad f, v> = E[1_U G]`, where `G = g'(rho)
    <grad ||z||, v>` and rho = ||z||. That is at most `Psi_v(p)`, the largest `E[phi G]` over `0 <=
    phi <= 1` of mean p: what G brings on its highest mass p. As a supremum of functions that are
    linear in v it is convex in v, so in a ball it is largest at an extreme point, and by symmetry
    of the noise the same at all of them: `e_1` in l1, any unit vector in l2, `(1, ..., 1)` in linf.
    `_odd_quantile` has the step from Psi to R. The factor of g'(rho) is independent of rho:

    - noise of l1: in l1 a sign, in linf a sum of `dim` independent signs;
    - noise of l2: one coordinate of a uniform point of the sphere, times `sqrt(dim)` in linf;
    - noise of linf: in linf a sign, in l1 a sign on an event of probability `1/dim`, else 0.

    Moving the noise is differentiable in this way if the density and its gradient are integrable,
    which wants `pole < dim - 1`, or no pole.

    Covers exponents from 0.25 to 16. Psi errs high, so the radius errs low: the laws of both
    factors are replaced by wider ones on atoms (`_atoms`). For pA up to 1 - 1e-12 this costs 1e-4
    of the radius or less, and 5e-6 where one factor is a sign, if dim - pole is at least 1.1, or a
    times exponent at least 1.1 dim; nearer to where the noise ends to exist it costs more. The
    mass of tails below 1e-21, where there are no atoms, is counted whole at every p. For pB = 0 the
    radius is that of 1e-300, so it is finite.
    """

    noise: Radial | RadialPower
    dim: int
    tight: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dim(self.dim)
        if isinstance(self.noise, RadialPower):
            self.noise.beta_shapes(self.dim)
        elif self.noise.pole > 0 and self.noise.pole >= self.dim - 1:
            raise ValueError(
                f"pole must be below dim - 1 for this certificate, got {self.noise.pole!r} "
                f"with dim={self.dim}; lower the pole"
            )

    @classmethod
    def covers(cls, noise: Noise) -> bool:
        """Whether the theorem is worked out for its norm, and its exponent was tested."""
        kind = typing.get_type_hints(cls)["noise"]
        if not isinstance(noise, kind):
            return False
        return cls.norm in _COVERED[noise.norm] and 0.25 <= noise.exponent <= 16

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        noise, dim = self.noise, self.dim
        law: ExponentialSlope | PowerSlope
        if isinstance(noise, Radial):
            law = ExponentialSlope(noise.exponent, noise.pole, dim)
        else:
            law = PowerSlope(noise.exponent, noise.a, dim)
        growth = _growth(law, noise.norm, self.norm)
        longer = math.sqrt(dim) if (noise.norm, self.norm) == ("l2", "linf") else 1.0
        return half_gap(bounds, noise.scale / longer, growth.integral, _MARGIN)


@lru_cache(maxsize=64)
def _growth(law: ExponentialSlope | PowerSlope, sphere: SphereNorm, norm: Norm) -> Growth:
    """The bound on Psi at scale 1, in l2 for a direction of length 1."""
    factor = _factor(law, sphere, norm)
    bins = min(_ATOMS // len(factor.values), _BINS)
    return Growth.of(slope_atoms(law, bins).times(factor))


def _factor(law: ExponentialSlope | PowerSlope, sphere: SphereNorm, norm: Norm) -> Atoms:
    if sphere == "l2" and law.dim > 1:
        # As many atoms as make the errors of both factors alike.
        rough = slope_atoms(law, 200).dispersion
        return coordinate(law.dim, min(int(math.sqrt(_ATOMS / (6 * rough + 1e-9))), _ANGLES))
    if (sphere, norm) == ("l1", "linf"):
        return sum_of_signs(law.dim)
    return sign(1 / law.dim if (sphere, norm) == ("linf", "l1") else 1.0)
