"""The figure as a part of a page: shapes that stretch with it, and text that does not.

Positions are in a box of 1000 by 1000 that the page stretches to its width. Text stands beside it
as HTML, so that it has the size of the page's text at every width.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radii.evaluation.report.curves import Band, Curve, certified_end, curves_of, end_of
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.report import Report
from radii.evaluation.report.style import PALETTE
from radii.evaluation.report.summary import Summary
from radii.records import FloatArray
from radii.rounding import exact, percent_ceiled, percent_floored

_SIDE = 1000
_COLUMNS = 600  # steps of a curve that the width of a page can show
_POINTS = 200  # radii at which the page tells the values
_BINS = 40
_LEFT = 20  # widths of a bin that those wrong and abstained take, left of 0
_FEW = 8  # curves that may have bands, and values in the description
_DASHES = ("", "8 3", "2 3", "10 3 2 3")
_ATTACK_DASHES = ("7 4", "2 3", "9 3 2 3", "14 4", "5 3 2 3 2 3")

Steps = tuple[FloatArray, Band]


@dataclass(frozen=True)
class Shape:
    """A path and how it looks.

    Attributes:
        kind: `band`, `curve`, `thin`, `best`, `dot` or `bar`; the page's style knows these.
        path: The `d` of its element.
        colour: A colour of the page.
        dashes: Lengths of dashes and gaps, in pixels; empty for a solid line.
    """

    kind: str
    path: str
    colour: str
    dashes: str = ""


@dataclass(frozen=True)
class Plot:
    """A picture of the page.

    Attributes:
        about: What it shows, in words and numbers, for those who cannot see it.
        x_title: Below it.
        y_title: Above its axis.
        x_ticks: Place in percent of the width, and text.
        y_ticks: Place in percent of the height, from below, and text.
        shapes: From back to front.
        legend: A line, as a shape without a path, and its text.
        readings: JSON: radii, and the values of each curve there; empty if there are none.
    """

    about: str
    x_title: str
    y_title: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    shapes: tuple[Shape, ...]
    legend: tuple[tuple[Shape, str], ...] = ()
    readings: str = ""


def curves_plot(report: Report) -> Plot:
    """Accuracy against radius; see `figure`."""
    end = end_of(report)
    curves = curves_of(report, end)
    bands, lines, legend = [], [], []
    for curve in curves:
        steps = _thinned(curve, end)
        shape = _line(curve, steps, end, attacked=bool(report.attacks))
        lines.append(shape)
        legend.append((Shape(shape.kind, "", shape.colour, shape.dashes), curve.label))
        if curve.kind == "certified" and len(curves) <= _FEW:
            bands.append(_band(curve, steps, end))
        if curve.kind == "attack" and math.isfinite(curve.reach):
            height = float(curve.at(curve.steps).value[-1])
            place = f"M{_x(curve.steps[-1], end)} {_y(height)}h0"
            lines.append(Shape("dot", place, shape.colour))
    norms = sorted({r.norm for r in report.summaries} | {a.measured_norm for a in report.attacks})
    what = "radius" if report.attacks else "certified radius"
    step = _nice(end / 5)
    ticks = [step * k for k in range(int(end / step) + 1)]
    return Plot(
        about=_about(report, curves),
        x_title=f"{what}, {' or '.join(map(symbol, norms))} norm, in the units of the input",
        y_title=f"{'accuracy' if report.attacks else 'certified accuracy'}, % of inputs",
        x_ticks=tuple((100 * t / end, f"{t:.10g}") for t in ticks),
        y_ticks=tuple((share, f"{share}") for share in range(0, 101, 20)),
        shapes=tuple(bands + lines),
        legend=tuple(legend),
        readings=_readings(curves, end),
    )


def radii_plot(run: Summary, colour: int, end: float | None = None) -> Plot:
    """How many inputs of a run got which radius; wrong and abstained ones stand left of 0."""
    end = certified_end([run]) if end is None else end
    outcomes = run.outcomes
    right = np.minimum(outcomes.radius[outcomes.correct], end)
    counts, _ = np.histogram(right, bins=_BINS, range=(0, end))
    abstained = int(np.count_nonzero(outcomes.abstained))
    wrong = len(outcomes) - len(right) - abstained
    top = 3 * _nice(max(*counts.tolist(), wrong, abstained, 1) / 3)
    width = _SIDE / (_BINS + _LEFT)
    bars = "".join(_bar((_LEFT + i) * width, width, count / top) for i, count in enumerate(counts))
    step = _nice(end / 4)
    ticks = [
        (100 * (_LEFT + _BINS * k * step / end) / (_BINS + _LEFT), f"{k * step:.10g}")
        for k in range(int(end / step) + 1)
    ]
    lost = ((1, abstained, "abstained"), (12, wrong, "wrong"))
    return Plot(
        about=(
            f"Certified radii of {len(right):,} right inputs, from 0 to {end:.3g}; "
            f"{wrong:,} wrong, {abstained:,} abstained"
        ),
        x_title=f"certified radius, {symbol(run.norm)} norm",
        y_title="inputs",
        x_ticks=(
            *((100 * (at + 1.5) * width / _SIDE, f"{name}\n{count:,}") for at, count, name in lost),
            *ticks,
        ),
        y_ticks=tuple((100 * k / 3, f"{k * top / 3:,.0f}") for k in range(4)) if top >= 3 else (),
        shapes=(
            Shape("bar", bars, _colour(colour)),
            *(
                Shape("bar", _bar(at * width, 3 * width, count / top), "var(--soft)")
                for at, count, _ in lost
            ),
        ),
    )


def _line(curve: Curve, steps: Steps, end: float, *, attacked: bool) -> Shape:
    path = _steps(curve, steps, end)
    if curve.kind == "certified":
        position = curve.colour
        dashes = "" if attacked else _DASHES[(position + position // len(PALETTE)) % len(_DASHES)]
        return Shape("curve", path, _colour(position), dashes)
    if curve.kind == "attack":
        dashes = _ATTACK_DASHES[curve.nth % len(_ATTACK_DASHES)]
        return Shape("curve", path, _colour(curve.colour), dashes)
    if curve.kind == "clean":
        return Shape("thin", path, _colour(curve.colour))
    dashes = "" if curve.kind == "best certified" else "7 4"
    return Shape("best", path, "currentColor", dashes)


def _steps(curve: Curve, steps: Steps, end: float) -> str:
    """The path of a step function, no finer than the page can show; never above the true one."""
    x, value = steps
    falls_after = curve.kind in ("certified", "best certified")
    path = [f"M0 {_y(value.value[0])}"]
    last = path[0].partition(" ")[2]
    for before, at, here, there in zip(x, x[1:], value.value, value.value[1:], strict=False):
        height = _y(there if falls_after else here)
        if height != last:
            path.append(f"H{_x(before, end)}V{height}")
            last = height
        if at == x[-1]:
            path.append(f"H{_x(at, end)}")
            if not falls_after and _y(there) != last:
                path.append(f"V{_y(there)}")
    return "".join(path)


def _band(curve: Curve, steps: Steps, end: float) -> Shape:
    x, band = steps
    assert band.lower is not None
    assert band.upper is not None
    ahead = [f"M0 {_y(band.upper[0])}"]
    back: list[str] = []
    for before, at, up, low in zip(x, x[1:], band.upper[1:], band.lower[1:], strict=False):
        ahead.append(f"V{_y(up)}H{_x(at, end)}")
        back.append(f"V{_y(low)}H{_x(before, end)}")
    return Shape("band", "".join([*ahead, *reversed(back), "Z"]), _colour(curve.colour))


def _thinned(curve: Curve, end: float) -> Steps:
    x = curve.steps[curve.steps <= end]
    if len(x) > _COLUMNS:
        x = x[np.round(np.linspace(0, len(x) - 1, _COLUMNS)).astype(np.int64)]
    return x, curve.at(x)


def _readings(curves: Sequence[Curve], end: float) -> str:
    """Radii in round steps, and what each curve is there, in tenths of a percent."""
    step = _nice(end / _POINTS)
    radii = np.array([float(f"{step * k:.10g}") for k in range(int(end / step) + 1)])
    listed = []
    for curve in curves:
        band = curve.at(radii)
        entry: dict[str, object] = {
            "name": curve.label,
            "colour": "currentColor" if curve.kind.startswith("best") else _colour(curve.colour),
            "value": _tenths(band.value),
        }
        if band.lower is not None and band.upper is not None:
            entry |= {"lower": _tenths(band.lower), "upper": _tenths(band.upper, up=True)}
        listed.append(entry)
    content = {"end": end, "radii": exact(radii.tolist()), "curves": listed}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _tenths(shares: FloatArray, *, up: bool = False) -> list[int | None]:
    """Shares as tenths of a percent, as the tables round them."""
    rounded = percent_ceiled if up else percent_floored
    known = {
        share: int(rounded(share).replace(".", ""))
        for share in set(shares.tolist())
        if not math.isnan(share)
    }
    return [known.get(share) for share in shares.tolist()]


def _about(report: Report, curves: Sequence[Curve]) -> str:
    what = "Accuracy" if report.attacks else "Certified accuracy"
    said = [f"{what} against radius"]
    for curve in curves[:_FEW]:
        radii = np.array([r for r in report.radii if r <= curve.reach][:9])
        shown = curve.at(radii).value.tolist()
        places = exact(report.radii)
        points = ", ".join(
            f"{percent_floored(value)} % at {at}" for value, at in zip(shown, places, strict=False)
        )
        said.append(f"{curve.label}: {points}")
    if len(curves) > _FEW:
        said.append(f"and {len(curves) - _FEW} more curves; the tables have their numbers")
    return "; ".join(said)


def _bar(x: float, width: float, share: float) -> str:
    if not share:
        return ""
    return f"M{x:.1f} {_SIDE}V{_y(share)}h{width - 1:.1f}V{_SIDE}Z"


def _x(radius: float, end: float) -> str:
    return f"{_SIDE * radius / end:.1f}".removesuffix(".0")


def _y(share: float) -> str:
    return f"{_SIDE * (1 - share):.1f}".removesuffix(".0")


def _colour(position: int) -> str:
    return f"var(--run-{position % len(PALETTE)})"


def _nice(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= least * (1 - 1e-9))
