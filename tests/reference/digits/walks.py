"""The probability to reach a boundary, in whole numbers with 220 binary digits after the point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from radii.bounds import Calibrated
from tests.reference.digits.points import log_uniform, shared
from tests.reference.digits.record import Finding
from tests.reference.high_precision import CONTEXT

_BITS = 220
_SLOT = (2 * _BITS + 24) // 8 + 1  # bytes, room for a sum of products
_FIRST = ((0.001, 400), (0.5, 2_000), (1e-12, 60), (0.05, 100), (0.001, 20_000), (0.01, 100_000))
_THRESHOLDS = ("0.5/0.9/0.99", "0.5", "0.3/0.7/0.95", "0.98/0.999")


def reached(p: float, looks: Sequence[int], boundary: Sequence[int]) -> Fraction:
    """P(at some look, at least as many successes as its boundary), off by less than 1e-55."""
    alive, least, done, found = [1 << _BITS], 0, 0, 0
    for draws, wall in zip(looks, boundary, strict=True):
        step, first = _binomial(draws - done, p)
        alive, least, done = _product(alive, step), least + first, draws
        stay = min(max(wall - least, 0), len(alive))
        found += sum(alive[stay:])
        alive = alive[:stay]
        while alive and alive[0] == 0:  # too rare for 220 digits
            alive, least = alive[1:], least + 1
        if not alive:
            break
    return Fraction(found, 1 << _BITS)


def _binomial(n: int, p: float) -> tuple[list[int], int]:
    """The binomial law where it is above 2^-220, and the count that it starts with."""
    mode = min(int((n + 1) * p), n)
    numerator, denominator = p.as_integer_ratio()
    rest = denominator - numerator
    log, loggamma = CONTEXT.log, CONTEXT.loggamma
    ways = loggamma(n + 1) - loggamma(mode + 1) - loggamma(n - mode + 1)
    chance = mode * log(CONTEXT.mpf(p)) + (n - mode) * log(1 - CONTEXT.mpf(p))
    top = int(CONTEXT.floor(CONTEXT.ldexp(CONTEXT.exp(ways + chance), _BITS)))
    above, below = [top], []
    for k in range(mode, n):
        above.append(above[-1] * ((n - k) * numerator) // ((k + 1) * rest))
        if not above[-1]:
            break
    last = top
    for k in range(mode, 0, -1):
        last = last * (k * rest) // ((n - k + 1) * numerator)
        if not last:
            break
        below.append(last)
    return below[::-1] + above, mode - len(below)


def _product(one: list[int], other: list[int]) -> list[int]:
    """The convolution, as one product of two large numbers with a slot for each entry."""
    left, right = (
        int.from_bytes(b"".join(v.to_bytes(_SLOT, "little") for v in values), "little")
        for values in (one, other)
    )
    many = len(one) + len(other) - 1
    packed = (left * right).to_bytes(_SLOT * (many + 1), "little")
    return [
        int.from_bytes(packed[i * _SLOT : (i + 1) * _SLOT], "little") >> _BITS for i in range(many)
    ]


def calibrated(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """Boundaries of several thresholds, alphas and caps; then claims at many counts.

    The slack of a claim is that of the threshold claimed: the share of alpha that its boundary
    leaves.
    """
    for i, count in enumerate(shared(points, max(10, points // 25))):
        alpha, cap = float(log_uniform(rng, 1e-12, 0.5, 1)[0]), int(log_uniform(rng, 40, 5e3, 1)[0])
        if i < len(_FIRST):
            alpha, cap = _FIRST[i]
        bound = Calibrated(_THRESHOLDS[i % 4], cap, (0.8, 0.3)[i % 2], (32, 5)[i // 2 % 2])
        looks, boundaries = bound.looks.tolist(), bound.boundaries(alpha).tolist()
        exact = Fraction(alpha)
        left = [
            float((exact - reached(p, looks, row)) / exact)
            for p, row in zip(bound.values, boundaries, strict=True)
        ]
        n = rng.integers(1, cap + 1, count)
        n[::2] = rng.choice(looks, len(n[::2]))
        k = n - np.minimum(n, (n * rng.uniform(0, 1, count) ** 3).astype(np.int64))
        lower, upper = bound.lower(k, n, alpha), bound.upper(n - k, n, alpha)
        for j in range(count):
            at = (bound, alpha, int(k[j]), int(n[j]), float(lower[j]), float(upper[j]))
            claimed = [q for q in bound.values if q <= max(lower[j], 1 - upper[j])]
            known = all(
                _claims(int(k[j]), int(n[j]), looks, boundaries[bound.values.index(q)])
                for q in claimed
            )
            slack = min(left[: len(claimed)], default=0.0) if known else -1.0
            yield Finding(slack, at, bool(claimed))


def _claims(k: int, n: int, looks: list[int], boundary: list[int]) -> bool:
    """Whether k of n successes must have reached the boundary at a look, or will."""
    return any(
        (k - (n - t) if t <= n else k) >= wall for t, wall in zip(looks, boundary, strict=True)
    )
