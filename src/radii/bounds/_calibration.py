"""The boundary of a sequential test, as low as its exact error allows."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache

import numpy as np
from scipy.special import betainc, betaln, xlogy

from radii.bounds._crossing import Walk
from radii.records import FloatArray, IntArray

# Log levels of the sequential test, above that of Ville's inequality; the last is never reached.
_LEVELS = np.append(np.arange(1, 2**13) * (9 / 2**13) - 3, np.inf)
_PRIOR = 0.5


@lru_cache(maxsize=512)
def boundary(p: float, alpha: float, share: float, looks: tuple[int, ...]) -> tuple[int, ...]:
    """The fewest successes at each look that claim `p`; one more than all where none suffice.

    Under p, the probability to reach them at some look is at most alpha, by `Walk.crossings`, which
    rounds up. How they are found decides how good they are, not whether they hold: first the last
    look gets the fewest successes that `share * alpha` allows; then the level of the betting test
    at the looks before is lowered until alpha is spent; then the last look takes what is left.

    Args:
        p: The threshold, in (0, 1).
        alpha: Error to spend, in (0, 1).
        share: Of alpha, for the last look at least.
        looks: Draws at each look, rising.
    """
    t = np.array(looks, dtype=np.int64)
    cap = looks[-1]
    walk = Walk(t, p)

    def error(claim: IntArray, last: int) -> float:
        return walk.crossings(np.append(claim[:-1], last)).most_up

    def fewest(claim: IntArray, spend: float) -> int:
        counts = range(cap + 1)
        return bisect_left(
            counts, True, lo=math.ceil(cap * p), key=lambda last: error(claim, last) <= spend
        )

    last = fewest(t + 1, share * alpha)  # and the sequence spends what this leaves
    levels = np.maximum(_LEVELS - math.log(alpha), 0.0)
    lowest = bisect_left(
        levels[:-1], True, key=lambda level: error(_betting(t, p, level), last) <= alpha
    )
    sequence = _betting(t, p, levels[lowest])
    return (*(int(b) for b in sequence[:-1]), fewest(sequence, alpha))


def _betting(t: IntArray, p: float, level: float) -> IntArray:
    """The fewest successes in t draws for which the log wealth of a truncated bet reaches level."""
    below, above = (t * p).astype(np.int64), t + 1
    while np.any(below + 1 < above):
        middle = (below + above) // 2
        enough = _log_wealth(middle, t, p) >= level  # never where they meet: no gain at the mean
        below, above = np.where(enough, below, middle), np.where(enough, middle, above)
    return np.asarray(above)


def _log_wealth(k: IntArray, t: IntArray, p: float) -> FloatArray:
    """Of the bet on Beta(c, c) above p; see `Betting`. An error here only moves the boundary."""
    c = _PRIOR
    a, b = k + c, t - k + c
    ahead = betaln(a, b) - betaln(c, c) - xlogy(k, p) - xlogy(t - k, 1 - p)
    tail, prior = betainc(b, a, 1 - p), betainc(c, c, 1 - p)
    return np.asarray(ahead + xlogy(1, tail) - math.log(prior))
