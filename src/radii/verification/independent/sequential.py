"""The error of a sequential test of a probability, and what its boundaries claim.

A test has for each threshold, at each look, the fewest successes that claim it. It is as good as
its error: the chance, if the probability is the threshold, to reach its boundary at some look.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_UNIT = 2.0**-53
_RARE = 1e-30  # chances of counts that are given up at the ends, and counted as errors
_TIDY = 64  # draws between


def most_error(p: float, looks: Sequence[int], fewest: Sequence[int]) -> float:
    """A bound above the chance to have `fewest[j]` successes in `looks[j]` draws at some look j.

    The law of the count is followed from one draw to the next. It is a sum of products of numbers
    that are not negative, so errors add up: three roundings a draw, and to add up what leaves, less
    than one more a draw and 100 in all.

    Args:
        p: Of a success, in (0, 1).
        looks: Draws at each look, rising.
        fewest: Successes with which the count leaves there; more than the draws is never.
    """
    alive, least, left = np.ones(1), 0, 0.0
    done = 0
    for look, leaves in zip(looks, fewest, strict=True):
        for draw in range(done, look):
            after = np.zeros(len(alive) + 1)
            after[:-1] = (1 - p) * alive
            after[1:] += p * alive
            alive = after
            if draw % _TIDY == 0:
                kept = np.flatnonzero(alive > _RARE)
                if not len(kept):
                    return _above(left + float(alive.sum()), look)
                first, last = int(kept[0]), int(kept[-1]) + 1
                left += float(alive[:first].sum() + alive[last:].sum())
                alive, least = alive[first:last], least + first
        done = look
        stay = min(max(leaves - least, 0), len(alive))
        left += float(alive[stay:].sum())
        alive = alive[:stay]
    return _above(left, done)


def _above(value: float, draws: int) -> float:
    """A number over what so many draws may have put it below the true one."""
    return value * (1 + 4 * (draws + 100) * _UNIT) + 1e-300  # the latter for what underflows


def claimed(
    k: int,
    n: int,
    thresholds: Sequence[float],
    looks: Sequence[int],
    fewest: Sequence[Sequence[int]],
) -> float:
    """The largest threshold that k successes in n draws claim, or 0.

    If n is no look, the draws after the last one may have been successes, and those up to the next
    one may be failures.

    Args:
        k: Successes.
        n: Draws.
        thresholds: Rising.
        looks: Draws at each look, rising.
        fewest: For each threshold, the fewest successes at each look.
    """
    best = 0.0
    for threshold, boundary in zip(thresholds, fewest, strict=True):
        before = [j for j, look in enumerate(looks) if look <= n]
        after = [j for j, look in enumerate(looks) if look > n]
        at_last = bool(before) and k - (n - looks[before[-1]]) >= boundary[before[-1]]
        at_next = bool(after) and k >= boundary[after[0]]
        if at_last or at_next:
            best = max(best, threshold)
    return best


def nested(fewest: Sequence[Sequence[int]]) -> bool:
    """Whether a larger threshold never needs fewer successes, at any look."""
    return all(
        low <= high for one, other in pairwise(fewest) for low, high in zip(one, other, strict=True)
    )
