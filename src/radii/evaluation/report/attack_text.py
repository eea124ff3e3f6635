"""Attack runs as numbers and cells; how these stand in a table is in `text.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from radii.evaluation.metrics import Share
from radii.evaluation.report.attacks import AttackSummary
from radii.evaluation.report.envelope import envelope_of
from radii.rounding import ceiled, exact, floored, percent_ceiled, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report

_NUMBERS = (
    *("clean_accuracy", "clean_abstention_rate", "successes", "abstention_rate_under_attack"),
    *("median_norm", "queries_per_input"),
)
_PLAIN = (
    *("run", "attack", "norm", "measured_norm", "epsilon", "steps", "minimal", "estimator"),
    *("draws", "fresh", "noise", "n", "alpha", "examples", *_NUMBERS, "samples_total"),
)
# Of the CSV, and only where there are attack runs: to the right of all columns that it has anyway.
COLUMNS = (
    *("attack", "measured_norm", "epsilon", "steps", "minimal", "estimator", "draws", "fresh"),
    *(*_NUMBERS, "accuracy_under_attack", "abstained_under_attack"),
)
_SHARED = ("run", "noise", "norm", "n", "alpha", "examples", "samples_total")


def plain(report: Report) -> list[dict[str, object]]:
    """The attack runs as JSON has them, unrounded; null beyond the epsilon of an attack."""
    return [
        {
            **{key: getattr(attack, key) for key in _PLAIN},
            "accuracy_under_attack": [
                {"radius": radius, **_interval(left), "abstained": silent and silent.value}
                for radius, left, silent in within_reach(attack)
            ],
        }
        for attack in report.attacks
    ]


def records(report: Report) -> Iterator[dict[str, object]]:
    """A record an attack run and radius, unrounded, by the names of the columns of the CSV."""
    for attack in report.attacks:
        common = {key: getattr(attack, key) for key in (*_SHARED, *COLUMNS[:-2])}
        for radius, left, silent in within_reach(attack):
            interval = _interval(left)
            yield {
                **common,
                "runs": 1,
                "radius": radius,
                "accuracy_under_attack": interval["value"],
                "abstained_under_attack": silent and silent.value,
                "lower": interval["lower"],
                "upper": interval["upper"],
            }


def overview(report: Report) -> list[list[str]]:
    """A column an attack run, after one that says what is in the rows; the first row names them."""
    attacks = report.attacks
    headings = ["Attack run", "Attack", "Model attacked", "Noise", "Norm reported", "n", "alpha"]
    headings += ["Inputs", "Clean accuracy (%)", "Abstained as they are (%)", "Broken"]
    headings += ["Abstained under attack (%)", "Median norm of those broken", "Queries an input"]
    headings += ["Draws"]
    return [
        list(row) for row in zip(headings, *(_cells(attack) for attack in attacks), strict=True)
    ]


def accuracies(report: Report) -> list[list[str]]:
    """Accuracy under attack by radius, with its interval and the share abstained on."""
    rows = [["Radius", *report.attack_names]]
    columns = [list(within_reach(attack)) for attack in report.attacks]
    for position, radius in enumerate(exact(report.radii)):
        rows.append([radius, *(accuracy_of(*column[position][1:]) for column in columns)])
    return rows


def accuracy_of(left: Share | None, silent: Share | None) -> str:
    """Accuracy under attack in percent, its interval, and the share abstained on."""
    if left is None or silent is None:
        return "-"
    ends = f"[{percent_floored(left.lower)}, {percent_ceiled(left.upper)}]"
    return f"{percent_floored(left.value)} {ends}, abstained {percent_ceiled(silent.value)}"


def stacked(attack: AttackSummary) -> tuple[list[str], list[str]]:
    """Clean accuracy and accuracy at each radius, and the intervals that stand under them."""
    above, below = [percent_floored(attack.clean_accuracy)], [""]
    for _, left, _ in within_reach(attack):
        above.append("-" if left is None else percent_floored(left.value))
        ends = left and f"[{percent_floored(left.lower)}, {percent_ceiled(left.upper)}]"
        below.append(ends or "")
    return above, below


def plain_envelope(report: Report) -> list[dict[str, float | None]]:
    """The envelope as JSON has it."""
    best = envelope_of(report)
    return [
        {
            "radius": radius,
            "certified": None if best.certified is None else float(best.certified[position]),
            "empirical": None if best.empirical is None else float(best.empirical[position]),
        }
        for position, radius in enumerate(report.radii)
    ]


def envelope(report: Report) -> list[list[str]]:
    """The envelope by radius in percent; the first row says what the columns are."""
    names = {"certified": "Certified (%)", "empirical": "Under attack (%)"}
    points = plain_envelope(report)
    shown = [key for key in names if points[0][key] is not None]
    rows = [["Radius", *(names[key] for key in shown)]]
    for radius, point in zip(exact(report.radii), points, strict=True):
        rows.append([radius, *(percent_floored(point[key] or 0.0) for key in shown)])
    return rows


def norm_of(attack: AttackSummary) -> str:
    """The median norm of the perturbations that broke an answer, floored."""
    return "-" if attack.median_norm is None else floored(attack.median_norm, 3)


def _cells(attack: AttackSummary) -> list[str]:
    norm = attack.measured_norm
    return [
        attack.run,
        attack.attack,
        attack.how or "-",
        attack.noise,
        norm if norm == attack.norm else f"{norm} (searched in {attack.norm})",
        f"{attack.n:,}",
        str(attack.alpha),
        f"{attack.examples:,}",
        percent_floored(attack.clean_accuracy),
        percent_ceiled(attack.clean_abstention_rate),
        f"{attack.successes:,}",
        percent_ceiled(attack.abstention_rate_under_attack),
        norm_of(attack),
        ceiled(attack.queries_per_input, 0),
        f"{attack.samples_total:,}",
    ]


def within_reach(
    attack: AttackSummary,
) -> Iterator[tuple[float, Share | None, Share | None]]:
    """Radius, accuracy and abstentions; None beyond the epsilon of the attack."""
    for radius, left, silent in attack.accuracy:
        inside = radius <= attack.reach
        yield radius, left if inside else None, silent if inside else None


def _interval(left: Share | None) -> dict[str, float | None]:
    if left is None:
        return {"value": None, "lower": None, "upper": None}
    return {"value": left.value, "lower": left.lower, "upper": left.upper}
