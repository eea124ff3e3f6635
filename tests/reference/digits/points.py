"""Random and extreme points: counts, class bounds, noises, dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from radii.records import FloatArray, IntArray

_TINY = 5e-324
# The first ones of every run: next to a tie, next to certainty, next to nothing.
EXTREME_LEVELS = [
    (math.nextafter(0.5, 1), None),
    (0.5 + 1e-9, None),
    (1 - 1e-16, None),
    (math.nextafter(1, 0), None),
    (1.0, 0.0),
    (1.0, _TINY),
    (1.0, 2.3e-308),
    (0.5, math.nextafter(0.5, 0)),
    (1e-280, 1e-281),
    (1e-290, 1e-310),
    (1e-290, 0.0),
    (0.3, 0.0),
    (0.5, 1e-300),
    (0.75, 0.25),
    (0.9, 0.2),
    (math.nextafter(1, 0), 0.5),
    (1e-12, 1e-13),
    (0.3, math.nextafter(0.3, 0)),
    (1 - 1e-12, 1e-12),
    (0.6, 0.2),
]
EXTREME_COUNTS = [(k, n) for n in (1, 2, 11, 100_000, 10**7) for k in sorted({0, 1, n - 1, n})]
EXTREME_ALPHAS = (1e-12, 0.5, 0.001, 0.05)
DIMS = (1, 2, 3, 10, 784, 3072, 150_528)
SIGMAS = (1e-3, 1e3, 0.5)


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> FloatArray:
    """Numbers of all sizes between two."""
    return np.asarray(10 ** rng.uniform(math.log10(low), math.log10(high), size))


def shared(points: int, each: int) -> Iterator[int]:
    """A number of points in parts of at most `each`."""
    while points > 0:
        yield min(points, each)
        points -= each


def levels(rng: np.random.Generator, count: int, first: int) -> tuple[FloatArray, FloatArray]:
    """`pA_lower` and `pB_upper`: `count` of them, A ahead by the last bit at least.

    pA is at least 1e-290, so that radii are no subnormal numbers, which have fewer digits.

    The extreme ones stand in front, all of them for the first noise, and some for the others.
    """
    far, deep = 10.0 ** -rng.uniform(0.31, 16, count), 10.0 ** -rng.uniform(0.31, 285, count)
    u, v, kind = rng.uniform(size=count), rng.uniform(size=count), rng.integers(0, 9, count)
    close, sure, plain = 0.5 + far / 2, 1 - far, 0.5 + u / 2
    lone = np.select([kind == 0, kind == 1], [close, sure], plain)
    pairs = {
        3: (plain, deep * (1 - plain)),
        4: (deep, deep * 10.0 ** -(5 * v)),
        5: (u, u * (1 - far)),
        6: (plain, 1 - plain + v * (2 * plain - 1)),
        7: (u, v * np.minimum(u, 1 - u)),
        8: (sure, far * v),
    }
    pA = np.select([kind == k for k in pairs], [a for a, _ in pairs.values()], lone)
    pB = np.select([kind == k for k in pairs], [b for _, b in pairs.values()], 1 - lone)
    chosen = range(len(EXTREME_LEVELS)) if first == 0 else rng.permutation(len(EXTREME_LEVELS))[:4]
    for i, j in zip(range(count), chosen, strict=False):
        a, b = EXTREME_LEVELS[j]
        pA[i], pB[i] = a, 1 - a if b is None else b
    pA = np.clip(pA, 1e-290, 1)
    return pA, np.where(pB < pA, pB, np.nextafter(pA, 0))


def ordinary(pA: float, pB: float) -> bool:
    """Whether A has 1 % at least and leads by 1 % of that, and B is likelier than 1e-15."""
    return pA >= 0.01 and pA - pB >= 0.01 * pA and pB >= 1e-15


def counts(rng: np.random.Generator, count: int, first: int) -> tuple[IntArray, IntArray]:
    """Successes and draws up to 10^7, the extreme ones in front."""
    n = np.rint(log_uniform(rng, 1, 1e7, count)).astype(np.int64)
    near = np.minimum(n, rng.geometric(0.2, count))
    kinds = [rng.integers(0, n + 1), near, n - near, n, (0.9 * n).astype(np.int64), 0 * n]
    k = np.select([rng.integers(0, 11, count) // 2 == i for i in range(5)], kinds[:5], kinds[5])
    chosen = range(len(EXTREME_COUNTS)) if first == 0 else rng.permutation(len(EXTREME_COUNTS))[:4]
    for i, j in zip(range(count), chosen, strict=False):
        k[i], n[i] = EXTREME_COUNTS[j]
    return k, n


def alphas(rng: np.random.Generator) -> Iterator[float]:
    """From 1e-12 to 1/2, the ends first."""
    yield from EXTREME_ALPHAS
    while True:
        yield float(log_uniform(rng, 1e-12, 0.5, 1)[0])


def dims(rng: np.random.Generator) -> Iterator[int]:
    """From 1 to 150,528."""
    yield from DIMS[::-1]
    while True:
        yield round(float(log_uniform(rng, 1, 150_528, 1)[0]))


def scales(rng: np.random.Generator) -> Iterator[float]:
    """From 0.001 to 1000."""
    yield from SIGMAS
    while True:
        yield float(log_uniform(rng, 1e-3, 1e3, 1)[0])
