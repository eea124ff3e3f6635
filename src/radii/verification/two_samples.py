"""Whether two counts of votes can come from one classifier, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import gammaln


def fisher(k: int, n: int, other: int, m: int) -> float:
    """Two-sided p-value of Fisher's exact test: k of n draws, and `other` of m.

    Twice the smaller tail of the hypergeometric law of k given the total, at most 1. Where both
    have the same probability, it is below any level with at most that probability.

    Example:
        >>> fisher(5, 10, 5, 10), round(fisher(10, 10, 0, 10), 8)
        (1.0, 1.083e-05)
    """
    total = k + other
    values = np.arange(max(0, total - m), min(n, total) + 1)
    log = _log_choose(n, values) + _log_choose(m, total - values) - _log_choose(n + m, total)
    chances = np.exp(log)
    tail = min(chances[values <= k].sum(), chances[values >= k].sum())
    return float(min(1.0, 2 * tail * (1 + 1e-6)))  # rounded up


def same_votes(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """P-value of the hypothesis that all classes are equally likely in both samples.

    The least of Fisher's over the classes that got a vote, times how many they are.

    Example:
        >>> same_votes({0: 90, 1: 10}, {0: 88, 1: 12})
        1.0
    """
    n, m = (int(sum(votes.values())) for votes in (one, other))
    classes = sorted({*one, *other})
    least = min(fisher(int(one.get(c, 0)), n, int(other.get(c, 0)), m) for c in classes)
    return min(1.0, least * len(classes))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values as they count among all of them: any below a level is wrong with at most that.

    Example:
        >>> holm([0.01, 0.4, 0.02])
        [0.03, 0.4, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _log_choose(
    n: int, k: int | np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(gammaln(n + 1) - gammaln(np.asarray(k) + 1) - gammaln(n - np.asarray(k) + 1))
