"""Tables that a report has if it was asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from radii.evaluation.report import guarantee_text, projection_text

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report


@dataclass(frozen=True)
class Added:
    """One such table.

    Attributes:
        title: What the numbers are.
        table: A column a run, after one that says what is in the rows; the first row names them.
        lines: The same with a line a run, for a terminal.
        note: What a reader must know of them.
    """

    title: str
    table: list[list[str]]
    lines: list[list[str]]
    note: str


def added(report: Report) -> list[Added]:
    """The tables that were asked for."""
    wanted = ((guarantee_text, report.guarantees), (projection_text, report.projections))
    return [
        Added(each.title(report), each.table(report), each.lines(report), each.note(report))
        for each, there in wanted
        if there
    ]
