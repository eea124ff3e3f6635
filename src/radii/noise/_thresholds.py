"""Exact thresholds: a uniform number of 64 bits becomes a whole number of a given law.

With `T_z` the nearest whole number to `2^64 P(Z <= z)`, a uniform u in [0, 2^64) gives the z with
`T_(z-1) <= u < T_z`. Each `T_z` is off by at most 1/2, and so is the mass of a tail that is left
out. The total variation between what is drawn and the law is at most the sum of these errors,

    (number of thresholds + 2) 2^-65.
"""

from __future__ import annotations

import decimal
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

BITS = 64
_WHOLE = 1 << BITS
_POINT = 384  # bits after the point in what follows
_FEWEST_BITS, _MOST_BITS = 12, 16  # of the number of buckets
_SEVERAL = 0xFFFF  # marks a bucket with several thresholds


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The law of a whole number.

    Attributes:
        values: `(count,)` uint64, ascending: the thresholds.
        least: The whole number that belongs to uniforms below all of them.
    """

    values: npt.NDArray[np.uint64]
    least: int

    @property
    def total_variation(self) -> float:
        """A bound on the distance between what is drawn and the law, for one number."""
        return (len(self.values) + 2) * 2.0**-65

    @cached_property
    def signed(self) -> npt.NDArray[np.int64]:
        """The thresholds less 2^63, for where whole numbers of 64 bits have a sign."""
        return (self.values ^ np.uint64(1 << 63)).view(np.int64)

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """`(count + 1,)`: of `least`, `least + 1`, ..., as they are drawn."""
        edges = [0, *self.values.tolist(), _WHOLE]
        return np.array([(b - a) / _WHOLE for a, b in itertools.pairwise(edges)])

    @cached_property
    def bits(self) -> int:
        """So many first bits of the uniform pick a bucket: the finer the law, the more."""
        finest = math.ceil(math.log2(1 / float(self.probabilities.max())))
        return min(max(finest + 4, _FEWEST_BITS), _MOST_BITS)

    @cached_property
    def first(self) -> npt.NDArray[np.uint16]:
        """`(2^bits + 1,)`: thresholds that are at most the start of each bucket."""
        starts = np.arange(1 << self.bits, dtype=np.uint64) << np.uint64(BITS - self.bits)
        found = np.searchsorted(self.values, starts, side="right")
        return np.append(found, len(self.values)).astype(np.uint16)

    @cached_property
    def guide(self) -> npt.NDArray[np.uint32]:
        """`(2^bits,)`: what compiled code looks at; `_native.c` says how."""
        width = BITS - self.bits
        ends = np.arange(1, (1 << self.bits) + 1, dtype=np.uint64) * np.uint64(1 << width)
        below = self.first[:-1].astype(np.int64)
        # One at the start of the next bucket is not within this one.
        within = np.searchsorted(self.values, ends - np.uint64(1), side="right") - below
        place = np.minimum(below, len(self.values) - 1)
        shift = np.uint64(width - 16)
        following = (self.values[place] >> shift).astype(np.uint32) & np.uint32(0xFFFF)
        upper = np.where(within > 1, _SEVERAL, below).astype(np.uint32)
        lower = np.where(within == 1, following, np.uint32(0xFFFF)).astype(np.uint32)
        return np.asarray((upper << np.uint32(16)) | lower)


@lru_cache(maxsize=16)
def normal(deviation: Fraction) -> Thresholds:
    """Those of a normal number of this standard deviation, rounded to the nearest whole number.

    `P(Z <= z) = Phi((z + 1/2) / deviation)`, in fixed-point arithmetic of 384 bits: the series
    `Phi(t) - 1/2 = phi(t) (t + t^3/3 + t^5/(3 5) + ...)` has positive terms only.
    """
    return _symmetric((_WHOLE >> 1) + _nearest(each) for each in _above_one_half(deviation))


@lru_cache(maxsize=16)
def uniform(half_width: Fraction) -> Thresholds:
    """Those of a uniform number in `[-half_width, half_width]`, rounded to the nearest whole one.

    `P(Z <= z) = (z + 1/2 + half_width) / (2 half_width)` where that is in [0, 1].
    """
    edges = (z + Fraction(1, 2) for z in range(math.ceil(half_width)))
    inside = (edge for edge in edges if edge < half_width)
    return _symmetric((_WHOLE >> 1) + round(edge / (2 * half_width) * _WHOLE) for edge in inside)


def _symmetric(from_zero: Iterable[int]) -> Thresholds:
    """With the thresholds of z = 0, 1, ..., those of the numbers below 0, by symmetry."""
    upper = [each for each in from_zero if each < _WHOLE]
    both = [_WHOLE - each for each in reversed(upper)] + upper
    return Thresholds(np.array(both, dtype=np.uint64), -len(upper))


def _nearest(fixed: int) -> int:
    """Of a number with `_POINT` bits after the point, times 2^64, to the nearest whole number."""
    shift = _POINT - BITS
    return (fixed + (1 << (shift - 1))) >> shift


def _above_one_half(deviation: Fraction) -> Iterator[int]:
    """`Phi((z + 1/2) / deviation) - 1/2` for z = 0, 1, ..., until 1/2 is the nearest of 64 bits.

    With t of z, `t^2/2` grows by `(z + 1) / deviation^2` from z to z + 1, so the density is a
    running product. Its error is below 2^-360, and the sum of the series below 2^73.
    """
    square = deviation * deviation
    density = _fixed(_exp(-1 / (8 * square)) * _inverse_root_of_two_pi())
    factor = ratio = _fixed(_exp(-1 / square))
    z = 0
    while True:
        t = Fraction(2 * z + 1) / (2 * deviation)
        if t > 10:  # 1 - Phi(10) < 2^-76
            return
        term = total = (t.numerator << _POINT) // t.denominator
        squared = (term * term) >> _POINT
        odd = 3
        while term:
            term = ((term * squared) >> _POINT) // odd
            total += term
            odd += 2
        yield (density * total) >> _POINT
        density = (density * factor) >> _POINT
        factor = (factor * ratio) >> _POINT
        z += 1


def _exp(exponent: Fraction) -> decimal.Decimal:
    with decimal.localcontext(_CONTEXT):
        return (decimal.Decimal(exponent.numerator) / exponent.denominator).exp()


def _inverse_root_of_two_pi() -> decimal.Decimal:
    """`1 / sqrt(2 pi)`, with pi by Machin's formula."""
    one = 1 << (_POINT + 64)

    def arctangent_of_one_over(n: int) -> int:
        power = total = one // n
        odd, sign = 3, -1
        while power:
            power //= n * n
            total += sign * (power // odd)
            odd, sign = odd + 2, -sign
        return total

    pi = 4 * (4 * arctangent_of_one_over(5) - arctangent_of_one_over(239))
    with decimal.localcontext(_CONTEXT):
        return 1 / (2 * decimal.Decimal(pi) / one).sqrt()


def _fixed(value: decimal.Decimal) -> int:
    with decimal.localcontext(_CONTEXT):
        return int(value * (1 << _POINT))


_CONTEXT = decimal.Context(prec=160, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)
