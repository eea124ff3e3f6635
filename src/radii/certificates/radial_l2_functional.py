"""The functional l2 radius of noise that depends on the l2 norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from radii.certificates._radial_functional import RadialFunctional
from radii.certificates.base import CERTIFICATES
from radii.certificates.radial_l2 import RadialL2
from radii.records import Norm


@CERTIFICATES.register("radial_l2_functional")
@dataclass(frozen=True)
class RadialL2Functional(RadialFunctional):
    """The radius at which the pA-quantile of the log density ratio is minus its median.

    The worst shift in the ball is any point of its sphere. `RadialFunctional`, which this is in l2,
    has the proof and says how the quadrature errs low. For pB = 0 the radius is finite.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, section 3 and Theorem 3.

    Example:
        >>> from radii.noise import Radial
        >>> from radii.records import ClassBounds
        >>> noise = Radial(norm="l2", scale=0.5 * 2**0.5, exponent=2.0)
        >>> bounds = ClassBounds.one_sided(0.8)
        >>> round(float(RadialL2Functional(noise, dim=3072).radius(bounds)), 3)
        0.421
    """

    norm: ClassVar[Norm] = "l2"
    shape: ClassVar[Literal["ball", "polytope"]] = "ball"
    differential: ClassVar[type[RadialL2]] = RadialL2
