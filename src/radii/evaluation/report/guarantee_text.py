"""What certified accuracy is at least, wrong certificates allowed for, as numbers and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radii.rounding import complement, exact, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report


def title(report: Report) -> str:
    """What the numbers are."""
    return f"At least, with probability {_probability(report)}"


def note(report: Report) -> str:
    """What a reader must know of them."""
    return (
        f"Each certificate is wrong with probability alpha at most, so some inputs may count that "
        f"should not. With probability {_probability(report)} over the noise, at least so many of "
        f"these inputs are right and robust, at all radii at once. It is a statement about these "
        f"inputs, not about others like them."
    )


def plain(report: Report) -> list[dict[str, object]]:
    """The bounds as JSON has them, unrounded."""
    return [
        {
            "run": run.run,
            "rho": report.rho,
            "certified_accuracy": [
                {"radius": radius, "value": value}
                for radius, value in zip(report.radii, values, strict=True)
            ],
        }
        for run, values in zip(report.summaries, report.guarantees, strict=True)
    ]


def lines(report: Report) -> list[list[str]]:
    """A line a run, with the bound by radius; the first one names the columns."""
    rows = [["run", *exact(report.radii)]]
    for name, values in zip(report.names, report.guarantees, strict=True):
        rows.append([name, *map(percent_floored, values)])
    return rows


def table(report: Report) -> list[list[str]]:
    """A column a run, after one that says what is in the rows; the first row names them."""
    columns = [map(percent_floored, values) for values in report.guarantees]
    rows = zip(exact(report.radii), *columns, strict=True)
    return [
        [title(report), *report.names],
        *([f"Certified at {radius} (%)", *cells] for radius, *cells in rows),
    ]


def _probability(report: Report) -> str:
    assert report.rho is not None
    return complement(report.rho)
