"""Functions of one number as Chebyshev series on panels, in 50-digit arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from radii.verification.independent.numbers import MP, Real

_MANY = 28  # nodes a panel
_ANGLES = [MP.pi * (2 * i + 1) / (2 * _MANY) for i in range(_MANY)]
NODES = [-MP.cos(angle) for angle in _ANGLES]
_ROWS = [
    [(1 if k == 0 else 2) * MP.cos(k * (MP.pi - angle)) / _MANY for angle in _ANGLES]
    for k in range(_MANY)
]
_BASE = [[MP.cos(k * (MP.pi - angle)) for k in range(_MANY + 1)] for angle in _ANGLES]


def fitted(values: list[Real]) -> list[Real]:
    """The coefficients of the series through values at the nodes."""
    return [MP.fdot(row, values) for row in _ROWS]


def settled(coefficients: list[Real], values: list[Real], enough: float, spread: float) -> bool:
    """Whether the series has converged, and the values are of one size."""
    most = max(abs(c) for c in coefficients)
    tail = max(abs(c) for c in coefficients[-4:])
    least = min(abs(v) for v in values)
    return bool(tail <= enough * most and max(abs(v) for v in values) <= spread * least)


def primitive(coefficients: list[Real], half: Real) -> list[Real]:
    """The series of the integral from the left end, over a panel of that half width."""
    c = [*coefficients, MP.mpf(0), MP.mpf(0)]
    found = [MP.mpf(0)]
    for k in range(1, len(coefficients) + 1):
        before = 2 * c[0] if k == 1 else c[k - 1]
        found.append(half * (before - c[k + 1]) / (2 * k))
    found[0] = -sum((c if k % 2 == 0 else -c) for k, c in enumerate(found) if k)
    return found


def at(coefficients: list[Real], x: Real) -> Real:
    """The series at x in [-1, 1], by Clenshaw's recursion."""
    one = two = MP.mpf(0)
    for c in reversed(coefficients[1:]):
        one, two = c + 2 * x * one - two, one
    return coefficients[0] + x * one - two


def at_nodes(coefficients: list[Real]) -> list[Real]:
    """The series at all nodes."""
    many = len(coefficients)
    return [MP.fdot(row[:many], coefficients) for row in _BASE]


@dataclass(frozen=True)
class Panel:
    """A panel and the series of one function on it, with its values at the nodes."""

    low: Real
    high: Real
    coefficients: list[Real]
    values: list[Real]

    @property
    def half(self) -> Real:
        """Half of the width."""
        return (self.high - self.low) / 2

    @property
    def places(self) -> list[Real]:
        """The nodes."""
        return [self.low + self.half * (1 + x) for x in NODES]


def panels(
    of: Callable[[Real], Any], low: Real, high: Real, first: int, enough: float, spread: float
) -> list[Panel]:
    """Consecutive panels, halved until the series of the function converges on each.

    Args:
        of: The function, positive.
        low: Left end.
        high: Right end.
        first: Panels to begin with.
        enough: The last coefficients are to be below this share of the largest.
        spread: By so much the function may vary within a panel.
    """
    ends = [low + (high - low) * i / first for i in range(first + 1)]
    waiting = [(ends[i], ends[i + 1]) for i in range(first)][::-1]
    done: list[Panel] = []
    while waiting:
        a, b = waiting.pop()
        values = [of(a + (b - a) / 2 * (1 + x)) for x in NODES]
        coefficients = fitted(values)
        if settled(coefficients, values, enough, spread):
            done.append(Panel(a, b, coefficients, values))
        else:
            assert b - a > 1e-13, (a, b)
            waiting += [((a + b) / 2, b), (a, (a + b) / 2)]
    return done
