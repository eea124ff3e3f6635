"""Binomial tails and normal quantiles to 40 digits, by `mpmath` and whole numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath  # type: ignore[import-untyped]
from scipy.special import ndtri

CONTEXT = mpmath.mp.clone()
CONTEXT.dps = 60

_SHIFT = 200  # binary digits after the point
_REST = 140  # binary digits of the sum beyond which terms no longer count


def upper_tail(k: int, n: int, p: float | Fraction) -> Any:
    """P(K >= k) for K ~ Binomial(n, p): its first term, times the sum of term ratios.

    The ratios are fractions of whole numbers, since p is one; each is rounded down by less than
    2^-200. The sum ends where the terms fall geometrically and no longer matter to 40 digits.
    """
    numerator, denominator = p.as_integer_ratio()
    rest = denominator - numerator
    if k <= 0 or rest == 0:
        return CONTEXT.mpf(1)
    if k > n or numerator == 0:
        return CONTEXT.mpf(0)
    term = total = 1 << _SHIFT
    for j in range(k, n):
        term = term * ((n - j) * numerator) // ((j + 1) * rest)
        total += term
        if term < total >> _REST and (n - j) * numerator < (j + 1) * rest:
            break
    log, loggamma = CONTEXT.log, CONTEXT.loggamma
    ways = loggamma(n + 1) - loggamma(k + 1) - loggamma(n - k + 1)
    chance = k * log(CONTEXT.mpf(numerator)) + (n - k) * log(CONTEXT.mpf(rest))
    first = CONTEXT.exp(ways + chance - n * log(CONTEXT.mpf(denominator)))
    return first * total / (1 << _SHIFT)


def lower_tail(k: int, n: int, p: float | Fraction) -> Any:
    """P(K <= k) for K ~ Binomial(n, p)."""
    return upper_tail(n - k, n, 1 - Fraction(p))


def normal_quantile(p: float) -> Any:
    """Phi^-1(p): three steps of Newton, each of which doubles the digits of SciPy's value."""
    wanted, x = CONTEXT.mpf(p), CONTEXT.mpf(float(ndtri(p)))
    for _ in range(3):
        x -= (CONTEXT.ncdf(x) - wanted) / CONTEXT.npdf(x)
    return x
