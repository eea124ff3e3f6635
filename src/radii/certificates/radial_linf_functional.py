"""The functional linf radius of noise that depends on the linf norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from radii.certificates._radial_functional import RadialFunctional
from radii.certificates.base import CERTIFICATES
from radii.certificates.radial_linf import RadialLinf
from radii.records import Norm


@CERTIFICATES.register("radial_linf_functional")
@dataclass(frozen=True)
class RadialLinfFunctional(RadialFunctional):
    """The radius at which the pA-quantile of the log density ratio is minus its median.

    The worst shift in the ball is `(r, ..., r)`. `RadialFunctional`, which this is in linf,
    has the proof and says how the quadrature errs low. For pB = 0 the radius is finite.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, section 3 and Theorem 3.

    Example:
        >>> from radii.noise import Radial
        >>> from radii.records import ClassBounds
        >>> noise = Radial(norm="linf", scale=0.5, exponent=2.0, pole=100.0)
        >>> bounds = ClassBounds.one_sided(0.8)
        >>> round(float(RadialLinfFunctional(noise, dim=3072).radius(bounds)), 3)
        0.006
    """

    norm: ClassVar[Norm] = "linf"
    shape: ClassVar[Literal["ball", "polytope"]] = "polytope"
    differential: ClassVar[type[RadialLinf]] = RadialLinf
