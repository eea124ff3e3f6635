"""Search in one number, for every entry of an array at once; what is found errs low."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from radii.records import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

_GOLDEN = (5**0.5 - 1) / 2
_HUGE = 1e150  # its square is a number


def bisect(
    holds: Callable[[FloatArray], BoolArray],
    low: FloatArray | float,
    high: FloatArray | float,
    *,
    tolerance: float = 1e-13,
    steps: int = 100,
) -> FloatArray:
    """The largest number at which a statement holds that is true up to a root and false beyond.

    The result errs low: it is `low`, or a number about which `holds` was asked and said yes. So
    where each yes is a proof for its number, the result is proven, whatever the shape of `holds`.
    Where `holds` is monotone, the root lies above the result by less than a share `tolerance` of
    itself, or `2^-steps (high - low)`.

    Args:
        holds: `(*batch,)` float64 to `(*batch,)` bool. It is asked about the whole batch each time.
        low: `(*batch,)`, finite. Taken to hold without asking.
        high: `(*batch,)`, finite, at least `low`. Taken not to hold. Where it equals `low`, that
            is the answer; so entries without a search cost no steps.
        tolerance: The search of an entry ends when its interval is at most this share of its upper
            end, so that no entry's result depends on the others.
        steps: The search ends after so many halvings in any case.

    Returns:
        `(*batch,)` float64.
    """
    lower, upper = (np.array(end, np.float64) for end in np.broadcast_arrays(low, high))
    for _ in range(steps):
        wide = upper - lower > tolerance * np.abs(upper)
        if not wide.any():
            break
        middle = lower + (upper - lower) / 2
        yes = holds(middle)
        lower, upper = np.where(wide & yes, middle, lower), np.where(wide & ~yes, middle, upper)
    return lower


def root(
    function: Callable[[FloatArray, IntArray], FloatArray],
    low: FloatArray,
    high: FloatArray,
    *,
    tolerance: float = 1e-13,
) -> FloatArray:
    """Where a function falls through 0, by Ridders' method: a few steps, where `bisect` takes 50.

    Nothing is proven of the result; see `bisect` for that. Where the function has one root, the
    result is within about `tolerance` of it, as far as the digits of the function tell.

    Args:
        function: Numbers `(entries,)` and which entries of the batch they are for, `(entries,)`,
            to values `(entries,)` without NaN.
        low: `(batch,)`, finite. It is the result where the function is not positive there.
        high: `(batch,)`, finite, at least `low`. It is the result where the function is positive
            there.
        tolerance: The interval that is left is at most this long, or this share of its larger end.

    Returns:
        `(batch,)` float64.

    Reference:
        Ridders 1979, "A new algorithm for computing a single root of a real continuous function",
        IEEE Transactions on Circuits and Systems 26(11).
    """

    def value_at(x: FloatArray, at: IntArray) -> FloatArray:
        return np.clip(function(x, at), -_HUGE, _HUGE)

    above, below = (value_at(end, np.arange(len(end))) for end in (low, high))
    found = np.where(above > 0, high, low)
    at = np.flatnonzero((above > 0) & (below <= 0))
    lower, upper, above, below = low[at], high[at], above[at], below[at]
    while True:
        least = tolerance * np.maximum(np.maximum(np.abs(lower), np.abs(upper)), 1)
        far = upper - lower > least
        found[at] = lower + (upper - lower) / 2
        at, least = at[far], least[far]
        lower, upper, above, below = lower[far], upper[far], above[far], below[far]
        if not at.size:
            return found
        half = (upper - lower) / 2
        middle = lower + half
        value = value_at(middle, at)
        size = np.sqrt(value**2 - above * below)
        step = half * np.divide(value, size, out=np.zeros_like(size), where=size > 0)
        # Not at an end, so that one of the ends soon is at the other side of the root.
        point = np.clip(middle + step, lower + least / 2, upper - least / 2)
        for x, here in ((middle, value), (point, value_at(point, at))):
            left = here > 0
            lower, above = np.where(left, x, lower), np.where(left, here, above)
            upper, below = np.where(left, upper, x), np.where(left, below, here)


def maximise(
    function: Callable[[FloatArray], FloatArray],
    low: FloatArray | float,
    high: FloatArray | float,
    *,
    grid: int = 17,
    steps: int = 40,
) -> FloatArray:
    """Where in `[low, high]` a function is largest: a grid, then golden sections around its best.

    The value at the result errs low: it is a value of the function, so never above the supremum,
    and it is the largest of those that were seen. Where the function rises and then falls between
    the neighbours of the best point of the grid, the result is within
    `2 (high - low) / (grid - 1) 0.618^steps` of the place of the maximum, as far as the digits of
    the function tell (half of them for a smooth one: its value then has all).

    Args:
        function: `(*batch,)` float64 to `(*batch,)` float64 without NaN.
        low: `(*batch,)`, finite.
        high: `(*batch,)`, finite, at least `low`.
        grid: Points of the grid, both ends included, at least 2.
        steps: Golden sections.

    Returns:
        `(*batch,)` float64. The argument, not the value.
    """
    left, right = (np.array(end, np.float64) for end in np.broadcast_arrays(low, high))
    spacing = (right - left) / (grid - 1)
    best, most = left, function(left)
    for i in range(1, grid):
        point = np.minimum(left + i * spacing, right)
        value = function(point)
        best, most = np.where(value > most, point, best), np.maximum(value, most)
    left, right = np.maximum(best - spacing, left), np.minimum(best + spacing, right)
    inner, outer = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
    at_inner, at_outer = function(inner), function(outer)
    for step in range(steps + 1):
        for point, value in ((inner, at_inner), (outer, at_outer)):
            best, most = np.where(value > most, point, best), np.maximum(value, most)
        if step == steps:
            break
        falls = at_inner >= at_outer  # the maximum is left of `outer`
        left, right = np.where(falls, left, inner), np.where(falls, outer, right)
        fresh = np.where(falls, right - _GOLDEN * (right - left), left + _GOLDEN * (right - left))
        value = function(fresh)
        inner, outer = np.where(falls, fresh, outer), np.where(falls, inner, fresh)
        at_inner, at_outer = np.where(falls, value, at_outer), np.where(falls, at_inner, value)
    return best
