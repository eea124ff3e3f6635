"""Errors of functions in double precision, as shares of the margins claimed for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from radii.records import ClassBounds, FloatArray
from radii.verification.independent.numbers import MP, Real, number
from tests.reference.digits.points import levels, log_uniform, shared
from tests.reference.digits.record import Finding

_EACH = 250


def error(found: float, exact: Real, margin: float, at: object) -> Finding:
    """Slack of a relative error."""
    if exact == 0 or MP.isinf(exact):
        return Finding(1.0 if found == float(exact) else -1.0, (at, found))
    share = abs(number(found) - exact) / abs(exact)
    return Finding(float(1 - share / margin), (at, found, float(share)))


def tails(rng: np.random.Generator, count: int) -> FloatArray:
    """Numbers in (0, 1/2], of every size."""
    q = np.where(
        rng.uniform(size=count) < 0.5,
        10.0 ** -rng.uniform(0.302, 300, count),
        0.5 - 10.0 ** -rng.uniform(0.302, 16, count),
    )
    q[: min(count, 3)] = (0.5, 0.25, math.nextafter(0.5, 0))[: min(count, 3)]
    return np.maximum(q, 5e-324)


def both_sides(rng: np.random.Generator, count: int) -> FloatArray:
    q = tails(rng, count)
    return np.where(rng.uniform(size=count) < 0.5, q, np.minimum(1 - q, 1 - 2.0**-53))


def simple(
    library: Callable[[FloatArray], FloatArray],
    exact: Callable[[float], Real],
    draw: Callable[[np.random.Generator, int], FloatArray],
    margin: float,
    rng: np.random.Generator,
    points: int,
) -> Iterator[Finding]:
    x = draw(rng, points)
    for at, found in zip(x.tolist(), library(x).tolist(), strict=True):
        yield error(found, exact(at), margin, at)


def with_parameter(
    library: Callable[[FloatArray, float], FloatArray],
    exact: Callable[[Real, float], Real],
    values: tuple[float, ...],
    low: float,
    high: float,
    margin: float,
    rng: np.random.Generator,
    points: int,
) -> Iterator[Finding]:
    for i, count in enumerate(shared(points, _EACH)):
        value = values[i] if i < len(values) else float(log_uniform(rng, low, high, 1)[0])
        q = tails(rng, count)
        for at, found in zip(q.tolist(), library(q, value).tolist(), strict=True):
            yield error(found, exact(number(at), value), margin, (at, value))


def of_levels(
    library: Callable[[ClassBounds], FloatArray],
    exact: Callable[[Real, Real], Real],
    margin: float,
    least: float,
    rng: np.random.Generator,
    points: int,
) -> Iterator[Finding]:
    """Functions of pA and pB, where pB is not too small to be a float with all digits."""
    for i, count in enumerate(shared(points, 1000)):
        pA, pB = levels(rng, count, i)
        pB = np.maximum(pB, least)
        pA = np.maximum(pA, np.nextafter(pB, 1))
        found = library(ClassBounds(pA, pB))
        for a, b, value in zip(pA.tolist(), pB.tolist(), found.tolist(), strict=True):
            yield error(value, exact(number(a), number(b)), margin, (a, b))
