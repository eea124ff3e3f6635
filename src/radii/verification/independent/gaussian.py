"""Radii of Gaussian noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from radii.verification.independent.numbers import MP, Real, largest, number, quantile


def tight(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`sigma/2 (Phi^-1(pA) - Phi^-1(pB))`: Cohen et al. 2019, Theorem 1."""
    return _sigma(said) / 2 * (quantile(pA, 1 - pA) - quantile(pB, 1 - pB))


def linf(pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
    """That of l2, over the root of the dimension."""
    return tight(pA, pB, said, None) / MP.sqrt(dim)


def kl(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`sigma sqrt(-2 ln(1 - (sqrt pA - sqrt pB)^2))`: Dvijotham et al. 2020."""
    return _sigma(said) * MP.sqrt(2 * minus_log_rest(pA, pB, MP.sqrt(pA * pB)))


def minus_log_rest(pA: Real, pB: Real, mean: Real) -> Real:
    """`-ln(1 - pA - pB + 2 mean)`, mean one of pA and pB, with all digits at both ends."""
    rest = (1 - pA) + (2 * mean - pB)
    if rest <= 0:
        return MP.inf
    return -MP.log(rest) if rest < 0.5 else -MP.log1p((mean - pA) + (mean - pB))


def hellinger(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`2 sigma sqrt(-ln(1 - (sqrt pA - sqrt pB)^2 / 2))`: Dvijotham et al. 2020."""
    return 2 * _sigma(said) * MP.sqrt(-MP.log1p(-((MP.sqrt(pA) - MP.sqrt(pB)) ** 2) / 2))


def chi_square(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`sigma sqrt(ln(1 + (pA-pB)^2 / (pA+pB - (pA-pB)^2)))`: Dvijotham et al. 2020."""
    gap = (pA - pB) ** 2
    rest = pA * (1 - pA) + pB * (1 - pB) + 2 * pA * pB
    return _sigma(said) * MP.sqrt(MP.log1p(gap / rest)) if rest > 0 else MP.inf


def total_variation(pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """`2 sigma Phi^-1(1/2 + (pA - pB)/4)`: Dvijotham et al. 2020."""
    up = (pA - pB) / 4
    if up > 0.1:
        return 2 * _sigma(said) * quantile(number(0.5) + up, number(0.5) - up)
    return 2 * _sigma(said) * MP.sqrt(2) * MP.erfinv(2 * up)  # with all its digits near 0


def renyi(r: Real, pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Slack by `R^2 = sup over a of -(2 sigma^2/a) ln(1 - pA - pB + 2 M_a)`: Li et al. 2019."""

    def square(a: Real) -> Real:
        order = 1 - a
        if abs(order) < number(10) ** -22:
            mean = MP.sqrt(pA * pB)
        else:
            mean = ((pA**order + pB**order) / 2) ** (1 / order) if pB > 0 else number(0)
        return 2 / a * minus_log_rest(pA, pB, mean)

    def slack(*, rough: bool) -> Real:
        best = MP.sqrt(largest(square, 0.25, 4, rough=rough)) * _sigma(said)
        return number(0) if MP.isinf(best) else (best - r) / r

    return _finer(slack)


def pixeldp(r: Real, pA: Real, pB: Real, said: Mapping[str, str], _: int | None) -> Real:
    """Slack by the Gaussian mechanism, e up to 1: Lecuyer et al. 2019."""
    most = number(1) if pB == 0 else min(number(1), MP.log(pA / pB) / 2)

    def unit(e: Real) -> Real:
        left = pA - MP.exp(2 * e) * pB
        if e <= 0 or left <= 0:
            return number(0)
        return e / MP.sqrt(2 * MP.log(number(1.25) * (1 + MP.exp(e)) / left))

    def slack(*, rough: bool) -> Real:
        return (_sigma(said) * largest(unit, 0, most, rough=rough) - r) / r

    return _finer(slack)


def _finer(slack: Callable[..., Real]) -> Real:
    """Slack by a rough supremum, which is never above the true one, or by a fine one if needed."""
    found = slack(rough=True)
    return found if found >= 0 else slack(rough=False)


def _sigma(said: Mapping[str, str]) -> Real:
    return number(float(said["sigma"]))
