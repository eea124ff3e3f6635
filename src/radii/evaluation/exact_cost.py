"""What exact noise costs, measured."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from radii.noise import Noise
from radii.smoothing import SamplingPlan, SmoothedClassifier

if TYPE_CHECKING:
    from torch import Tensor

_SECONDS = 0.2  # of a turn, about
_TURNS = 5


def share_lost(
    smoothed: SmoothedClassifier, other: Noise, index: int, x: Tensor, plan: SamplingPlan
) -> float:
    """By what share fewer draws a second there are than under another noise.

    Both take turns for a second each, about, and the median of the ratios counts.

    Args:
        smoothed: The smoothed classifier.
        other: What its noise is compared with.
        index: Of the input.
        x: `(*shape)`. The input.
        plan: With a seed. The draws are those of predictions, of which a run uses none.
    """
    sides = smoothed, replace(smoothed, noise=other)

    def seconds(side: SmoothedClassifier, draws: int) -> float:
        started = time.perf_counter()
        for _ in side.votes_each([(index, x)], draws, plan):
            pass
        return time.perf_counter() - started

    draws = max(plan.block, 4 * smoothed.round_rows(x, plan) if x.is_cuda else 0)
    for side in sides:
        seconds(side, draws)  # tables are made, and code is compiled
    draws = max(draws, int(draws * _SECONDS / seconds(sides[1], draws)))
    ratios = [seconds(sides[1], draws) / seconds(sides[0], draws) for _ in range(_TURNS)]
    return 1 - statistics.median(ratios)
