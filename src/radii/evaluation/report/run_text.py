"""Certified runs as numbers and cells; how these stand in a table is in `text.py`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from radii.evaluation.per_class import OfClass
from radii.evaluation.report.sentences import sentence_of
from radii.rounding import ceiled, exact, floored, percent_ceiled, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report
    from radii.evaluation.report.summary import Summary

FIELDS = (
    *("run", "noise", "norm", "n0", "n", "alpha", "bound", "stop", "certificate", "examples"),
    *("standard_accuracy", "abstention_rate", "acr", "acr_se", "samples_total"),
)
# Of the CSV, to the right of those that it had first.
MORE = ("acr_lower", "acr_upper", "median_radius", "seconds_total")
_HEADINGS = (
    *("Run", "Noise", "Norm", "n0", "n", "alpha", "Bound", "Stop", "Certificate", "Inputs"),
    *("Standard accuracy (%)", "Abstained (%)", "ACR", "SE of ACR", "95 % interval of ACR"),
    *("Median radius", "10 % to 90 % of radii", "Draws", "Seconds"),
)


def plain(run: Summary) -> dict[str, object]:
    """A run as JSON has it, unrounded; what is infinite or not known is null."""
    found = run.probabilities
    return {
        **{name: getattr(run, name) for name in FIELDS},
        "acr": _finite(run.acr),
        "certified_accuracy": [
            {"radius": radius, "value": share.value, "lower": share.lower, "upper": share.upper}
            for radius, share in run.certified_accuracy
        ],
        "sentence": sentence_of(run),
        "expected": run.expected,
        "coverage": run.coverage,
        "acr_interval": None
        if run.acr_interval is None
        else {"lower": run.acr_interval.lower, "upper": run.acr_interval.upper},
        "median_radius": _finite(run.median_radius),
        "radius_quantiles": [
            {"share": share, "radius": _finite(radius)} for share, radius in run.radius_quantiles
        ],
        "pA_lower": {
            "edges": list(found.edges),
            "right": list(found.right),
            "wrong": list(found.wrong),
            "abstained": list(found.abstained),
            "quantiles": [{"share": share, "value": value} for share, value in found.quantiles],
        },
        "per_class": [_plain_class(run, each) for each in run.per_class()],
        "unanimous": run.unanimous,
        "seconds_total": run.seconds_total,
    }


def more(run: Summary) -> list[object]:
    """What stands under `MORE`."""
    ends = run.acr_interval
    interval = (None, None) if ends is None else (ends.lower, ends.upper)
    return [*interval, run.median_radius, run.seconds_total]


def overview(report: Report) -> list[list[str]]:
    """A column a run, after one that says what is in the rows; the first row names them."""
    columns = [_HEADINGS, *map(_cells, report.summaries)]
    return [list(row) for row in zip(*columns, strict=True)]


def classes(run: Summary, radii: list[tuple[int, str]]) -> list[list[str]]:
    """A row a true class, below one that says what is in the columns.

    Args:
        run: The run.
        radii: Positions and names of the radii that have a column.
    """
    rows = [["True class", "Inputs", "ACR", "Right (%)", "Abstained (%)"]]
    rows[0] += [f"At {name} (%)" for _, name in radii]
    for each in run.per_class([run.certified_accuracy[at][0] for at, _ in radii]):
        error = "" if each.acr_se is None else f" ± {ceiled(each.acr_se, 3)}"
        rows.append(
            [
                *(run.class_name(each.label), f"{each.examples:,}", floored(each.acr, 3) + error),
                *(percent_floored(each.standard_accuracy), percent_ceiled(each.abstention_rate)),
                *(percent_floored(share.value) for _, share in each.certified_accuracy),
            ]
        )
    return rows


def probabilities(report: Report) -> list[list[str]]:
    """A row a bin of the bound below pA, a column a run: right, wrong and abstained inputs."""
    rows = [["Bound of pA from", *report.names]]
    found = [run.probabilities for run in report.summaries]
    for at, edge in enumerate(exact(found[0].edges[:-1])):
        rows.append([edge, *(f"{p.right[at]} / {p.wrong[at]} / {p.abstained[at]}" for p in found)])
    return rows


def _cells(run: Summary) -> list[str]:
    """What stands under `_HEADINGS`."""
    ends = run.acr_interval
    quantiles = [radius for _, radius in run.radius_quantiles]
    return [
        run.run,
        run.noise,
        run.norm,
        "-" if run.n0 is None else f"{run.n0:,}",
        f"{run.n:,}",
        str(run.alpha),
        run.bound,
        run.stop,
        run.certificate,
        f"{run.examples:,}",
        percent_floored(run.standard_accuracy),
        percent_ceiled(run.abstention_rate),
        floored(run.acr, 3),
        "-" if run.acr_se is None else ceiled(run.acr_se, 3),
        "-" if ends is None else f"{floored(ends.lower, 3)} to {ceiled(ends.upper, 3)}",
        floored(run.median_radius, 3),
        f"{floored(quantiles[0], 3)} to {floored(quantiles[-1], 3)}",
        f"{run.samples_total:,}",
        ceiled(run.seconds_total, 0),
    ]


def _plain_class(run: Summary, each: OfClass) -> dict[str, object]:
    return {
        "class": each.label,
        "name": run.class_name(each.label),
        "examples": each.examples,
        "standard_accuracy": each.standard_accuracy,
        "abstention_rate": each.abstention_rate,
        "acr": _finite(each.acr),
        "acr_se": each.acr_se,
        "certified_accuracy": [
            {"radius": radius, "value": share.value, "lower": share.lower, "upper": share.upper}
            for radius, share in each.certified_accuracy
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
