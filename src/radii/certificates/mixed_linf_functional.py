"""The functional linf radius of mixed noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates._dimension import check_dim
from radii.certificates._functional import functional_radius
from radii.certificates._mixed_law import MixedLaw
from radii.certificates._mixed_pairs import pair_radius
from radii.certificates._mixed_plane import MixedPlaneLaw
from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.gaussian_linf import GaussianLinf
from radii.noise.gaussian import Gaussian
from radii.noise.mixed_linf import MixedLinf
from radii.records import ClassBounds, FloatArray, Norm

_LEAST = 1.2e-16  # probabilities below it are taken as this
_MARGIN = 3e-6  # share by which radii are lowered, beyond what `functional_radius` does
_FEWEST = 64  # coordinates of an input, or 2
_STEEPEST = 40.0  # of pole / sqrt(dim)


@CERTIFICATES.register("mixed_linf_functional")
@dataclass(frozen=True)
class MixedLinfFunctional(Certificate):
    """The radius at which the pA-quantile of the log density ratio is minus its median.

    This is for pB = 1 - pA, with the ratio of the density shifted by `(r, ..., r)` to the density.
    In general it is the largest r at which every set of mass pA keeps more than any set of mass pB
    comes to. Without a pole this is `gaussian_linf`, and its formula is used.

    `(r, ..., r)` is the worst shift in the ball. Proof: for every c > 0 let `F(delta)` be the
    integral of `min(f(z - delta), c f(z))`. With all coordinates but one held fixed, both terms are
    even functions of that coordinate about `delta_i` and 0, that fall on both sides: f is even in
    each coordinate and falls with its size. So `F` is an integral over t of the length that two
    intervals around `delta_i` and 0 share, and falls as `|delta_i|` grows. Hence it is least at the
    corners of the ball, the same at all of them by symmetry, and falls as r grows. What a set of
    given mass keeps is least where every such integral is (Lagrange's dual, Neyman and Pearson).

    Every approximation errs low. The law of the ratio is an integral over one or two variables,
    good to about 9 digits (6 in 64 dimensions). For pB = 1 - pA the radius is read off a table as
    in `RadialFunctional`, and lowered by a further share of 3e-6. Where pB is less, it is read off
    another table, which is compared with the integral between its nodes and made to err low: by
    2e-4 to 3e-3 for poles up to 4 sqrt(dim), by up to 5e-2 for larger ones and in 2 dimensions, and
    there by more next to a tie. For pA above 1 - 1.2e-16, or for pB = 0, it is the finite radius of
    that probability. Where pA is below 1e-3 it may be 0.

    With a pole it needs 2 dimensions and a pole of at most 0.5, or at least 64 dimensions and a
    pole of at most dim / 2 and 40 sqrt(dim): beyond that it was not tested, and refuses.

    Attributes:
        dim: Number of coordinates of an input.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, section 3, Theorem 3 and section 5.2.

    Example:
        >>> certificate = MixedLinfFunctional(MixedLinf(sigma=0.5, pole=100.0), dim=3072)
        >>> round(float(certificate.radius(ClassBounds.one_sided(0.8))), 4)
        0.0065
    """

    noise: MixedLinf
    dim: int
    norm: ClassVar[Norm] = "linf"
    tight: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dim(self.dim)
        pole = self.noise.pole
        if pole == 0:
            return
        if self.dim != 2 and self.dim < _FEWEST:
            raise ValueError(
                f"dim must be 2 or at least {_FEWEST} for mixed noise with a pole, got {self.dim!r}"
            )
        most = 0.5 if self.dim == 2 else min(self.dim / 2, _STEEPEST * self.dim**0.5)
        if pole > most:
            raise ValueError(
                f"pole must be at most {most:g} for this certificate with dim={self.dim}, "
                f"got {pole!r}; lower the pole"
            )

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        if self.noise.pole == 0:
            pA = np.minimum(bounds.pA_lower, 1 - _LEAST)
            pB = np.maximum(bounds.pB_upper, _LEAST)
            return GaussianLinf(Gaussian(self.noise.sigma), self.dim).radius(ClassBounds(pA, pB))
        plane = self.dim == 2
        law = MixedPlaneLaw(self.noise.pole) if plane else MixedLaw(self.noise.pole, self.dim)
        return self.noise.sigma * (1 - _MARGIN) * functional_radius(law, bounds, pair_radius)
