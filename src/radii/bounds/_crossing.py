"""When a walk of votes first crosses a boundary: exact probabilities, by recursion over counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radii.records import FloatArray, IntArray

RARE = 1e-26  # a probability that is left out and, where it matters, counted as an error
LEFT_OUT = 2e-26  # of each step, at most
_UNIT = 2.0**-53


@dataclass(frozen=True, eq=False)
class Crossings:
    """Where the walk ends: at each look, by crossing upwards or downwards.

    Attributes:
        looks: `(m,)` int64. Draws made at each look.
        up: `(m,)` float64. Probability that the upper boundary is the first one met, at this look.
        down: `(m,)` float64. The same for the lower boundary; at the last look, everything that
            crossed none.
        dropped: Probability of the counts that were left out as too rare.
        rounding: Bound on the relative error of every number in `up` and `down`.
    """

    looks: IntArray
    up: FloatArray
    down: FloatArray
    dropped: float
    rounding: float

    @property
    def most_up(self) -> float:
        """The probability to cross upwards at some look, rounded up over every error made here."""
        return (float(self.up.sum()) + self.dropped) * (1 + self.rounding)

    @property
    def mean_draws(self) -> float:
        """Expected number of draws until the walk ends."""
        return float(self.looks @ (self.up + self.down))


class Walk:
    """The successes in independent draws, looked at now and then.

    Between two looks the law of the count is convolved with a binomial law; at a look, counts of at
    least `upper` and of at most `lower` leave. Every number is a sum of products of numbers that
    are not negative, so relative errors add up and nothing cancels. In units of `u = 2^-53`, and
    with w the number of binomial weights kept:

    - a weight is a product of at most w ratios of neighbours, each with at most five roundings and
      one for the product, from the mean outwards; normalising at most doubles that, and
      adds two: `12 w + 2`;
    - an entry of the convolution sums at most w products: `w + 1` more;
    - what leaves, and the looks, are added up in pairs: less than 100 in all.

    So `16 (w + 8)` a look is more than enough, products of errors included; `rounding` is the sum
    of twice that. Counts rarer than 1e-26 are left out, and so are steps far from the mean, of
    2e-26 a look at most; `dropped` is what they add up to.

    Args:
        looks: `(m,)` Draws made at each look, rising.
        p: Success probability, in (0, 1).
    """

    def __init__(self, looks: IntArray, p: float) -> None:
        self.looks = looks
        self.steps = [_binomial(draws, p) for draws in np.diff(looks, prepend=0).tolist()]

    def crossings(self, upper: IntArray, lower: IntArray | None = None) -> Crossings:
        """Where the walk ends.

        Args:
            upper: `(m,)` It leaves with at least so many successes; `looks + 1` is never.
            lower: `(m,)` It leaves with at most so many; -1 is never, and the default.
        """
        lower = np.full(len(self.looks), -1) if lower is None else lower
        up, down = np.zeros(len(self.looks)), np.zeros(len(self.looks))
        alive, least, dropped, rounding = np.ones(1), 0, 0.0, 0.0
        for j, step in enumerate(self.steps):
            alive, least = np.convolve(alive, step.chances), least + step.first
            dropped += LEFT_OUT
            rounding += 32 * _UNIT * (len(step.chances) + 8)
            leave = min(max(int(upper[j]) - least, 0), len(alive))
            stay = min(max(int(lower[j]) + 1 - least, 0), leave)
            up[j], down[j] = alive[leave:].sum(), alive[:stay].sum()
            alive, least = alive[stay:leave], least + stay
            kept = np.flatnonzero(alive > RARE)
            if not len(kept):
                dropped += float(alive.sum())
                break
            rare, alive = alive, alive[kept[0] : kept[-1] + 1]
            dropped += float(rare[: kept[0]].sum() + rare[kept[-1] + 1 :].sum())
            least += int(kept[0])
        else:
            down[-1] += alive.sum()
        return Crossings(self.looks, up, down, dropped, rounding)


def crossings(
    looks: IntArray, p: float, upper: IntArray, lower: IntArray | None = None
) -> Crossings:
    """Where the walk with success probability p ends; see `Walk`."""
    return Walk(looks, p).crossings(upper, lower)


@dataclass(frozen=True, eq=False)
class Step:
    """The successes in the draws between two looks.

    Attributes:
        chances: Probability of `first` and more.
        first: The fewest.
    """

    chances: FloatArray
    first: int


def _binomial(n: int, p: float) -> Step:
    """A binomial law: products of ratios of neighbours, from the mean outwards.

    Counts further than `width` from the mean, rounded down, are left out. These are further than
    `t = 40 + 11 sigma` from it, and by Bernstein's inequality each side of them has a probability
    of at most `exp(-t^2 / (2 sigma^2 + 2 t / 3))`. As `t^2 = 121 sigma^2 + 880 sigma + 1600` is at
    least `60 (2 sigma^2 + 2 t / 3)`, that is at most exp(-60), and both have less than 2e-26.
    """
    mean, odds = int(n * p), p / (1 - p)
    width = 41 + int(11 * math.sqrt(n * p * (1 - p)))
    k = np.arange(mean, min(n, mean + width))
    above = np.cumprod((n - k) * odds / (k + 1))
    k = np.arange(mean, max(0, mean - width), -1)
    below = np.cumprod(k / ((n - k + 1) * odds))
    weights = np.concatenate([below[::-1], [1.0], above])
    return Step(weights / weights.sum(), mean - len(below))
