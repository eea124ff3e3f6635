"""Differential certificates of radial noise against the definition of Psi, in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from radii.certificates import CERTIFICATES
from radii.noise import Radial, RadialPower
from radii.records import ClassBounds
from radii.verification.independent import gaussian, laplace
from radii.verification.independent.laplace import half_gap
from radii.verification.independent.numbers import MP, Real, number
from tests.reference.digits.points import dims, levels, log_uniform, ordinary, scales, shared
from tests.reference.digits.record import Check, Finding
from tests.reference.digits.slopes import Slope, along_a_coordinate, along_a_sign

RadialNoise = Radial | RadialPower


def slope_of(noise: RadialNoise, dim: int) -> Slope:
    if isinstance(noise, Radial):
        return Slope(noise.exponent, noise.pole, 0.0, dim)
    return Slope(noise.exponent, 0.0, noise.a, dim)


def exact_of(noise: RadialNoise, norm: str, dim: int) -> Callable[[Real, Real], Real] | None:
    """What gives the exact radius of class bounds; None if it is not worked out here."""
    law = slope_of(noise, dim)
    if isinstance(noise, Radial) and noise.pole == 0:
        known = _reduced(noise, norm, dim)
        if known is not None:
            return known
    if noise.norm == "l2":
        if dim < 20:
            return None
        growth = along_a_coordinate(law)
        scale = number(noise.scale) / (MP.sqrt(dim) if norm == "linf" else 1)
    elif law.rises is None or (noise.norm, norm) == ("l1", "linf"):
        return None
    else:
        growth = along_a_sign(law, dim if (noise.norm, norm) == ("linf", "l1") else 1)
        scale = number(noise.scale)
    tail = lambda q: growth.integral(q) if q > 0 else MP.inf  # noqa: E731
    return lambda pA, pB: scale * half_gap(pA, pB, tail)


def _reduced(noise: Radial, norm: str, dim: int) -> Callable[[Real, Real], Real] | None:
    """Gaussian and Laplace noise, which have formulas."""
    if noise.norm == "l2" and noise.exponent == 2:
        unit = number(noise.scale) / MP.sqrt(2)
        longer = MP.sqrt(dim) if norm == "linf" else number(1)
        return lambda pA, pB: unit / longer * gaussian.tight(pA, pB, {"sigma": "1"}, None)
    if noise.norm == "l1" and noise.exponent == 1:
        of = laplace.tight if norm == "l1" else laplace.linf
        return lambda pA, pB: number(noise.scale) * of(pA, pB, {"b": "1"}, dim)
    return None


def slack_of(exact: Callable[[Real, Real], Real], r: float, pA: float, pB: float) -> float:
    """The share by which a radius is below the exact one."""
    found = exact(number(pA), number(pB))
    return 0.0 if MP.isinf(found) else float((found - number(r)) / number(r))


def _exponential(norm: str, rng: np.random.Generator) -> Iterator[tuple[RadialNoise, int]]:
    """Noises of one norm: with formulas, rising, falling, with a pole."""
    given, wanted = scales(rng), dims(rng)
    closed = {"l2": 2.0, "l1": 1.0}.get(norm, 2.0)
    while True:
        for kind in range(3):
            dim = max(next(wanted), 2)
            share = float(rng.uniform(0, 0.95))
            exponent = float(log_uniform(rng, 0.25, 1, 1)[0])
            made = [
                (closed, 0.0),
                (float(log_uniform(rng, 1, 16, 1)[0]) if kind else 1.0, 0.0),
                (exponent, share * (dim - 1)),
            ][kind]
            if norm == "l2":
                made = (closed, 0.0)
            yield Radial(norm, next(given), *made), dim  # type: ignore[arg-type]


def _power(norm: str, rng: np.random.Generator) -> Iterator[tuple[RadialNoise, int]]:
    given, wanted = scales(rng), dims(rng)
    while True:
        dim = max(next(wanted), 2)
        exponent = float(log_uniform(rng, 0.25, 1, 1)[0])
        a = dim / exponent * float(1.1 + log_uniform(rng, 1e-3, 10, 1)[0])
        yield RadialPower(norm, next(given), exponent, a), dim  # type: ignore[arg-type]


# Slopes along a coordinate are dear: these, and no others, by densities in double precision.
COORDINATE: tuple[tuple[RadialNoise, int], ...] = (
    (Radial("l2", 0.5, 2.0, 700.0), 3072),
    (Radial("l2", 2.0, 0.5), 20),
    (Radial("l2", 1.0, 4.0, 15.0), 32),
    (RadialPower("l2", 25.0, 2.0, 4000.0), 3072),
    (RadialPower("l2", 3.0, 1.0, 4000.0), 3072),
    (RadialPower("l2", 1.0, 0.5, 70.0), 30),
)
_SPHERES = {"l1": ("l1", "l2", "linf"), "l2": ("l2",), "linf": ("linf", "l2", "l1")}
_EACH = 1000
_MANY = 500  # points from which slopes along a coordinate are tried


def _differential(name: str, rng: np.random.Generator, points: int) -> Iterator[Finding]:
    kind: Any = CERTIFICATES[name]
    power = "power" in name
    drawn = [
        (_power if power else _exponential)(norm, rng)
        for norm in _SPHERES[kind.norm]
        if not (power and (norm == "l2" or (norm, kind.norm) == ("l1", "linf")))
    ]
    if not power and kind.norm == "linf":
        both = zip(scales(rng), dims(rng), strict=False)
        drawn[2] = ((Radial("l1", scale, 1.0), max(dim, 2)) for scale, dim in both)
    dear = [each for each in COORDINATE if isinstance(each[0], RadialPower) == power]
    use = points >= _MANY or not drawn
    for i, count in enumerate(shared(points, min(_EACH, max(points // 4, 20)))):
        if not drawn or (use and i % 2 == 0):
            noise, dim = dear[i // 2 % len(dear)] if points >= _MANY else dear[-1]
        else:
            noise, dim = next(drawn[i // 2 % len(drawn)])
        exact = exact_of(noise, kind.norm, dim)
        assert exact is not None, (noise, dim)
        pA, pB = levels(rng, count, i)
        radii = kind(noise, dim).radius(ClassBounds(pA, pB))
        for r, a, b in zip(radii.tolist(), pA.tolist(), pB.tolist(), strict=True):
            plain = ordinary(a, b)
            at = (name, noise, dim, a, b, r)
            if r == 0:
                yield Finding(None if a > b else 0.0, at, plain)
            else:
                yield Finding(slack_of(exact, r, a, b) if a > b else -1.0, at, plain)


RADIAL_CHECKS = {
    name: Check("certificate", "the definition of Psi, by quadrature", partial(_differential, name))
    for name in (
        *("radial_l1", "radial_l2", "radial_linf"),
        *("radial_power_l1", "radial_power_l2", "radial_power_linf"),
    )
}
