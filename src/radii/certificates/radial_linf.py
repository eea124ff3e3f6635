"""The linf radius of radial noise by the differential method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radii.certificates._radial_differential import RadialDifferential
from radii.certificates.base import CERTIFICATES
from radii.noise.radial import Radial
from radii.records import Norm


@CERTIFICATES.register("radial_linf")
@dataclass(frozen=True)
class RadialLinf(RadialDifferential):
    """`R = 1/2 integral over [pB_upper, pA_lower] of dp / Psi(p)`, open ball.

    For noise of l1, l2 or linf norm; the worst direction is `(1, ..., 1)`.
    `RadialDifferential` has the proof and says how the result errs low. Not tight: the sets that
    grow fastest at different distances need not be shifts of each other. For pB = 0 the radius is
    finite.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, the differential
        method and Table 1.

    Example:
        >>> from radii.records import ClassBounds
        >>> noise = Radial(norm="linf", scale=0.5, exponent=1.0)
        >>> bounds = ClassBounds.one_sided(0.9)
        >>> round(float(RadialLinf(noise, dim=3072).radius(bounds)), 4)
        0.8047
    """

    noise: Radial
    norm: ClassVar[Norm] = "linf"
