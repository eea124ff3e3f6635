"""Certified accuracy against radius, and how the radii of each run are spread."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radii.evaluation.metrics import certified_accuracy, certified_shares
from radii.evaluation.report.groups import Group
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.style import FAINT, INK, colour_of, dashes_of, settings
from radii.evaluation.report.summary import Report, Summary
from radii.records import FloatArray

_WIDTH = 5.6  # inches: text stays legible on a phone
_LETTERS = 62  # in a line of that width
_BINS = 40


def figure(report: Report) -> Figure:
    """Certified accuracy against radius, a curve a run, or a group of runs.

    Each curve is the exact step function: it falls just after the radius of each input that is
    certified right. The band is the 95 % interval at each radius on its own. The curve of a group
    is the mean of those of its runs, and the band one standard deviation to either side.
    """
    with settings():
        labels = [_folded(label) for label in _labels(report)]
        lines = sum(1 + label.count("\n") for label in labels)
        drawn = Figure(figsize=(_WIDTH, 3.1 + 0.18 * lines), layout="constrained")
        axes = drawn.add_subplot()
        end = _end(report.summaries)
        for position, line in enumerate(report.lines):
            x = _steps(line.runs if isinstance(line, Group) else [line], end)
            value, lower, upper = _curve(line, x)
            colour = colour_of(position)
            axes.fill_between(
                x,
                100 * lower,
                100 * upper,
                step="pre",
                color=colour,
                alpha=0.16 if len(report.lines) < 4 else 0.08,
                linewidth=0,
            )
            axes.step(
                x,
                100 * value,
                where="pre",
                color=colour,
                linestyle=dashes_of(position),
                linewidth=1.8,
            )
        axes.set(xlim=(0, end), ylim=(0, 100))
        axes.set_xlabel(_radius_axis(report.summaries))
        axes.set_ylabel("certified accuracy (% of inputs)")
        legend = drawn.legend(axes.lines, ["?"] * len(axes.lines), loc="outside lower center")
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label)  # matplotlib would leave out a label that begins with _
        _settle(drawn)
    return drawn


def distribution(report: Report) -> Figure:
    """How many inputs got which radius, a panel a run; wrong and abstained ones stand left of 0."""
    with settings():
        runs = report.summaries
        end = _end(runs)
        drawn = Figure(figsize=(_WIDTH, 0.6 + 1.2 * len(runs)), layout="constrained")
        panels = drawn.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
        for position, (axes, summary) in enumerate(zip(panels, runs, strict=True)):
            _bars(axes, summary, end, colour_of(report.line_of[position]))
            axes.set_title(_folded(report.labels[position]), loc="left", fontsize=9)
        panels[-1].set_xlabel(_radius_axis(runs))
        drawn.supylabel("inputs", fontsize=9)
        _settle(drawn)
    return drawn


def as_svg(figure: Figure) -> str:
    """The figure as an SVG document: the same figure gives the same text."""
    out = io.StringIO()
    nameless = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with settings():
        figure.savefig(out, format="svg", metadata=nameless)
    return out.getvalue()


def as_png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as a PNG file."""
    out = io.BytesIO()
    with settings():
        figure.savefig(out, format="png", dpi=dpi)
    return out.getvalue()


def _settle(figure: Figure) -> None:
    """Lays the figure out once and for all, so that saving it does not move anything."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _bars(axes: Axes, summary: Summary, end: float, colour: str) -> None:
    outcomes = summary.outcomes
    width = end / _BINS
    right = np.minimum(outcomes.radius[outcomes.correct], end)
    counts, edges = np.histogram(right, bins=_BINS, range=(0, end))
    axes.bar(edges[:-1], counts, width=width, align="edge", color=colour, linewidth=0)
    wrong = int(np.count_nonzero(~outcomes.correct & ~outcomes.abstained))
    abstained = int(np.count_nonzero(outcomes.abstained))
    for place, count, name, face in (
        (-3.5 * width, wrong, "wrong", INK),
        (-10 * width, abstained, "abstained", FAINT),
    ):
        axes.bar(place, count, width=3 * width, color=face, edgecolor=INK, linewidth=0.8)
        axes.annotate(
            f"{name}\n{count:,}",
            (place, count),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )
    axes.grid(visible=False, axis="x")
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(-13.5 * width, end)
    axes.margins(y=0.45)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= end])


def _end(runs: Sequence[Summary]) -> float:
    """Where the radius axis ends: a little after the last finite step of any run."""
    finite = [r for run in runs for r in run.outcomes.correct_radius if math.isfinite(r)]
    return 1.04 * max(finite, default=0.0) or 1.0


def _labels(report: Report) -> list[str]:
    """A label for each line."""
    of_runs = dict(zip(report.line_of, report.labels, strict=True))
    of_groups = iter(report.group_names)
    return [
        f"{next(of_groups)}, n={line.first.n:,}, alpha={line.first.alpha}: mean ± standard "
        f"deviation of {len(line.runs)} runs"
        if isinstance(line, Group)
        else of_runs[position]
        for position, line in enumerate(report.lines)
    ]


def _curve(line: Summary | Group, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Certified accuracy at radii `(steps,)`, and the ends of its band."""
    if isinstance(line, Group):
        shares = np.stack([certified_shares(run.outcomes, x) for run in line.runs])
        mean, deviation = shares.mean(axis=0), shares.std(axis=0, ddof=1)
        return mean, np.maximum(mean - deviation, 0), np.minimum(mean + deviation, 1)
    found = certified_accuracy(line.outcomes, x.tolist())
    value, lower, upper = ([getattr(s, key) for s in found] for key in ("value", "lower", "upper"))
    return np.array(value), np.array(lower), np.array(upper)


def _steps(runs: Sequence[Summary], end: float) -> FloatArray:
    """0, every radius at which a curve falls, and the end of the axis."""
    radii = np.concatenate([run.outcomes.correct_radius for run in runs])
    return np.unique(np.concatenate([[0.0], radii[np.isfinite(radii)], [end]]))


def _folded(label: str) -> str:
    """The label in lines that fit into the figure."""
    return "\n".join(textwrap.wrap(label, _LETTERS))


def _radius_axis(runs: Sequence[Summary]) -> str:
    norms = sorted({run.norm for run in runs})
    named = " or ".join(map(symbol, norms))
    return f"certified radius, {named} norm, in the units of the input"
