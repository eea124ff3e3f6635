"""Radii of uniform, splitting, Pareto and exponential noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from scipy.special import gammainccinv, gammaincinv

from radii.verification.independent.laplace import half_gap
from radii.verification.independent.numbers import DIGITS, MP, Real, beta_tail, number

_TERMS = 64  # of a series with the radius of convergence 2 pi, at 1 and below
_NEAR = 2  # from there on a series of incomplete gamma functions is short


def uniform_l1(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`half_width (pA - pB)`: Lee et al. 2019."""
    return number(float(said["half_width"])) * (pA - pB)


def uniform_linf(pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """`2 half_width (1 - (1 - (pA - pB)/2)^(1/dim))`: Yang et al. 2020."""
    assert dim is not None
    return -2 * number(float(said["half_width"])) * MP.expm1(MP.log1p((pB - pA) / 2) / dim)


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
    lost = -MP.expm1(j * MP.log1p(-1 / width) + MP.log1p(-(r - j) / width))
    return (gap - lost) / gap


def _half_width(said: Mapping[str, str]) -> Real:
    half_width, levels = float(said["half_width"]), int(said["levels"])
    if said["deterministic"] == "true":
        return number(max(round(2 * half_width * levels), 1)) / (2 * levels)
    return number(half_width)


def pareto(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`H(p)`: `scale/a` times the integral of `dv / (1 - v^c)` up to `2p - 1`; Yang et al. 2020."""
    a = number(float(said["a"]))
    c = 1 + 1 / a
    return number(float(said["scale"])) / a * half_gap(pA, pB, lambda q: slab_of_power(q, c))


def slab_of_power(q: Real, c: Real) -> Real:
    """The integral of `dv / (1 - v^c)` over [0, 1 - 2q]; with `v = exp(-y/c)` Lerch's function."""
    if q <= 0 or q >= 0.5:
        return MP.inf if q <= 0 else number(0)
    b, y = 1 / c, -c * MP.log1p(-2 * q)
    if y < 1:
        constant, coefficients = _lerch(c)
        return b * (constant - MP.log(y) + MP.polyval(coefficients, y))
    total, n, power, fall = number(0), 0, MP.exp(-b * y), MP.exp(-y)
    while True:
        term = power / (n + b)
        total += term
        if term <= total * MP.mpf(10) ** -DIGITS:
            return b * total
        power, n = power * fall, n + 1


@lru_cache(maxsize=64)
def _lerch(c: Real) -> tuple[Real, list[Real]]:
    """`Phi(z, 1, 1/c)` for z near 1, after Erdelyi: a constant and a polynomial in -ln z."""
    b = 1 / c
    rest = [-MP.bernpoly(k, b) * (-1) ** k / (k * MP.factorial(k)) for k in range(_TERMS, 0, -1)]
    return MP.psi(0, 1) - MP.psi(0, b), [*rest, number(0)]


def exponential(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Quantiles of one coordinate, or the integral over slabs: Yang et al. 2020."""
    k = float(said["exponent"])
    tail = quantile if k >= 1 else slabs
    return number(float(said["scale"])) * half_gap(pA, pB, lambda q: tail(q, k))


def quantile(q: Real, k: float) -> Real:
    """The t with `P(z > t) = q`, that is `Q(1/k, t^k) = 2q`."""
    if q <= 0:
        return MP.inf
    return _gamma_quantile(1 - 2 * q, 2 * q, k) ** (1 / number(k))


@lru_cache(maxsize=4096)
def _gamma_quantile(below: Real, above: Real, k: float) -> Real:
    """The s with `P(1/k, s) = below` and `Q(1/k, s) = above`, from the smaller one.

    By Newton's method for the logarithms of both.
    """
    a = 1 / number(k)
    if below <= 0 or above <= 0:
        return number(0) if below <= 0 else MP.inf
    left = below < above
    wanted = below if left else above
    if left:
        rough = float(gammaincinv(float(a), float(below)))
        x = MP.log(rough) if rough > 1e-290 else (MP.log(below) + MP.loggamma(a + 1)) / a
    else:
        x = MP.log(max(float(gammainccinv(float(a), float(above))), 1e-290))
    for _ in range(60):
        s = MP.exp(x)
        tail = MP.gammainc(a, 0, s) if left else MP.gammainc(a, s)
        tail /= MP.gamma(a)
        step = MP.log(wanted / tail) * tail / MP.exp(a * x - s - MP.loggamma(a))
        x += step if left else -step
        if abs(step) < MP.mpf(10) ** (-DIGITS // 2 - 2):
            break
    return MP.exp(x)


def slabs(q: Real, k: float) -> Real:
    """`1/k` times the integral of `s^(1/k-1) / (exp(s) - 1)` beyond s(q), `Q(1/k, s) = 1 - 2q`.

    For a mass p above one half the slab is of mass `p - 1/2` on one side, so it is s of
    `2p - 1 = 1 - 2q` beyond.
    """
    if q <= 0:
        return MP.inf
    a, start = 1 / number(k), _gamma_quantile(2 * q, 1 - 2 * q, k)
    if MP.isinf(start):
        return number(0)
    if start >= _NEAR:
        return _beyond(k, start) / number(k)
    # `s / (exp(s) - 1) = sum B_n s^n / n!` below, integrated term by term.
    inner, near, far = number(0), MP.exp((a - 1) * MP.log(start)), number(_NEAR) ** (a - 1)
    for n, term in enumerate(_bernoulli()):
        if term:
            inner += term * (far - near) / (a - 1 + n)
        near, far = near * start, far * _NEAR
    return (_beyond(k, number(_NEAR)) + inner) / number(k)


@lru_cache(maxsize=1)
def _bernoulli() -> list[Real]:
    """`B_n / n!`, as many as are needed at 2, a third of the radius of convergence."""
    return [MP.bernoulli(n) / MP.factorial(n) for n in range(104)]


@lru_cache(maxsize=4096)
def _beyond(k: float, start: Real) -> Real:
    """The integral of `s^(1/k-1) / (exp(s) - 1)` over s > start: incomplete gamma functions."""
    a, total, n = 1 / number(k), number(0), 0
    while True:
        n += 1
        term = MP.gammainc(a, n * start) * number(n) ** (-a)
        total += term
        if term <= total * MP.mpf(10) ** (-DIGITS // 2 - 5):
            return total
