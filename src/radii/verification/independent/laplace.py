"""Radii of Laplace noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from radii.verification.independent.numbers import MP, Real, largest, number


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
    rest = 1 - pA + pB
    other = -_b(said) * MP.log(rest) if rest > 0 else MP.inf
    return max(pixeldp(pA, pB, said, None), other)


def renyi(r: Real, pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Slack by the best order of Renyi divergences: Li et al. 2019.

    At the radius itself, the divergence of some order must not exceed what turns the top classes
    around; both sides are compared, and no root is needed. The limit of large orders is closed.
    """
    t = r / _b(said)
    rest = 1 - pA + pB
    limit = -MP.log(rest) if rest > 0 else MP.inf
    if t <= limit:
        return (limit - t) / t if not MP.isinf(limit) else number(0)
    if pB <= 0:
        return number(0)

    def ahead(share: Real) -> Real:
        a = 1 / share
        order = 1 - a
        mean = ((pA**order + pB**order) / 2) ** (1 / order)
        left = 1 - pA - pB + 2 * mean
        reach = -MP.log(left)
        rise = a / (2 * a - 1) * MP.exp((a - 1) * t)
        fall = (a - 1) / (2 * a - 1) * MP.exp(-a * t)
        return (reach - MP.log(rise + fall) / (a - 1)) / reach

    ends = (1e-6, 1 - 1e-6)
    found = largest(ahead, *ends, rough=True)
    return found if found >= 0 else largest(ahead, *ends, rough=False)


def linf(pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """`1/2 integral of dp / Psi(p)`: Yang et al. 2020, with the exact binomial tails."""
    assert dim is not None
    return _b(said) * half_gap(pA, pB, lambda q: _integral(dim, q))


def _integral(dim: int, q: Real) -> Real:
    """The integral of `dp / Psi(p)` from q to 1/2, Psi the mean of 2K - dim over the top p of it.

    Psi is linear between the tails `P(K >= j)`, where it has the slope `2j - dim` for the mass
    between j + 1 and j, so each piece is a logarithm.
    """
    if q <= 0:
        return MP.inf
    total = number(0)
    upper = number(0.5)
    for tail, growth, slope in _pieces(dim):
        # From `tail`, where Psi is `growth`, up to `upper`, Psi rises by `slope`.
        start = max(tail, q)
        at = growth + slope * (start - tail)
        top = growth + slope * (upper - tail)
        if start < upper:
            total += (upper - start) / at if slope == 0 else MP.log(top / at) / slope
        if q >= tail:
            return total
        upper = tail
    # Above the last j there is no mass: Psi(p) = dim p.
    return total + MP.log(upper / q) / dim


@lru_cache(maxsize=8)
def _pieces(dim: int) -> list[tuple[Real, Real, int]]:
    """For j from the middle outwards: `P(K >= j + 1)`, Psi there, and the slope of Psi above it."""
    first = (dim + 1) // 2
    chance = MP.binomial(dim, first) / MP.mpf(2) ** dim  # P(K = j)
    # For even dim half of the mass at dim/2 lies above the median, where 2K - dim is 0.
    beyond = number(0.5) - (chance / 2 if dim % 2 == 0 else chance)
    growth = _mean_beyond(dim, first)
    found = []
    j = first
    while j < dim and beyond > 0:
        found.append((beyond, growth, 2 * j - dim))
        j += 1
        chance = chance * (dim - j + 1) / j
        beyond -= chance
        growth -= (2 * j - dim) * chance
        if beyond < MP.mpf(10) ** -30:  # cancelled; no bound is as near to 1
            break
    return found


def _mean_beyond(dim: int, j: int) -> Real:
    """The mean of 2K - dim over K > j: `(j + 1) P(K = j + 1)`."""
    return (j + 1) * MP.binomial(dim, j + 1) / MP.mpf(2) ** dim


def _b(said: Mapping[str, str]) -> Real:
    return number(float(said["b"]))
