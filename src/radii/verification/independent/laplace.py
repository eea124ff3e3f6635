"""Radii of Laplace noise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from radii.verification.independent import gaussian
from radii.verification.independent.numbers import MP, Real, largest, number

_RAREST = MP.mpf(10) ** -380  # probabilities below it are left out


def half_gap(pA: Real, pB: Real, tail: Callable[[Real], Real]) -> Real:
    """`(H(pA) - H(pB)) / 2` for H odd about 1/2, where `tail(q)` is `H(1 - q)`."""

    def quantile(p: Real) -> Real:
        return tail(1 - p) if p >= 0.5 else -tail(p)

    return (quantile(pA) - quantile(pB)) / 2


def tight(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`b/2 (F^-1(pA) - F^-1(pB))`, F of Laplace(0, 1)."""
    return _b(said) * half_gap(pA, pB, lambda q: -MP.log(2 * q) if q > 0 else MP.inf)


def pixeldp(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`b/2 ln(pA / pB)`: Lecuyer et al. 2019."""
    return _b(said) / 2 * MP.log(pA / pB) if pB > 0 else MP.inf


def teng(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`max(b/2 ln(pA / pB), -b ln(1 - pA + pB))`: Teng et al. 2019."""
    return max(pixeldp(pA, pB, said, None), _b(said) * minus_log_rest(pA, pB))


def minus_log_rest(pA: Real, pB: Real) -> Real:
    """`-ln(1 - pA + pB)` with all digits at both ends."""
    rest = (1 - pA) + pB
    if rest <= 0:
        return MP.inf
    return -MP.log(rest) if rest < 0.5 else -MP.log1p(pB - pA)


def renyi(r: Real, pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Slack by the best order of Renyi divergences: Li et al. 2019.

    At the radius itself, the divergence of some order must not exceed what turns the top classes
    around; both sides are compared, and no root is needed. The limit of large orders is closed.
    """
    t = r / _b(said)
    limit = minus_log_rest(pA, pB)
    if t <= limit:
        return (limit - t) / t if not MP.isinf(limit) else number(0)
    if pB <= 0:
        return number(0)

    def ahead(share: Real) -> Real:
        a = 1 / share
        order = 1 - a
        mean = ((pA**order + pB**order) / 2) ** (1 / order)
        reach = gaussian.minus_log_rest(pA, pB, mean)
        return (reach - _divergence(a, t)) / reach if reach > 0 else number(-1)

    ends = (1e-6, 1 - 1e-6)
    found = largest(ahead, *ends, rough=True)
    return found if found >= 0 else largest(ahead, *ends, rough=False)


def _divergence(a: Real, t: Real) -> Real:
    """`1/(a-1) ln(a/(2a-1) exp((a-1) t) + (a-1)/(2a-1) exp(-a t))`, with all digits near 0."""
    if a * t > 0.01:
        rise, fall = a * MP.exp((a - 1) * t), (a - 1) * MP.exp(-a * t)
        return MP.log((rise + fall) / (2 * a - 1)) / (a - 1)
    excess, up, down, n = number(0), a * (a - 1) * t, (1 - a) * a * t, 1
    while n < 30:  # the terms of first order cancel
        n += 1
        up, down = up * (a - 1) * t / n, -down * a * t / n
        excess += up + down
    return MP.log1p(excess / (2 * a - 1)) / (a - 1)


def linf(pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """`1/2 integral of dp / Psi(p)`: Yang et al. 2020, with the exact binomial tails."""
    assert dim is not None
    return _b(said) * half_gap(pA, pB, lambda q: integral(dim, q))


def integral(dim: int, q: Real) -> Real:
    """The integral of `dp / Psi(p)` from q to 1/2, Psi the mean of 2K - dim over the top p of it.

    Psi is linear between the tails `P(K >= j)`, where it is `j P(K = j)`, so each piece is a
    logarithm.
    """
    if q <= 0 or q >= 0.5:
        return MP.inf if q <= 0 else number(0)
    nodes = _nodes(dim)
    i = bisect_left(nodes.masses, q)  # the least mass that is not below q
    slope = nodes.slopes[i]
    if slope == 0:  # next to one half, for an even dim
        return (number(0.5) - q) / nodes.growths[i]
    below, growth = (nodes.masses[i - 1], nodes.growths[i - 1]) if i else (0, 0)
    return nodes.done[i] + MP.log(nodes.growths[i] / (growth + slope * (q - below))) / slope


@dataclass(frozen=True)
class _Nodes:
    """Where Psi bends, for masses up to 1/2.

    Attributes:
        masses: Rising, the last one 1/2.
        growths: Psi there.
        slopes: Of Psi below each mass.
        done: The integral of `dp / Psi(p)` from each mass to 1/2.
    """

    masses: list[Real]
    growths: list[Real]
    slopes: list[int]
    done: list[Real]


@lru_cache(maxsize=8)
def _nodes(dim: int) -> _Nodes:
    """Without tails below 1e-380, which are no floats."""
    first = dim // 2 + 1  # the least j with 2j > dim
    chance = MP.binomial(dim, first) / MP.mpf(2) ** dim  # P(K = j)
    chances = []
    for j in range(first, dim + 1):
        if chance < _RAREST:
            break
        chances.append(chance)
        chance = chance * (dim - j) / (j + 1)
    masses, growths, slopes, beyond = [], [], [], number(0)
    for j in range(first + len(chances) - 1, first - 1, -1):
        beyond += chances[j - first]
        masses.append(beyond)
        growths.append(j * chances[j - first])
        slopes.append(2 * j - dim)
    done = [(number(0.5) - masses[-1]) / growths[-1]]
    for i in range(len(masses) - 1, 0, -1):
        done.append(done[-1] + MP.log(growths[i] / growths[i - 1]) / slopes[i])
    done.reverse()
    masses.append(number(0.5))
    return _Nodes(masses, [*growths, growths[-1]], [*slopes, 0], [*done, number(0)])


def _b(said: Mapping[str, str]) -> Real:
    return number(float(said["b"]))
