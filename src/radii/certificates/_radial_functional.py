"""What the functional certificates of radial noise share: the theorem and the quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from radii.certificates._functional import functional_radius
from radii.certificates._radial_law import RadialLaw
from radii.certificates.base import Certificate
from radii.noise.base import Noise
from radii.noise.radial import Radial
from radii.records import ClassBounds, FloatArray


@dataclass(frozen=True)
class RadialFunctional(Certificate):
    """The largest radius at which no classifier flips, by quadrature at the worst shift.

    Covers `radial` noise of the certificate's own norm and an exponent from 0.5 to 2. With L the
    log of the ratio of the shifted density to the density, and pB = 1 - pA, the radius is that at
    which the pA-quantile of L is minus its median.

    The worst shift in the ball is an extreme point of it. Proof: for every c > 0, the integral of
    `min(f(z - delta), c f(z))` is an integral over t of the volume of `{f(. - delta) > t}` within
    `{c f > t}`. Both sets are balls of the norm, convex and symmetric, so the volume is a
    quasi-concave function of delta (Brunn and Minkowski) and least at an extreme point of the ball,
    the same at all of them by symmetry. So every such integral, and with them what a set of given
    mass keeps, is least there, and falls as the radius grows.

    Every approximation errs low. The radius is read off a spline through values that are good to
    10 digits, and lowered by a share of 1e-6 (1e-5 where dim - pole is below 64, 1e-2 where pA -
    1/2 is below 1e-5 or so). Where pB is less than 1 - pA it is lowered by 1e-3 and by an estimate
    of the error of an interpolation. For pA above 1 - 1.2e-16, or for pB = 0, it is the finite
    radius of that probability.

    Attributes:
        shape: Of the ball of the norm, as the law of L sees it.
    """

    noise: Radial
    dim: int
    tight: ClassVar[bool] = True
    shape: ClassVar[Literal["ball", "polytope"]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim < 2:
            raise ValueError(f"dim must be at least 2, got {self.dim!r}")
        if self.noise.pole > self.dim - 1:
            raise ValueError(
                f"pole must be at most dim - 1 for this certificate, got {self.noise.pole!r} "
                f"with dim={self.dim}; lower the pole"
            )

    @classmethod
    def covers(cls, noise: Noise) -> bool:
        """Whether it is `radial` noise of this norm, with an exponent that was tested."""
        return isinstance(noise, Radial) and noise.norm == cls.norm and 0.5 <= noise.exponent <= 2

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        law = RadialLaw(self.noise.exponent, self.noise.pole, self.dim, self.shape)
        return self.noise.scale * functional_radius(law, bounds)
