"""What the functional certificates of radial noise share: the theorem and the quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from radii.certificates._functional import functional_radius
from radii.certificates._radial_differential import RadialDifferential
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

    Every approximation errs low. Values of the quadrature are good to 10 digits, and radii are
    read off tables of them. When a table is made it is compared with the quadrature between its
    nodes, and lowered by twice what it says too much: a check, and not a proof for every radius
    between. For pB = 1 - pA the check is at three places in each gap of a spline, and radii are
    lowered by 1e-6 in any case (by 1e-2 where pA - 1/2 is below 1e-5 or so). Where pB is less than
    1 - pA, it is at hundreds of points, and radii are lowered by 4e-4 in any case (by 1e-2 where
    they are below a thousandth of the largest, that for pA near 1 - 1e-16), by up to a few percent
    for dim - pole below 100 or so and probabilities beyond 1e-8, and by more for a pB beyond 1e-9
    or so, where curves of the table end: a tenth, at the worst of 450 points that were compared
    with 50 digits. For pA above 1 - 1.2e-16, or for pB = 0, it is the finite radius of that
    probability. The table for two classes ends at pA = 1e-8. Where this falls below the radius of
    the differential certificate of the same norm, which is never above the true one, the answer is
    that.

    Attributes:
        shape: Of the ball of the norm, as the law of L sees it.
        differential: The differential certificate of the same norm.
    """

    noise: Radial
    dim: int
    tight: ClassVar[bool] = True
    shape: ClassVar[Literal["ball", "polytope"]]
    differential: ClassVar[type[RadialDifferential]]

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
        radius = self.noise.scale * functional_radius(law, bounds)
        if 0 < self.noise.pole == self.dim - 1:  # where there is no differential certificate
            return radius
        return np.maximum(radius, self.differential(self.noise, self.dim).radius(bounds))
