"""What fewer draws would be expected to show, as numbers and cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from radii.rounding import exact, floored, percent_ceiled, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report

_EXACT = 9  # decimals; beyond them stands what summing probabilities left


def title(report: Report) -> str:
    """What the numbers are."""
    return f"Expected with n={report.projections[0].n:,} draws"


def sentence(report: Report) -> str:
    """What a reader must know of them."""
    return (
        f"What is expected with n={report.projections[0].n:,} draws was computed from the votes of "
        f"the runs: it is the mean over which of their draws come first. A run of so many draws "
        f"would differ from it by chance, and such numbers are no certificates."
    )


def plain(report: Report) -> list[dict[str, object]]:
    """The projections as JSON has them, unrounded; an infinite ACR is null."""
    return [
        {
            "run": run.run,
            "n": each.n,
            "examples": each.examples,
            "standard_accuracy": each.standard_accuracy,
            "abstention_rate": each.abstention_rate,
            "acr": each.acr if math.isfinite(each.acr) else None,
            "certified_accuracy": [
                {"radius": radius, "value": value} for radius, value in each.certified_accuracy
            ],
        }
        for run, each in zip(report.summaries, report.projections, strict=True)
    ]


def note(report: Report) -> str:
    """What stands below the table."""
    return (
        "Computed from the votes of the runs: the mean over which of their draws come first. These "
        "are no certificates. Wrong and abstained inputs count as radius 0. Radii and accuracies "
        "are rounded down, abstentions up."
    )


def lines(report: Report) -> list[list[str]]:
    """A line a run, with certified accuracy by radius; the first one names the columns."""
    return [
        ["run", "n of the run", "ACR", "abstained", *exact(report.radii)],
        *(
            [
                name,
                f"{run.n:,}",
                floored(round(each.acr, _EXACT), 3),
                percent_ceiled(round(each.abstention_rate, _EXACT)),
                *(_percent(share) for _, share in each.certified_accuracy),
            ]
            for name, run, each in zip(
                report.names, report.summaries, report.projections, strict=True
            )
        ),
    ]


def table(report: Report) -> list[list[str]]:
    """A column a run, after one that says what is in the rows; the first row names them."""
    found = report.projections
    rows = [
        [title(report), *report.names],
        ["n of the run", *(f"{run.n:,}" for run in report.summaries)],
        ["Standard accuracy (%)", *(_percent(each.standard_accuracy) for each in found)],
        ["Abstained (%)", *(percent_ceiled(round(each.abstention_rate, _EXACT)) for each in found)],
        ["ACR", *(floored(round(each.acr, _EXACT), 3) for each in found)],
    ]
    for position, radius in enumerate(exact(report.radii)):
        shares = [each.certified_accuracy[position][1] for each in found]
        rows.append([f"Certified at {radius} (%)", *map(_percent, shares)])
    return rows


def _percent(share: float) -> str:
    return percent_floored(round(share, _EXACT))
