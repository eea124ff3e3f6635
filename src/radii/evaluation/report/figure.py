"""Accuracy against radius, certified and under attack, and how the radii of each run are spread."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from radii.evaluation.report.attack_figure import draw_attacks
from radii.evaluation.report.curves import Curve, certified_end, curves_of, end_of
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.report import Report
from radii.evaluation.report.style import FAINT, INK, colour_of, dashes_of, settings
from radii.evaluation.report.summary import Summary

_WIDTH = 5.6  # inches: text stays legible on a phone
_LETTERS = 62  # in a line of that width
_BINS = 40


def figure(report: Report) -> Figure:
    """Accuracy against radius: a curve a run, or a group of runs, and a dashed one an attack run.

    Each curve of a certified run is the exact step function: it falls just after the radius of each
    input that is certified right. The band is the 95 % interval at each radius on its own. The
    curve of a group is the mean of those of its runs, and the band one standard deviation to either
    side. For the curves of attack runs see `attack_figure.py`.
    """
    with settings():
        end = end_of(report)
        curves = curves_of(report, end)
        labels = [_folded(curve.label) for curve in curves]
        lines = sum(1 + label.count("\n") for label in labels)
        drawn = Figure(figsize=(_WIDTH, 3.1 + 0.18 * lines), layout="constrained")
        axes = drawn.add_subplot()
        certified = [curve for curve in curves if curve.kind == "certified"]
        handles = [_drawn(axes, report, curve) for curve in certified]
        handles += draw_attacks(axes, report, curves[len(certified) :])
        axes.set(xlim=(0, end), ylim=(0, 100 if not report.attacks else 103))
        axes.set_yticks(range(0, 101, 20))
        norms = [run.norm for run in report.summaries] + [a.measured_norm for a in report.attacks]
        if report.attacks:
            axes.set_xlabel(_radius_axis("radius", norms))
            axes.set_ylabel("accuracy (% of inputs)")
        else:
            axes.set_xlabel(_radius_axis("certified radius", norms))
            axes.set_ylabel("certified accuracy (% of inputs)")
        legend = drawn.legend(handles, ["?"] * len(handles), loc="outside lower center")
        for text, label in zip(legend.get_texts(), labels, strict=True):
            text.set_text(label)  # matplotlib would leave out a label that begins with _
        _settle(drawn)
    return drawn


def distribution(report: Report) -> Figure:
    """How many inputs got which radius, a panel a run; wrong and abstained ones stand left of 0."""
    with settings():
        runs = report.summaries
        end = certified_end(runs)
        drawn = Figure(figsize=(_WIDTH, 0.6 + 1.2 * len(runs)), layout="constrained")
        panels = drawn.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
        for position, (axes, summary) in enumerate(zip(panels, runs, strict=True)):
            _bars(axes, summary, end, colour_of(report.line_of[position]))
            axes.set_title(_folded(report.labels[position]), loc="left", fontsize=9)
        panels[-1].set_xlabel(_radius_axis("certified radius", [run.norm for run in runs]))
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


def _drawn(axes: Axes, report: Report, curve: Curve) -> Line2D:
    """The curve and the band of a line of the report."""
    band = curve.at(curve.steps)
    assert band.lower is not None
    assert band.upper is not None
    colour = colour_of(curve.colour)
    faded = 0.5 if report.envelope else 1.0
    axes.fill_between(
        curve.steps,
        100 * band.lower,
        100 * band.upper,
        step="pre",
        color=colour,
        alpha=faded * (0.16 if len(report.lines) + len(report.attacks) < 4 else 0.08),
        linewidth=0,
    )
    (line,) = axes.step(
        curve.steps,
        100 * band.value,
        where="pre",
        color=colour,
        alpha=faded,
        linestyle="solid" if report.attacks else dashes_of(curve.colour),
        linewidth=1.8,
    )
    return line


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


def _folded(label: str) -> str:
    """The label in lines that fit into the figure."""
    return "\n".join(textwrap.wrap(label, _LETTERS))


def _radius_axis(what: str, norms: Sequence[str]) -> str:
    named = " or ".join(map(symbol, sorted(set(norms))))
    return f"{what}, {named} norm, in the units of the input"
