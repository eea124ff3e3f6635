"""The functional l1 radius of noise that depends on the l1 norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from radii.certificates._radial_functional import RadialFunctional
from radii.certificates.base import CERTIFICATES
from radii.certificates.radial_l1 import RadialL1
from radii.records import Norm


@CERTIFICATES.register("radial_l1_functional")
@dataclass(frozen=True)
class RadialL1Functional(RadialFunctional):
    """The radius at which the pA-quantile of the log density ratio is minus its median.

    The worst shift in the ball is `(r, 0, ..., 0)`. `RadialFunctional`, which this is in l1,
    has the proof and says how the quadrature errs low. For pB = 0 the radius is finite.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, section 3 and Theorem 3.

    Example:
        >>> from radii.noise import Radial
        >>> from radii.records import ClassBounds
        >>> noise = Radial(norm="l1", scale=0.5, exponent=1.0, pole=100.0)
        >>> bounds = ClassBounds.one_sided(0.8)
        >>> round(float(RadialL1Functional(noise, dim=3072).radius(bounds)), 3)
        0.443
    """

    norm: ClassVar[Norm] = "l1"
    shape: ClassVar[Literal["ball", "polytope"]] = "polytope"
    differential: ClassVar[type[RadialL1]] = RadialL1
