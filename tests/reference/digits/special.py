"""The functions in double precision behind bounds and radii, against the margins claimed for them.

The slack is the share of the margin that the error leaves: 1 for no error, below 0 for one that is
larger than the margin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.special import betaincinv, erfinv, expit, ndtr, ndtri

from radii.certificates._divergence import least_divergence
from radii.certificates.iid_exponential_l1 import _quantile, _slab_integral
from radii.certificates.laplace_l1 import _tail
from radii.certificates.laplace_l1_pixeldp import log_ratio
from radii.certificates.laplace_l1_teng import minus_log_rest
from radii.certificates.laplace_linf import _law
from radii.certificates.pareto_l1 import _integral
from radii.verification.independent import families, gaussian, laplace
from radii.verification.independent.numbers import MP, Real, beta_tail, number, quantile
from tests.reference.digits.binomial import above, half_tail, polished_root, wealth
from tests.reference.digits.margins import (
    both_sides,
    error,
    of_levels,
    simple,
    tails,
    with_parameter,
)
from tests.reference.digits.points import dims, shared
from tests.reference.digits.record import Check, Finding

_EACH = 250


def _exact_erfinv(x: float) -> Real:
    return MP.erfinv(number(x))


def _ball(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """The root of the share of a ball, `betaincinv(1/2, (dim + 1)/2, lost)`."""
    for dim, count in zip(dims(rng), shared(points, _EACH), strict=False):
        lost = tails(rng, count)
        half = number(dim + 1) / 2
        front = MP.gamma(half + number(0.5)) / (MP.gamma(half) * MP.sqrt(MP.pi))
        roots = betaincinv(0.5, (dim + 1) / 2, lost)
        for at, found in zip(lost.tolist(), roots.tolist(), strict=True):
            x = number(found)
            if x < 1e-290:  # where `uniform_ball_l2` does not ask for it
                yield Finding(1.0, (dim, at, found))
                continue
            excess = beta_tail(number(0.5), half, x, 1 - x) - number(at)
            slope = front * MP.sqrt(x) * (1 - x) ** (half - 1)  # by ln x
            share = abs(excess / slope) / 2  # of its root, which is the radius
            yield Finding(float(1 - share / 1e-12), (dim, at, found, float(share)))


def _pareto_exact(q: Real, a: float) -> Real:
    return families.slab_of_power(q, 1 + 1 / number(a))


def _linf(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    for dim, count in zip(dims(rng), shared(points, _EACH), strict=False):
        q = tails(rng, count)
        for at, found in zip(q.tolist(), _law(dim).integral(q).tolist(), strict=True):
            exact = laplace.integral(dim, number(at))
            # Below tails of 1e-305 Psi is taken too large, which is safe.
            yield error(found, exact, 1e-12, (dim, at)) if at > 1e-290 else Finding(1.0, at=(at,))


def _divergence_exact(order: float) -> Callable[[Real, Real], Real]:
    s = 1 - number(order)

    def of(pA: Real, pB: Real) -> Real:
        with MP.workdps(120):  # next to a tie and to the order 1, half of the digits cancel
            mean = MP.sqrt(pA * pB) if s == 0 else ((pA**s + pB**s) / 2) ** (1 / s)
            return gaussian.minus_log_rest(pA, pB, mean)

    return of


def _divergence(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    orders = (0.5, 1.0, 2.0, 1.0 + 1e-9, 0.75, 1.5, 4.0)
    for order, count in zip(orders * 100, shared(points, 500), strict=False):
        library = partial(least_divergence, order=order)
        yield from of_levels(library, _divergence_exact(order), 1e-12, 1e-300, rng, count)


def _function(against: str, find: Any, *given: Any) -> Check:
    return Check("function", against, partial(find, *given) if given else find)


_NDTRI = ("margin 1e-13", simple, ndtri, lambda p: quantile(number(p), 1 - number(p)))
FUNCTION_CHECKS = {
    "ndtri": _function(*_NDTRI, both_sides, 1e-13),
    "erfinv": _function("margin 1e-13", simple, erfinv, _exact_erfinv, tails, 1e-13),
    "ndtr": _function(
        "margin 1e-12",
        simple,
        ndtr,
        lambda x: MP.erfc(-number(x) / MP.sqrt(2)) / 2,
        lambda rng, count: rng.uniform(-37, 37, count),
        1e-12,
    ),
    "expit": _function(
        "margin 2^-50",
        simple,
        expit,
        lambda x: 1 / (1 + MP.exp(-number(x))),
        lambda rng, count: rng.uniform(-700, 40, count),
        2.0**-50,
    ),
    "binomial root": _function("margin 2^-40", polished_root),
    "binomial tail at 1/2": _function("margin 2^-32", half_tail),
    "log wealth": _function("margin 2^-48 (16 + n log(n+1))", wealth),
    "log beta tail": _function("margin 2^-28", above),
    "betaincinv of a ball": _function("margin 1e-12", _ball),
    "Laplace quantile": _function(
        "margin 1e-15", simple, _tail, lambda q: -MP.log(2 * number(q)), tails, 1e-15
    ),
    "log pA/pB": _function(
        "margin 2e-15", of_levels, log_ratio, lambda a, b: MP.log(a / b), 2e-15, 2.3e-308
    ),
    "-log(1 - pA + pB)": _function(
        "margin 2e-15", of_levels, minus_log_rest, laplace.minus_log_rest, 2e-15, 0.0
    ),
    "least divergence": _function("margin 1e-12", _divergence),
    "Pareto integral": _function(
        "margin 1e-13",
        with_parameter,
        _integral,
        _pareto_exact,
        (3.0, 0.5, 100.0, 1.5),
        0.5,
        100.0,
        1e-13,
    ),
    "gamma quantile": _function(
        "margin 1e-12",
        with_parameter,
        _quantile,
        families.quantile,
        (1.0, 2.0, 100.0),
        1.0,
        100.0,
        1e-12,
    ),
    "slab integral": _function(
        "margin 1e-12",
        with_parameter,
        _slab_integral,
        families.slabs,
        (0.5, 0.1, 0.999),
        0.1,
        0.999,
        1e-12,
    ),
    "binomial integral": _function("margin 1e-12", _linf),
}
