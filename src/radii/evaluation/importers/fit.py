"""Which counts of votes fit what was published in their place.

A radius that was printed with three digits, or a bound that went through float32, does not say how
many draws answered the class. It says between which numbers that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np

from radii.bounds import ClopperPearson
from radii.certificates import Certificate
from radii.records import ClassBounds, FloatArray, IntArray

# Bounds and quantiles of other programs differ from those here by less than this share.
_ELSEWHERE = 1e-9


@dataclass(frozen=True)
class Printed:
    """How the radii of a log were printed, as far as it shows.

    Attributes:
        digits: The most significant digits that any of them has.
        decimals: The most digits behind the point that any of them has.
    """

    digits: int
    decimals: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> Printed:
        """What the texts of positive numbers show.

        Example:
            >>> Printed.of(["1.9", "0.953", "4.75e-05"])
            Printed(digits=3, decimals=7)
        """
        parts = [Decimal(text).as_tuple() for text in texts]
        return cls(
            digits=max((len(part.digits) for part in parts), default=0),
            decimals=max((-int(part.exponent) for part in parts), default=0),
        )

    def half_unit(self, text: str) -> float:
        """How far the number may be from the text that stands for it, rounded to nearest.

        Numbers were printed with so many significant digits or so many decimals; zeros at the end
        may be left out. The coarser of the two is taken.

        Example:
            >>> Printed.of(["1.9", "0.953", "4.75e-05"]).half_unit("1.9")
            0.005
        """
        leading = Decimal(text).adjusted()
        exponent = max(leading - self.digits + 1, -self.decimals)
        return float(Decimal(5).scaleb(exponent - 1))


class CountTable:
    """What each count of votes for the selected class gives, under Clopper-Pearson.

    Args:
        certificate: Turns bounds into radii.
        n: Draws of the estimation.
        alpha: Of the one-sided bound.

    Attributes:
        n: Draws of the estimation.
        lower: `(n + 1,)` float64. The bound on pA by count.
        radius: `(n + 1,)` float64. The radius by count; 0 where it abstains.
        least_certified: The smallest count that certifies; `n + 1` if none does.
    """

    def __init__(self, certificate: Certificate, n: int, alpha: float) -> None:
        self.n = n
        self.lower, self._upper = _bounds(n, alpha)
        radius = certificate.radius(ClassBounds(self.lower, self._upper))
        self.radius = np.maximum.accumulate(radius)  # quadrature may be uneven in the last digit
        self.least_certified = int(np.searchsorted(self.radius, 0.0, side="right"))

    def fitting_radii(self, low: FloatArray, high: FloatArray) -> IntArray:
        """The counts whose radius is in `[low, high]`, and above 0.

        Args:
            low: `(*batch,)` float64.
            high: `(*batch,)` float64.

        Returns:
            `(*batch, 2)` int64. The least and the most of them; the least is larger than the most
            where no count fits.
        """
        slack = _ELSEWHERE * self.radius[-1]
        least, most = _within(self.radius, low - slack, high + slack)
        return np.stack([np.maximum(least, self.least_certified), most], axis=-1)

    def fitting_bounds(self, low: FloatArray, high: FloatArray) -> IntArray:
        """The counts whose bound on pA is in `[low, high]`; see `fitting_radii`."""
        low, high = low * (1 - _ELSEWHERE), high * (1 + _ELSEWHERE)
        return np.stack(_within(self.lower, low, high), axis=-1)

    def below(self, radius: FloatArray) -> IntArray:
        """`(*batch,)` the largest count that gives no larger radius than `radius` `(*batch,)`."""
        return np.searchsorted(self.radius, radius, side="right").astype(np.int64) - 1

    @property
    def abstaining(self) -> tuple[int, int]:
        """The least and the most count that certify no class."""
        return 0, self.least_certified - 1

    def bounds(self, count: IntArray) -> ClassBounds:
        """What `count` votes and more say of pA and pB, as stored in a ledger."""
        return ClassBounds(self.lower[count], self._upper[count])


@lru_cache(maxsize=8)
def _bounds(n: int, alpha: float) -> tuple[FloatArray, FloatArray]:
    """`(n + 1,)` each: below pA and above pB, by the count of votes for the class selected."""
    counts, bound = np.arange(n + 1), ClopperPearson()
    return bound.lower(counts, n, alpha), bound.upper(n - counts, n, alpha)


def _within(values: FloatArray, low: FloatArray, high: FloatArray) -> tuple[IntArray, IntArray]:
    """First and last position of ascending `values` that are in `[low, high]`."""
    first = np.searchsorted(values, low, side="left")
    last = np.searchsorted(values, high, side="right") - 1
    return first.astype(np.int64), last.astype(np.int64)
