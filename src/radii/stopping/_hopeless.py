"""Counts at which to give up: what that costs is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radii.bounds._crossing import RARE, Step, Walk
from radii.records import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class _Look:
    """The step that leads to a look, and what may still happen there without a stop.

    Attributes:
        step: The successes between the look before and this one.
        least: The fewest successes in all that are worth counting.
        alive: Probabilities of `least` and more successes without a claim so far.
    """

    step: Step
    least: int
    alive: FloatArray


def hopeless(looks: IntArray, claim: IntArray, loss: float) -> IntArray:
    """The most successes, at each look, with which it is hopeless to go on.

    Who stops there may lose a claim. Let p* be the probability under which about half of all runs
    would have n draws end in a claim, `(claim[-1] - 0.7) / n`. The counts are chosen such that,
    under p*, the probability to be stopped at some look and to have claimed at a later one, were
    it not for the stop, is at most `loss`; by look j at most the share `sqrt(looks[j] / n)` of
    that. It is summed exactly, from the law of the count at each look (forwards) and the chance of
    a claim from each count (backwards).

    Runs that are stopped and would have claimed end with counts near `claim[-1]`, and these are
    most likely under p close to p*, so the loss of power is largest near there. Summed exactly over
    a grid of p, it was at most an eighth above `loss` (tests/unit/stopping). Wrong claims only
    become fewer.

    Args:
        looks: `(m,)` Draws made at each look, rising.
        claim: `(m,)` The fewest successes that claim; `looks + 1` where none suffice.
        loss: In [0, 1).

    Returns:
        `(m,)` int64, from -1 (none is hopeless) to `looks` (all are).
    """
    reachable = np.flatnonzero(claim <= looks)
    if not len(reachable):
        return looks.copy()
    last = reachable[-1]
    p = max(float(claim[last]) - 0.7, 0.3) / float(looks[last])
    walk = _forwards(looks, claim, p)
    chances = _backwards(walk, claim)
    counts = claim - 1  # where nobody arrives
    alive, least, spent = np.ones(1), 0, 0.0
    for j, (look, chance) in enumerate(zip(walk, chances, strict=True)):
        alive, least = np.convolve(alive, look.step.chances), least + look.step.first
        alive = alive[look.least - least :] if look.least > least else alive
        least = max(least, look.least)
        alive = alive[: max(look.least + len(look.alive) - least, 0)]
        cost = np.cumsum(alive * chance[least - look.least :][: len(alive)])
        budget = loss * math.sqrt(looks[j] / looks[last])
        given_up = int(np.searchsorted(cost, budget - spent, "right"))
        counts[j] = least + given_up - 1
        spent += float(cost[given_up - 1]) if given_up else 0.0
        alive, least = alive[given_up:], least + given_up
        if not len(alive):
            break
    return counts


def _forwards(looks: IntArray, claim: IntArray, p: float) -> list[_Look]:
    """The looks up to the last that is reached without a claim."""
    walk: list[_Look] = []
    alive, least = np.ones(1), 0
    for step, enough in zip(Walk(looks, p).steps, claim.tolist(), strict=True):
        alive, least = np.convolve(alive, step.chances), least + step.first
        alive = alive[: max(enough - least, 0)]
        kept = np.flatnonzero(alive > RARE)
        if not len(kept):
            break
        alive, least = alive[kept[0] : kept[-1] + 1], least + int(kept[0])
        walk.append(_Look(step, least, alive))
    return walk


def _backwards(walk: list[_Look], claim: IntArray) -> list[FloatArray]:
    """For each look and count: the chance of a claim at a later look."""
    chances = [np.zeros(len(walk[-1].alive))]
    for j in range(len(walk) - 1, 0, -1):
        here, after = walk[j - 1], walk[j]
        low = here.least + after.step.first
        k = low + np.arange(len(here.alive) + len(after.step.chances) - 1)
        at = k - after.least
        inside = (at >= 0) & (at < len(after.alive))
        then = np.where(inside, chances[-1][np.clip(at, 0, len(after.alive) - 1)], 0.0)
        then[k >= claim[j]] = 1.0
        chances.append(np.correlate(then, after.step.chances, "valid"))
    return chances[::-1]
