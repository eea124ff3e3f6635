"""Accuracy against radius as arrays: what the figure draws and what the page lets read off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radii.bounds.clopper_pearson import ClopperPearson
from radii.evaluation.attack_metrics import clean_accuracy, empirical_shares
from radii.evaluation.metrics import certified_shares
from radii.evaluation.report.attacks import AttackSummary
from radii.evaluation.report.envelope import envelope_of
from radii.evaluation.report.groups import Group
from radii.evaluation.report.report import Report
from radii.evaluation.report.summary import Summary
from radii.records import FloatArray
from radii.rounding import percent_floored

_TAIL = 0.98  # of the perturbations that are in the figure; the axis is not drawn out for the rest
_MOST_STEPS = 4000
_WHOLE = "envelope of all runs"

Kind = Literal["certified", "attack", "clean", "best certified", "best attack"]


@dataclass(frozen=True, eq=False)
class Band:
    """A curve at some radii, and the ends of its band; these are None where it has none.

    Attributes:
        value: `(radii,)` float64, shares; NaN where nothing is said.
        lower: Lower end.
        upper: Upper end.
    """

    value: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of the figure.

    Attributes:
        label: What the legend says.
        kind: What it shows.
        colour: Position of its colour.
        nth: How many curves of this kind and colour come before it.
        steps: `(steps,)` ascending: 0, where it falls, and where it ends.
        source: What it is of.
        reach: The radius beyond which nothing is said.
    """

    label: str
    kind: Kind
    colour: int
    nth: int
    steps: FloatArray
    source: Report | Summary | Group | AttackSummary
    reach: float = math.inf

    def at(self, radii: FloatArray) -> Band:
        """Its values at radii, exactly."""
        match self.source:
            case Summary() | Group():
                return certified_band(self.source, radii)
            case AttackSummary():
                return _attack_band(self.source, radii, clean=self.kind == "clean")
            case Report():
                best = envelope_of(self.source, radii)
                found = best.certified if self.kind == "best certified" else best.empirical
                assert found is not None
                return Band(found)


def curves_of(report: Report, end: float) -> list[Curve]:
    """Every curve of a report, up to the radius `end`, in the order of the legend."""
    said = "certified, " if report.attacks else ""
    curves = [
        Curve(said + label, "certified", position, 0, steps_of(line, end), line)
        for position, (line, label) in enumerate(
            zip(report.lines, line_labels(report), strict=True)
        )
    ]
    labels = iter(attack_labels(report))
    before: dict[int, int] = {}  # attack runs of a colour so far
    for colour, attack in zip(report.attack_line_of, report.attacks, strict=True):
        nth = before[colour] = before.get(colour, -1) + 1
        steps = attack_steps(attack, end)
        curves.append(Curve(next(labels), "attack", colour, nth, steps, attack, attack.reach))
    whole = np.array([0.0, end])
    for colour, attack in clean_runs(report):
        curves.append(Curve(next(labels), "clean", colour, 0, whole, attack))
    if report.envelope:
        steps = np.unique(np.concatenate([whole, *(curve.steps for curve in curves)]))
        kinds: list[Kind] = ["best certified"] if report.summaries else []
        kinds += ["best attack"] if report.attacks else []
        curves += [Curve(next(labels), kind, 0, 0, steps, report) for kind in kinds]
    return curves


def end_of(report: Report) -> float:
    """Where the radius axis ends: a little after the last finite step of any curve."""
    ends = [certified_end(report.summaries)] if report.summaries else []
    for attack in report.attacks:
        lost = attack.outcomes.lost_within(attack.measured_norm)
        found = lost[np.isfinite(lost)]
        shown = float(np.quantile(found, _TAIL)) if len(found) else 0.0
        ends.append(1.04 * (attack.reach if math.isfinite(attack.reach) else shown))
    return max(ends, default=0.0) or 1.0


def certified_end(runs: Sequence[Summary]) -> float:
    """Where the axis of certified radii ends."""
    radii = [run.outcomes.correct_radius for run in runs]
    largest = max((float(each[np.isfinite(each)].max(initial=0.0)) for each in radii), default=0.0)
    return 1.04 * largest or 1.0


def line_labels(report: Report) -> list[str]:
    """A label for each line of the report."""
    of_runs = dict(zip(report.line_of, report.labels, strict=True))
    of_groups = iter(report.group_names)
    return [
        f"{next(of_groups)}, n={line.first.n:,}, alpha={line.first.alpha}: mean ± standard "
        f"deviation of {len(line.runs)} runs"
        if isinstance(line, Group)
        else of_runs[position]
        for position, line in enumerate(report.lines)
    ]


def attack_labels(report: Report) -> list[str]:
    """What the legend says of the curves of attack runs, the clean lines and the envelope."""
    clean = clean_runs(report)
    several = len(clean) > 1
    labels = [
        f"under attack, {f'{a.noise}, ' if several or not report.summaries else ''}{a.label}"
        for a in report.attacks
    ]
    for _, attack in clean:
        text = f"without attack: {percent_floored(clean_accuracy(attack.outcomes))} %"
        labels.append(f"{attack.noise}, {text}" if several else text)
    if report.envelope:
        labels += [f"certified, {_WHOLE}"] if report.summaries else []
        labels += [f"under attack, {_WHOLE}"] if report.attacks else []
    return labels


def clean_runs(report: Report) -> list[tuple[int, AttackSummary]]:
    """For each classifier under attack its colour and the first of its attack runs."""
    found: dict[int, AttackSummary] = {}
    for line, attack in zip(report.attack_line_of, report.attacks, strict=True):
        found.setdefault(line, attack)
    return [*found.items()]


def steps_of(line: Summary | Group, end: float) -> FloatArray:
    """0, every radius at which the curve falls, and the end of the axis.

    Of more than 4,000 radii some are left out: a curve that is drawn to the left of each of them is
    then nowhere above the true one.
    """
    runs = line.runs if isinstance(line, Group) else (line,)
    radii = np.concatenate([run.outcomes.correct_radius for run in runs])
    steps = np.unique(np.concatenate([[0.0], radii[np.isfinite(radii)], [end]]))
    if len(steps) <= _MOST_STEPS:
        return steps
    kept = np.round(np.linspace(0, len(steps) - 1, _MOST_STEPS)).astype(np.int64)
    return np.asarray(steps[kept], dtype=np.float64)


def attack_steps(attack: AttackSummary, end: float) -> FloatArray:
    """0, every norm at which the curve falls, and where it ends."""
    last = min(end, attack.reach)
    lost = attack.outcomes.lost_within(attack.measured_norm)
    return np.unique(np.concatenate([[0.0], lost[(lost >= 0) & (lost <= last)], [last]]))


def certified_band(line: Summary | Group, radii: FloatArray) -> Band:
    """Certified accuracy at radii, and its interval; of a group, one deviation to either side."""
    if isinstance(line, Group):
        shares = np.stack([certified_shares(run.outcomes, radii) for run in line.runs])
        examples = line.first.examples
        counts = np.rint(shares * examples).astype(np.int64)  # as `Mean.of_shares`, to the last bit
        mean = counts.sum(axis=0) / (examples * len(counts))
        deviation = counts.std(axis=0, ddof=1) / examples
        return Band(mean, np.maximum(mean - deviation, 0), np.minimum(mean + deviation, 1))
    return _with_interval(certified_shares(line.outcomes, radii), line.examples)


def _attack_band(attack: AttackSummary, radii: FloatArray, *, clean: bool) -> Band:
    if clean:
        return Band(np.full(len(radii), clean_accuracy(attack.outcomes)))
    left = empirical_shares(attack.outcomes, radii, attack.measured_norm)
    found = _with_interval(left, attack.examples)
    beyond = radii > attack.reach
    for each in (found.value, found.lower, found.upper):
        assert each is not None
        each[beyond] = np.nan
    return found


def _with_interval(shares: FloatArray, examples: int) -> Band:
    """Shares with their 95 % Clopper-Pearson intervals, at each radius on its own."""
    counts, where = np.unique(np.rint(shares * examples).astype(np.int64), return_inverse=True)
    bound, tail = ClopperPearson(), 0.05 / 2  # two sides share what the interval may miss
    lower, upper = bound.lower(counts, examples, tail), bound.upper(counts, examples, tail)
    return Band(shares.copy(), lower[where], upper[where])
