"""Radii of uniform, splitting, Pareto and exponential noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from scipy.special import gammainccinv

from radii.verification.independent.laplace import half_gap
from radii.verification.independent.numbers import DIGITS, MP, Real, beta_tail, number


def uniform_l1(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`half_width (pA - pB)`: Lee et al. 2019."""
    return number(float(said["half_width"])) * (pA - pB)


def uniform_linf(pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """`2 half_width (1 - (1 - (pA - pB)/2)^(1/dim))`: Yang et al. 2020."""
    assert dim is not None
    return 2 * number(float(said["half_width"])) * (1 - MP.root(1 - (pA - pB) / 2, dim))


def uniform_ball(r: Real, pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """Slack by the share of volume that two balls at that distance have not in common."""
    assert dim is not None
    share = (r / (2 * number(float(said["radius"])))) ** 2
    gap = (pA - pB) / 2
    lost = beta_tail(number(0.5), number(dim + 1) / 2, share, 1 - share) if share < 1 else number(1)
    return (gap - lost) / gap


def splitting(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`half_width (pA - pB)`: Levine and Feizi 2021, Theorem 2."""
    return _half_width(said) * (pA - pB)


def splitting_box(r: Real, pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Slack by `1 - (1 - 1/T)^j (1 - (r - j)/T) <= (pA - pB)/2`, T twice the half width."""
    gap, width = (pA - pB) / 2, 2 * _half_width(said)
    if width <= 1:
        return (width * gap - r) / r
    j = MP.floor(r)
    lost = 1 - (1 - 1 / width) ** j * (1 - (r - j) / width)
    return (gap - lost) / gap


def _half_width(said: Mapping[str, str]) -> Real:
    half_width, levels = float(said["half_width"]), int(said["levels"])
    if said["deterministic"] == "true":
        return number(max(round(2 * half_width * levels), 1)) / (2 * levels)
    return number(half_width)


def pareto(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`H(p) = scale/a u 2F1(1, 1/c; 1 + 1/c; u^c)`, u = 2p - 1, c = 1 + 1/a: Yang et al. 2020."""
    a = number(float(said["a"]))
    c = 1 + 1 / a

    def tail(q: Real) -> Real:
        u = 1 - 2 * q
        return u * MP.hyp2f1(1, 1 / c, 1 + 1 / c, u**c) if q > 0 else MP.inf

    return number(float(said["scale"])) / a * half_gap(pA, pB, tail)


def exponential(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Quantiles of one coordinate, or the integral over slabs: Yang et al. 2020."""
    k = float(said["exponent"])
    tail = _quantile if k >= 1 else _slabs
    return number(float(said["scale"])) * half_gap(pA, pB, lambda q: tail(q, k))


def _quantile(q: Real, k: float) -> Real:
    """The t with `P(z > t) = q`, that is `Q(1/k, t^k) = 2q`."""
    if q <= 0:
        return MP.inf
    return _gamma_quantile(2 * q, k) ** (1 / number(k))


@lru_cache(maxsize=4096)
def _gamma_quantile(above: Real, k: float) -> Real:
    """The s with `Q(1/k, s) = above`, by Newton's method for its logarithm."""
    a = 1 / number(k)
    if above >= 1:
        return number(0)
    x = MP.log(max(float(gammainccinv(float(a), float(above))), 1e-300))
    for _ in range(60):
        excess = MP.gammainc(a, MP.exp(x), regularized=True) - above
        step = excess / MP.exp(a * x - MP.exp(x) - MP.loggamma(a))
        x += step
        if abs(step) < MP.mpf(10) ** (-DIGITS // 2 - 2):
            break
    return MP.exp(x)


def _slabs(q: Real, k: float) -> Real:
    """`1/k` times the integral of `s^(1/k-1) / (exp(s) - 1)` beyond s(q), `Q(1/k, s) = 1 - 2q`.

    For a mass p above one half the slab is of mass `p - 1/2` on one side, so it is s of
    `2p - 1 = 1 - 2q` beyond.
    """
    if q <= 0:
        return MP.inf
    a = 1 / number(k)
    start = _gamma_quantile(1 - 2 * q, k) if q < 0.5 else MP.inf
    if MP.isinf(start):
        return number(0)
    # Terms of the geometric series are incomplete gamma functions, as long as they fall fast.
    total, n = number(0), 0
    cut = max(start, number(4))
    while True:
        n += 1
        term = MP.gammainc(a, n * cut) * number(n) ** (-a)
        total += term
        if term <= total * MP.mpf(10) ** (-DIGITS // 2 - 5):
            break
    if start < cut:
        # u = s^a takes the singularity of s^(a-1) away; s / (exp(s) - 1) is smooth.
        total += MP.quad(lambda s: s ** (a - 1) / MP.expm1(s), _steps(start, cut))
    return total / number(k)


def _steps(start: Real, end: Real) -> list[Real]:
    """Ends of pieces, each at most four times the one before, for the integrand near 0."""
    found = [start]
    while found[-1] * 4 < end:
        found.append(found[-1] * 4)
    return [*found, end]
