"""The l2 radius of radial noise by the differential method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radii.certificates._radial_differential import RadialDifferential
from radii.certificates.base import CERTIFICATES
from radii.noise.radial import Radial
from radii.records import Norm


@CERTIFICATES.register("radial_l2")
@dataclass(frozen=True)
class RadialL2(RadialDifferential):
    """`R = 1/2 integral over [pB_upper, pA_lower] of dp / Psi(p)`, open ball.

    For noise of l2 norm; all directions are alike.
    `RadialDifferential` has the proof and says how the result errs low. Not tight: the sets that
    grow fastest at different distances need not be shifts of each other. For pB = 0 the radius is
    finite.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the differential
        method and Table 1.

    Example:
        >>> from radii.records import ClassBounds
        >>> noise = Radial(norm="l2", scale=0.5 * 2**0.5, exponent=2.0)
        >>> bounds = ClassBounds.one_sided(0.9)
        >>> round(float(RadialL2(noise, dim=3072).radius(bounds)), 4)
        0.6408
    """

    noise: Radial
    norm: ClassVar[Norm] = "l2"
