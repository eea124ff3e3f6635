"""Functional certificates: against formulas where there are any, else at the stored radius.

At a stored radius r the inequality `T_r(1 - pA) + T_r(pB) >= 1` is what is certified. For any t,
`T_r(u) >= S(-t) - exp(t) (u - S(t))` with `S(t) = P(L > t)`, so one t for each side is enough, and
may come from anywhere. S is an integral over the norm of the noise, in 50-digit arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from radii.certificates import CERTIFICATES
from radii.certificates._radial_law import RadialLaw
from radii.certificates._tradeoff import worst_ratio
from radii.noise import MixedLinf, Radial
from radii.records import ClassBounds, FloatArray
from radii.verification.independent import gaussian, laplace
from radii.verification.independent.numbers import MP, Real, number
from tests.reference.digits.points import dims, levels, log_uniform, ordinary, scales, shared
from tests.reference.digits.radial import slack_of
from tests.reference.digits.record import Check, Finding
from tests.reference.digits.shift import Shift

_EACH = 500
# Exponent, pole and dimension where there is no formula.
_POLYTOPE = ((0.5, 0.0, 3), (2.0, 0.0, 784), (1.0, 0.5, 10), (1.5, 2.0, 5), (2.0, 300.0, 784))
_BALL = ((0.5, 0.0, 3), (2.0, 300.0, 784), (1.0, 0.5, 10), (1.5, 2.0, 5), (2.0, 700.0, 784))


def lead(shift: Shift, pA: float, pB: float, ratios: tuple[float, float]) -> Real:
    """A bound below `T_r(1 - pA) + T_r(pB) - 1`, from any two t; once for `pB = 1 - pA`."""
    rest = 1 - number(pA)
    if number(pB) == rest:  # A keeps more than one half
        half = _kept(shift, rest, ratios[0])
        return 2 * (half - number(0.5))
    return _kept(shift, rest, ratios[0]) + _kept(shift, number(pB), ratios[1]) - 1


def _kept(shift: Shift, u: Real, t: float) -> Real:
    ratio = number(t)
    return shift.exceeds(-ratio) - MP.exp(ratio) * (u - shift.exceeds(ratio))


def _by_inequality(name: str, rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """The slack is the share of `pA - pB` by which A leads at the stored radius."""
    kind: Any = CERTIFICATES[name]
    ball = kind.norm == "l2"
    cases = _BALL if ball else _POLYTOPE
    for i, count in enumerate(shared(points, max(points // len(cases), 1))):
        exponent, pole, dim = cases[i % len(cases)]
        law = RadialLaw(exponent, pole, dim, "ball" if ball else "polytope")
        scale = float(log_uniform(rng, 1e-3, 1e3, 1)[0])
        certificate = kind(Radial(kind.norm, scale, exponent, pole), dim)
        far = 10.0 ** -rng.uniform(0.31, 12, count)
        pA = np.where(np.arange(count) % 2 == 0, 1 - far, rng.uniform(0.5, 1, count))
        less = 10.0 ** -rng.uniform(0, np.where(np.arange(count) % 2 == 0, 2, 16))
        pB = np.where(np.arange(count) % 3 == 0, 1 - pA, (1 - pA) * less)
        radii = certificate.radius(ClassBounds(pA, pB))
        unit = radii / scale * (1 - 1e-15)
        first, second = worst_ratio(law, unit, 1 - pA), worst_ratio(law, unit, pB)
        for j in range(count):
            r = number(float(radii[j])) / number(scale)
            shift = Shift(exponent, pole, dim, r, ball)
            a, b = float(pA[j]), float(pB[j])
            found = lead(shift, a, b, (float(first[j]), float(second[j])))
            slack = float(found / (number(a) - number(b)))
            yield Finding(slack, (name, certificate, a, b, float(radii[j])))


def _by_formula(name: str, rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """Gaussian and Laplace noise among the family, where the tables know nothing of the formula."""
    kind: Any = CERTIFICATES[name]
    each = max(points // 6, _EACH) if points >= _EACH else points
    for i, (count, scale, dim) in enumerate(
        zip(shared(points, each), scales(rng), dims(rng), strict=False)
    ):
        dim = max(dim, 2)
        unit, longer = number(scale), number(1)
        if kind.norm == "l2":
            noise: Any = Radial("l2", scale, 2.0)
            unit, tight = unit / MP.sqrt(2), gaussian.tight
        elif name.startswith("mixed"):
            noise, tight, longer = MixedLinf(scale, 0.0), gaussian.tight, MP.sqrt(dim)
        else:
            noise, tight = Radial(kind.norm, scale, 1.0), laplace.tight
        pA, pB = levels(rng, count, i)
        radii: FloatArray = kind(noise, dim).radius(ClassBounds(pA, pB))
        for r, a, b in zip(radii.tolist(), pA.tolist(), pB.tolist(), strict=True):
            at, plain = (name, noise, dim, a, b, r), ordinary(a, b)
            if r == 0:
                yield Finding(None if a > b else 0.0, at, plain)
                continue
            exact = partial(_times, tight, unit / longer)
            yield Finding(slack_of(exact, r, a, b) if a > b else -1.0, at, plain)


def _times(tight: Callable[..., Real], scale: Real, pA: Real, pB: Real) -> Real:
    return scale * tight(pA, pB, {"sigma": "1", "b": "1"}, None)


_FORMULA, _DUAL = "a formula: {}, without a pole", "the inequality at the stored radius"
FUNCTIONAL_CHECKS = {
    name: Check("certificate", _FORMULA.format(law), partial(_by_formula, name))
    for name, law in (
        ("radial_l2_functional", "Gaussian noise"),
        ("radial_l1_functional", "Laplace noise"),
        ("radial_linf_functional", "exponent 1"),
        ("mixed_linf_functional", "Gaussian noise"),
    )
} | {
    f"{name} (other laws)": Check("certificate", _DUAL, partial(_by_inequality, name), most)
    for name, most in (
        ("radial_l1_functional", 150),
        ("radial_linf_functional", 150),
        ("radial_l2_functional", 150),
    )
}
