"""When a walk of votes first crosses a boundary: exact probabilities, by recursion over counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radii.records import FloatArray, IntArray

RARE = 1e-26  # a probability that is left out and, where it matters, counted as an error
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
      one for the product, from the largest weight outwards; normalising at most doubles that, and
      adds two: `12 w + 2`;
    - an entry of the convolution sums at most w products: `w + 1` more;
    - what leaves, and the looks, are added up in pairs: less than 100 in all.

    So `16 (w + 8)` a look is more than enough, products of errors included; `rounding` is the sum
    of twice that. Counts and steps rarer than 1e-26 are left out, and `dropped` is what they add up
    to.

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
            dropped += step.rare
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
        rare: More than the probability of what was left out.
    """

    chances: FloatArray
    first: int
    rare: float


def _binomial(n: int, p: float) -> Step:
    """A binomial law: products of ratios of neighbours, from the largest outwards.

    The ratios fall outwards, so beyond a window there is at most a geometric series.
    """
    mode = min(int((n + 1) * p), n)
    odds, width = p / (1 - p), int(50 + 12 * math.sqrt(n * p * (1 - p)))
    k = np.arange(mode, min(n, mode + width))
    ratios_above = (n - k) * odds / (k + 1)
    k = np.arange(mode, max(0, mode - width), -1)
    ratios_below = k / ((n - k + 1) * odds)
    above, below = np.cumprod(ratios_above), np.cumprod(ratios_below)
    weights = np.concatenate([below[::-1], [1.0], above])
    beyond = 0.0
    for tail, ratios, more in (
        (above, ratios_above, mode + width < n),
        (below, ratios_below, mode - width > 0),
    ):
        if more:
            beyond += float(tail[-1] / (1 - ratios[-1]))
    total = weights.sum()
    weights, beyond = weights / total, beyond / total
    kept = np.flatnonzero(weights > RARE)
    low, high = int(kept[0]), int(kept[-1]) + 1
    rare = float(weights[:low].sum() + weights[high:].sum()) + beyond
    return Step(weights[low:high], mode - len(below) + low, rare * (1 + 2.0**-20) + 1e-290)
