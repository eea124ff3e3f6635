"""Accuracy under attack against radius, in the figure of the certified runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from radii.evaluation.report.curves import Curve
from radii.evaluation.report.style import INK, colour_of

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report

_DASHES: tuple[Any, ...] = (
    *((0, (5, 2)), (0, (1.4, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2))),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
)


def draw_attacks(axes: Axes, report: Report, curves: Sequence[Curve]) -> list[Line2D]:
    """The curves of the attack runs, the clean lines and the envelope.

    A curve falls at the norm of each perturbation under which a right answer was lost, and ends
    with a dot at the epsilon of the attack, if it has one. Its colour is that of the certified run
    of the same classifier.

    Returns:
        What the legend shows, in the order of the curves.
    """
    faded = 0.5 if report.envelope else 1.0
    return [_drawn(axes, curve, faded) for curve in curves]


def _drawn(axes: Axes, curve: Curve, faded: float) -> Line2D:
    colour = colour_of(curve.colour)
    if curve.kind == "clean":
        height = 100 * float(curve.at(curve.steps).value[0])
        return axes.axhline(height, color=colour, linewidth=0.7, alpha=faded)
    if curve.kind == "attack":
        (line,) = axes.step(
            curve.steps,
            100 * curve.at(curve.steps).value,
            where="post",
            color=colour,
            alpha=faded,
            linestyle=_DASHES[curve.nth % len(_DASHES)],
            linewidth=1.5,
            marker="o" if math.isfinite(curve.reach) else None,
            markevery=[len(curve.steps) - 1],
            markersize=4,
            clip_on=False,
        )
        return line
    ends = curve.steps
    at = np.unique(np.concatenate([ends, np.nextafter(ends, np.inf)]))  # both sides of each step
    dashes: Any = "solid" if curve.kind == "best certified" else (0, (4, 1.6))
    (line,) = axes.plot(at, 100 * curve.at(at).value, color=INK, linewidth=2.2, linestyle=dashes)
    return line
