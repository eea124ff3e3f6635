"""Integrals between roots and jumps, by the rule of Takahasi and Mori, in 50-digit arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from radii.records import FloatArray
from radii.verification.independent.numbers import MP, Real, number

_ENDS = 3.4


@lru_cache(maxsize=4)
def _rule(density: int) -> list[tuple[Real, bool, Real]]:
    """Shares of a piece to its nearer end, whether this is the last, and weights."""
    found = []
    for i in range(-int(_ENDS * density), int(_ENDS * density) + 1):
        at = number(i) / density
        bent = MP.pi / 2 * MP.sinh(at)
        share = 1 / (1 + MP.exp(2 * abs(bent)))
        found.append((share, i > 0, MP.pi / 4 * MP.cosh(at) / MP.cosh(bent) ** 2 / density))
    return found


def integral(of: Callable[[Real], Real], cuts: list[Real], density: int) -> Real:
    """The integral over consecutive pieces; roots and jumps at their ends do no harm.

    Args:
        of: The integrand.
        cuts: Ends of the pieces, rising.
        density: Nodes in a unit of the rule, of which there are seven in a piece.
    """
    total, rule = number(0), _rule(density)
    for low, high in pairwise(cuts):
        width = high - low
        if width <= 0:
            continue
        places = [high - width * share if last else low + width * share for share, last, _ in rule]
        total += width * MP.fdot([weight for _, _, weight in rule], [of(x) for x in places])
    return total


def rule(density: int) -> tuple[FloatArray, FloatArray]:
    """Nodes in [0, 1] and weights of the same rule, as floats."""
    nodes = [(float(1 - share if last else share), float(w)) for share, last, w in _rule(density)]
    places, weights = np.array(nodes).T
    return places, weights


def windows(
    height: FloatArray, inside: Callable[[float], bool], grid: FloatArray, depth: float
) -> list[tuple[float, float]]:
    """Where a function is above `exp(-depth)` of its maximum on a grid.

    Args:
        height: Its logarithm on the grid; -infinity is outside.
        inside: Whether it is more than 0. An end next to the outside is refined by bisection.
        grid: Rising.
        depth: See above.
    """
    seen = np.concatenate([[False], height > height.max() - depth, [False]]).astype(int)
    edges = np.flatnonzero(np.diff(seen))
    found = []
    for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
        ends = []
        for at, beyond in ((first, max(first - 1, 0)), (last, min(last + 1, len(grid) - 1))):
            inner, outer = float(grid[at]), float(grid[beyond])
            if np.isneginf(height[beyond]):
                for _ in range(60):
                    middle = (inner + outer) / 2
                    inner, outer = (middle, outer) if inside(middle) else (inner, middle)
                outer = inner
            ends.append(outer)
        found.append((ends[0], ends[1]))
    return found
