"""Bets against p, for stopping at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import betainc, betaln, expit, log1p, log_expit, xlogy

from radii.bounds._scores import ScoreBound
from radii.bounds.base import BOUNDS, check
from radii.records import ClassBounds, FloatArray, IntArray

# Of the log wealth, in units of 16 + n log(n + 1). SciPy's betaln was off by at most 2^-50.9 of
# them over 3,000 random points with n up to 1e9, and the other terms by less.
_MARGIN = 2.0**-48
_MARGIN_ABOVE = 2.0**-28  # the same for the tails of the beta laws, off by at most 1.1e-9
_OUTWARDS = 2.0**-50  # more than the error of expit
_HIGHEST = 40.0  # the logit of more than any float below 1
_ENOUGH = 1e-12
_STEPS = 200  # from a dozen to thirty are used; fewer than needed would err on the safe side


@BOUNDS.register("betting")
@dataclass(frozen=True)
class Betting(ScoreBound):
    """The p against which a gambler has not yet won `1 / alpha` times the stake.

    The gambler bets on each vote at the odds of p, and mixes all constant strategies by a prior
    Beta(c, c). After k successes in n votes the wealth is

        W_n(p) = B(k + c, n - k + c) / B(c, c) / (p^k (1 - p)^(n - k)),

    a non-negative martingale of mean 1 if p is the truth. By Ville's inequality it ever reaches
    `1 / alpha` with probability at most alpha, so the p with `W_n(p) < 1 / alpha` hold at all times
    n at once. W falls in p up to `k / n`, where it is at most 1. `lower` is the root of
    `W = 1 / alpha` below `k / n`, and `upper` the one above.

    With `truncated`, the gambler who tests whether p is the lower bound bets only on larger values:
    the prior is Beta(c, c) given that it exceeds p, and the wealth

        V_n(p) = W_n(p) P(Q > p | k, n) / P(Q > p),   Q ~ Beta(c, c), a posteriori and a priori,

    is again a martingale of mean 1, for each p by itself. Below `k / n`, V is at least W wherever W
    is at least 1, so the bound is never looser; it gains most where p is near 1. It too has one
    root below `k / n`. With theta = logit p and h the hazard of logit Q a priori,

        d log V / d theta = h (1 - 1 / V) - (k - n p).

    Where V = 1 / alpha this has the sign of `(1 - alpha) h / (k - n p) - 1`, which changes once at
    most and upwards, since h rises (the density of logit Q is log-concave). So V falls through
    `1 / alpha` before it could rise through it, and since it is at most 1 at `k / n`, it does not.

    It also holds for scores X in [0, 1] of mean p, with k their sum. A bet on q multiplies the
    wealth by `(q/p)^X ((1-q)/(1-p))^(1-X)`. This is convex in X, so at most the line between its
    ends, `X q/p + (1-X) (1-q)/(1-p)`, whose mean is 1. So W and V are non-negative
    supermartingales, and Ville's inequality stands. All that is said of roots is true of every real
    k. And the bound rises with k: at a fixed p, W and V are mixtures of exponentials of k, hence
    convex, and at most 1 at `k = n p`, so above that they rise wherever they are more than 1.
    The variance of the scores is not used; where it is small, `empirical_bernstein` gives more.

    Roots are found in theta by Newton's method from the left, with the slope of log W. log W is
    convex in theta, and log V falls less steeply, so every iterate stays on the rejected side, and
    stopping early errs downwards. The log of the wealth is counted lower by more than the error of
    its terms, 2^-48 (16 + n log(n + 1)) and 2^-28 more if truncated, and the result moved outwards
    by a share of 2^-50.

    Attributes:
        prior: c, in (0, 1]; 0.5 is Krichevsky and Trofimov's, 1 is uniform. Up to 1 the bound rises
            with k.
        truncated: Whether to bet only on the side of the bound.

    Reference:
        Ville 1939; Robbins 1970; Krichevsky and Trofimov 1981; for smoothing, Voracek 2024,
        arXiv:2406.17830.

    Example:
        >>> k, n = np.array([50, 100, 100_000]), np.array([100, 100, 100_000])
        >>> Betting().lower(k, n, alpha=0.001).round(5)
        array([0.29262, 0.90679, 0.99987])
        >>> Betting(truncated=True).lower(k, n, alpha=0.001).round(5)
        array([0.29726, 0.9225 , 0.99992])
    """

    prior: float = 0.5
    truncated: bool = False
    anytime: ClassVar[bool] = True
    examples = ({}, {"truncated": True}, {"prior": 1.0})

    def __post_init__(self) -> None:
        """Refuses a prior for which this is no bound that rises with k."""
        if not 0 < self.prior <= 1:
            raise ValueError(f"prior must be in (0, 1], got {self.prior!r}")

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds at every stopping time n."""
        k, n = check(k, n, alpha)
        p = expit(self._logit(np.maximum(k, 1), n, alpha))
        return np.where(k == 0, 0.0, p * (1 - _OUTWARDS))

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds at every stopping time n."""
        k, n = check(k, n, alpha)
        p = expit(-self._logit(np.maximum(n - k, 1), n, alpha))
        return np.where(k == n, 1.0, np.minimum(p * (1 + _OUTWARDS), 1.0))

    def mean_bounds(
        self, sums: FloatArray, squares: FloatArray, n: IntArray, alpha: float
    ) -> ClassBounds:
        """Bounds from scores; see `ScoreBound.mean_bounds`. Hold at every stopping time n.

        Sums below one half say nothing. The squares are not used.
        """
        theta = self._logit(np.maximum(sums, 0.5), n, alpha)
        lower, rest = expit(theta) * (1 - _OUTWARDS), expit(-theta) * (1 + _OUTWARDS)
        small = sums < 0.5
        return ClassBounds(np.where(small, 0.0, lower), np.where(small, 1.0, np.minimum(rest, 1.0)))

    def _logit(self, k: IntArray | FloatArray, n: IntArray, alpha: float) -> FloatArray:
        """Logit of the lower bound for k successes, `k >= 1/2`, from below."""
        c, failures = self.prior, n - k
        a, b = np.asarray(k + c, np.float64), np.asarray(failures + c, np.float64)
        known = betaln(a, b) - betaln(c, c) + math.log(alpha) - _MARGIN * (16 + xlogy(n, n + 1))
        if self.truncated:
            known -= _MARGIN_ABOVE
        theta = known / k  # where W would reach 1 / alpha if failures cost nothing
        for _ in range(_STEPS):
            p, rest = expit(theta), expit(-theta)
            excess = known - k * log_expit(theta) - failures * log_expit(-theta)
            if self.truncated:
                excess += _log_above(a, b, p, rest) - _log_above(c, c, p, rest)
            step = excess / (k * rest - failures * p)
            moves = step > _ENOUGH * (1 + np.abs(theta))
            if not moves.any():
                break
            theta = np.where(moves, np.minimum(theta + step, _HIGHEST), theta)
        return np.asarray(theta)


def _log_above(
    a: FloatArray | float, b: FloatArray | float, p: FloatArray, rest: FloatArray
) -> FloatArray:
    """`log P(Q > p)` for Q ~ Beta(a, b), where `rest` is `1 - p` with its own digits."""
    below = betainc(a, b, p)
    small = below < 0.5
    by_rest = xlogy(1, betainc(b, a, rest))
    return np.asarray(np.where(small, log1p(-np.where(small, below, 0.0)), by_rest))
