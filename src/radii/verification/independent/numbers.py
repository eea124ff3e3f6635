"""Numbers with 50 digits, and the special functions of statistics among them."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from mpmath import MPContext  # type: ignore[import-untyped]

Real = Any  # a number of mpmath, which has no types

DIGITS = 50
_FEWER = 25  # which nearly always tell two numbers apart
_GUARD = 64  # more binary digits, against rounding
_GOLDEN = 0.6180339887498949


def _context(digits: int) -> Any:
    made = MPContext()  # its own, so that nobody's precision is changed
    made.dps = digits
    return made


MP = _context(DIGITS)
_LESS = _context(_FEWER)


def number(value: float | str) -> Real:
    """A float as the number that it is, to the last bit."""
    return MP.mpf(value)


def quantile(p: Real, rest: Real) -> Real:
    """The standard normal quantile of p, where `rest` is `1 - p` with digits of its own."""
    tail = min(p, rest)
    if tail <= 0:
        return MP.inf if p > rest else -MP.inf
    z = number(-NormalDist().inv_cdf(max(float(tail), 1e-300)))
    for _ in range(60):  # Newton's method for the log of the tail, which is concave
        beyond = MP.erfc(z / MP.sqrt(2)) / 2
        step = MP.log(beyond / tail) * beyond / MP.npdf(z)
        z += step
        if abs(step) <= MP.mpf(10) ** (-DIGITS // 2 - 2) * (1 + abs(z)):
            break
    return z if p > rest else -z


def beta_tail(a: Real, b: Real, x: Real, rest: Real) -> Real:
    """`P(Q <= x)` of Q ~ Beta(a, b), a and b above 0, where `rest` is `1 - x`.

    By the continued fraction DLMF 8.17.22, on the side of the mean where it converges fast.
    """
    return _beta_tail(MP, a, b, x, rest)


def beta_tail_near(a: Real, b: Real, x: Real, rest: Real, value: Real) -> Real:
    """`beta_tail` to 25 digits where these tell it from `value`, else to 50."""
    first = MP.mpf(_beta_tail(_LESS, a, b, x, rest))
    if abs(first - value) > MP.mpf(10) ** (6 - _FEWER) * value:
        return first
    return beta_tail(a, b, x, rest)


def _beta_tail(mp: Any, a: Real, b: Real, x: Real, rest: Real) -> Real:
    if x <= 0 or rest <= 0:
        return mp.mpf(x > 0)
    a, b, x, rest = mp.mpf(a), mp.mpf(b), mp.mpf(x), mp.mpf(rest)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_tail(mp, b, a, rest, x)
    front = a * mp.log(x) + b * mp.log(rest) - mp.log(a)
    front += mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    return mp.exp(front) * _fraction(mp, a, b, x)


def _fraction(mp: Any, a: Real, b: Real, x: Real) -> Real:
    """`1/(1+ d_1/(1+ d_2/(1+ ...)))` of DLMF 8.17.22, in whole numbers as fixed-point ones.

    From the end inwards, for twice as many terms each time, until the value no longer changes.
    """
    bits = mp.prec + _GUARD
    one = 1 << bits
    scale = max(0, *(-int(each.man_exp[1]) for each in (a, b)))
    a, b, unit = int(mp.ldexp(a, scale)), int(mp.ldexp(b, scale)), 1 << scale
    fixed = int(mp.ldexp(x, bits))
    before, terms = 0, 8
    while True:
        value = one
        for m in range(terms, 0, -1):
            at = a + 2 * m * unit
            even = m * (b - m * unit) * unit * fixed // ((at - unit) * at)
            at -= 2 * unit
            m -= 1  # for m = 0, a cancels
            odd = (a + m * unit) * (a + b + m * unit) * fixed // (at * (at + unit))
            value = one + (even << bits) // value
            value = one - (odd << bits) // value
        if abs(value - before) >> (_GUARD - 8) == 0:
            return mp.mpf(one) / value
        before, terms = value, 2 * terms


def largest(of: Callable[[Real], Real], low: Real, high: Real, *, rough: bool) -> Real:
    """About the largest value of a function on an interval, and never more.

    By sections in the golden ratio, around the best of a grid. The function is flat there, so that
    a place known to some digits gives the value to twice as many.

    Args:
        of: The function; it has one peak between neighbours of its best place on the grid.
        low: One end.
        high: The other.
        rough: Whether 15 digits are enough.
    """
    low, high = number(low), number(high)
    places = [low + (high - low) * i / 24 for i in range(25)]
    at = max(range(25), key=lambda i: of(places[i]))
    best = of(places[at])
    left, right = places[max(at - 1, 0)], places[min(at + 1, 24)]
    one, two = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
    at_one, at_two = of(one), of(two)
    enough = (high - low) * MP.mpf(10) ** (-8 if rough else -24)
    while right - left > enough:
        if at_one >= at_two:
            right, two, at_two = two, one, at_one
            one = right - _GOLDEN * (right - left)
            at_one = of(one)
        else:
            left, one, at_one = one, two, at_two
            two = left + _GOLDEN * (right - left)
            at_two = of(two)
    return max(best, at_one, at_two)
