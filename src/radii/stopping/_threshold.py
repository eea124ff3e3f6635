"""A radius as the least probability that certifies it."""

from __future__ import annotations

from radii.certificates.base import Certificate
from radii.records import ClassBounds

_UNIT = 2.0**-53  # floats in [1/2, 1) are multiples of it


def threshold(certificate: Certificate, radius: float) -> float | None:
    """The least float p with `certificate.radius(ClassBounds.one_sided(p)) >= radius`.

    Also for radius 0 a class must be certified, `pA_lower > pB_upper`, so p is above 1/2. It is
    found by bisection: p gives the radius, and the float below it does not. None if no p below 1
    gives it.
    """

    def gives(multiple: int) -> bool:
        bounds = ClassBounds.one_sided(multiple * _UNIT)
        certified = bounds.pA_lower > bounds.pB_upper
        return bool(certified & (certificate.radius(bounds) >= radius))

    below, above = 2**52, 2**53 - 1
    if not gives(above):
        return None
    while below + 1 < above:
        middle = (below + above) // 2
        below, above = (below, middle) if gives(middle) else (middle, above)
    return above * _UNIT
