"""The binomial bound that spends all of its alpha, by one uniform number an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import betainc, betaincc, betaln, xlog1py, xlogy

from radii.bounds.base import BOUNDS, check, hard
from radii.bounds.clopper_pearson import ClopperPearson, beta_tail, margin
from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes

Side = Literal["lower", "upper"]

_FROM_ONE = 2.0**-40  # least distance of a bound from a certainty that it does not have
_ENOUGH = 2.0**-44  # of log p; the step after such a one is far smaller
_STEPS = 100  # four are used on average, and 19 were the most of 4,000 roots


@BOUNDS.register("randomized_clopper_pearson")
@dataclass(frozen=True)
class RandomizedClopperPearson(ClopperPearson):
    """The p at which `u P(K >= k) + (1 - u) P(K > k)` is alpha; u is uniform, drawn with the votes.

    Proof that it holds. Let k be drawn from the same Binomial(n, p) as K. Given k, the number
    `u P(K >= k) + (1 - u) P(K > k)` is uniform between `P(K > k)` and `P(K >= k)`. These intervals
    lie side by side, each as long as its k is likely, so the number is uniform on [0, 1]. At each k
    and u it rises with p, and `lower` is the p at which it is alpha. So `lower` is above the truth
    with probability alpha, no more and no less. Clopper-Pearson is u = 1, and spends less: counts
    are whole. The bound of k successes lies between Clopper-Pearson's of k and of k + 1.

    `upper` of n - k is the same statement about failures, with the same u: the q at which
    `u P(K <= n - k) + (1 - u) P(K < n - k)` is alpha for K ~ Binomial(n, q). So it is
    `1 - lower(k)` with digits of its own, and both are wrong on one event. The larger u, the larger
    `upper`.

    u is `Counts.tie`, and nobody may choose it: the statement is about votes and u together.
    Without a tie, u = 1 is taken, which holds as Clopper-Pearson does. The gain is an average over
    u. With unanimous votes and a small u the bound is almost 1, and `u <= alpha` rejects every p.
    To stay finite, `lower` is at most `1 - 2^-40` and `upper` at least 2^-40, which makes it safer
    for p beyond these only. Both sides are moved outwards as those of Clopper-Pearson are, for the
    functions behind them are the same.

    Reference:
        Stevens 1950, Biometrika 37, "Fiducial limits of the parameter of a discontinuous
        distribution"; the bound that spends less is of Clopper and Pearson 1934.

    Example:
        >>> k, tie = np.array([99, 99, 99, 100]), np.array([0.0, 0.5, 1.0, 1.0])
        >>> RandomizedClopperPearson().lower(k, 100, alpha=0.001, tie=tie).round(4)
        array([0.9333, 0.9175, 0.9114, 0.9333])
    """

    randomized: ClassVar[bool] = True

    def lower(
        self, k: IntArray, n: IntArray | int, alpha: float, tie: FloatArray | None = None
    ) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds for this n only.

        For every p: P(lower(K, n, alpha, U) <= p) = 1 - alpha, K ~ Binomial(n, p), U uniform.

        Args:
            k: `(*batch,)` int64. Successes, `0 <= k <= n`.
            n: Draws, fixed before looking.
            alpha: Failure probability of this one-sided statement, in (0, 1).
            tie: `(*batch,)` in [0, 1]. u; if None, 1.
        """
        if tie is None:
            return super().lower(k, n, alpha)
        k, n, u = _check(k, n, alpha, tie)
        p = np.where(k == n, np.exp(_log_all(u, alpha) / n), -np.expm1(_log_none(u, alpha) / n))
        inside = (k > 0) & (k < n)
        p[inside] = _root("lower", k[inside], n[inside], alpha, u[inside])
        return np.asarray(p * (1 - margin(n)))

    def upper(
        self, k: IntArray, n: IntArray | int, alpha: float, tie: FloatArray | None = None
    ) -> FloatArray:
        """A bound above p; see `lower` and `Bound.upper`. Holds for this n only."""
        if tie is None:
            return super().upper(k, n, alpha)
        k, n, u = _check(k, n, alpha, tie)
        p = np.where(k == 0, -np.expm1(_log_all(u, alpha) / n), np.exp(_log_none(u, alpha) / n))
        inside = (k > 0) & (k < n)
        p[inside] = _root("upper", k[inside], n[inside], alpha, u[inside])
        return np.asarray(np.clip(p * (1 + margin(n)), _FROM_ONE, 1.0))

    def class_bounds(self, votes: Counts | SoftVotes, top: IntArray, alpha: float) -> ClassBounds:
        """Bounds on pA and pB that hold together; see `Bound.class_bounds`. Uses `votes.tie`."""
        counts = hard(self, votes)
        k, n = counts.of(top), counts.n
        return ClassBounds(
            self.lower(k, n, alpha, counts.tie), self.upper(n - k, n, alpha, counts.tie)
        )


def _check(
    k: IntArray, n: IntArray | int, alpha: float, tie: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    k, n = check(k, n, alpha)
    u = np.asarray(tie, dtype=np.float64)
    if u.shape not in ((), k.shape):
        raise ValueError(f"tie must be one number an input, {k.shape}, got {u.shape}")
    if not np.all((u >= 0) & (u <= 1)):
        raise ValueError(f"tie must be in [0, 1], got {u.tolist()!r}")
    return k, n, np.broadcast_to(u, k.shape)


def _log_all(u: FloatArray, alpha: float) -> FloatArray:
    """`log(alpha / u)` where u is above alpha, else 0: `n log p` for k = n, `u p^n = alpha`."""
    return -np.log1p(np.maximum(u - alpha, 0) / alpha)


def _log_none(u: FloatArray, alpha: float) -> FloatArray:
    """`log((1 - alpha) / (1 - u))` where u is below alpha, else 0: `n log(1 - p)` for k = 0."""
    return -np.log1p(np.maximum(alpha - u, 0) / (1 - alpha))


def _root(side: Side, k: IntArray, n: IntArray, alpha: float, u: FloatArray) -> FloatArray:
    """The p at which the tail is alpha, for 0 < k < n.

    Newton's method for log p and the log of the tail, between the Clopper-Pearson bounds of k and
    of its neighbour, by halves where it would leave them.
    """
    bound = getattr(ClopperPearson(), side)
    if side == "lower":  # u P(K >= k) + (1 - u) P(K > k), and the bounds at u = 1 and 0
        a, sign, first, last = k, 1, bound(k, n, alpha), bound(k + 1, n, alpha)
    else:  # u P(K <= k) + (1 - u) P(K < k)
        a, sign, first, last = k + 1, -1, bound(k, n, alpha), bound(k - 1, n, alpha)
    at = np.log(first), np.log(last)
    low = np.minimum(*at) - 4 * margin(n)
    high = np.minimum(np.maximum(*at) + 4 * margin(n), 0.0)
    x, settled = u * at[0] + (1 - u) * at[1], np.zeros(k.shape, dtype=bool)
    for _ in range(_STEPS):
        p = np.exp(x)
        value = u * _tail(side, a, n, p) + (1 - u) * _tail(side, a + sign, n, p)
        slope = sign * (u * _density(a, n, p) + (1 - u) * _density(a + sign, n, p))
        left = (value < alpha) == (sign > 0)
        low, high = np.where(left, x, low), np.where(left, high, x)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            moved = x + value * np.log(alpha / value) / slope
        moved = np.where((moved >= low) & (moved <= high), moved, (low + high) / 2)
        step = np.abs(moved - x)
        x = np.where(settled, x, moved)
        settled |= step <= _ENOUGH
        if settled.all():
            break
    return np.asarray(np.exp(x))


def _tail(side: Side, a: IntArray, n: IntArray, p: FloatArray) -> FloatArray:
    """`P(K >= a)` for K ~ Binomial(n, p), or for `upper` `P(K < a)`."""
    return beta_tail(betainc if side == "lower" else betaincc, a, n - a + 1, p)


def _density(a: IntArray, n: IntArray, p: FloatArray) -> FloatArray:
    """The derivative of `P(K >= a)` by log p."""
    return np.asarray(np.exp(xlogy(a, p) + xlog1py(n - a, -p) - betaln(a, n - a + 1)))
