"""Which radii have a column, where there is room for few."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from radii.rounding import exact

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report

_MOST = 5


def columns_of(report: Report) -> list[tuple[int, str]]:
    """Positions and names of the few radii, above 0, that a table a run a line has room for.

    They end where nothing is certified any more.
    """
    last = max(
        (
            at
            for run in report.summaries
            for at, (_, share) in enumerate(run.certified_accuracy)
            if share.value
        ),
        default=len(report.radii) - 1,
    )
    named = list(enumerate(exact(report.radii)))[: last + 1]
    positive = [each for each in named if report.radii[each[0]] > 0] or named
    stride = math.ceil(len(positive) / _MOST)
    return positive[stride - 1 :: stride]
