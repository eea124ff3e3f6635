"""What a terminal shows: progress, tables, JSON. The only place that prints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from radii.rounding import exact, floored, percent_ceiled, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.report import Report

_WIDTH = 200
_out = Console(highlight=False, soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Steps a second, in the words of the task."""

    def render(self, task: Task) -> Text:
        rate = task.fields["steps"].speed
        return Text("" if rate is None else f"{rate:,.0f} {task.fields['unit']}/s", style="cyan")


class Bar:
    """A progress bar over steps, with a count of finished things beside it.

    Where a thing may need fewer steps than it is given, the bar is over things, and says which
    share of the steps was not needed.

    Args:
        progress: What draws it.
        title: Stands before it.
        unit: The name of steps.

    Attributes:
        steps: Counted since the start.
        finished: Things that were finished since the start.
        seconds: From the start to the stop.
    """

    def __init__(self, progress: Progress, title: str, unit: str) -> None:
        self._progress = progress
        self._rate = progress.add_task("", start=False, total=None, visible=False)
        (rate,) = (task for task in progress.tasks if task.id == self._rate)
        self._task = progress.add_task(
            title, start=False, total=None, steps=rate, unit=unit, things="", saved=""
        )
        self.steps = self.finished = 0
        self._done = self._of = self._each = 0
        self._uneven = False
        self._started, self.seconds = time.monotonic(), 0.0

    @property
    def saved(self) -> float:
        """Share of the steps of finished things that was not needed, less those under way."""
        given = self.finished * self._each
        return max(0, given - self.steps) / given if given else 0.0

    def start(self, things: int, done: int, steps_each: int = 1, *, uneven: bool = False) -> None:
        """Sets how much there is to do: `things`, of which `done` are done, of some steps each.

        Args:
            things: In all.
            done: Before the start.
            steps_each: Of a thing; at most so many if `uneven`.
            uneven: Whether a thing may need fewer.
        """
        self._done, self._of, self._each, self._uneven = done, things, steps_each, uneven
        left = things - done
        self._progress.update(
            self._task, total=left if uneven else left * steps_each, things=self._text
        )
        self._progress.start_task(self._task)
        self._progress.start_task(self._rate)
        self._started = time.monotonic()

    def advance(self, steps: int) -> None:
        """Counts steps."""
        self.steps += steps
        self._progress.advance(self._rate, steps)
        if not self._uneven:
            self._progress.advance(self._task, steps)
        elif self.finished:
            self._progress.update(self._task, saved=f"{percent_floored(self.saved)} % saved")

    def finish_one(self) -> None:
        """Counts a finished thing."""
        self.finished += 1
        self._progress.update(self._task, things=self._text)
        if self._uneven:
            self._progress.advance(self._task)

    def stop(self) -> None:
        """Stops the clock."""
        self.seconds = time.monotonic() - self._started

    @property
    def _text(self) -> str:
        return f"{self._done + self.finished}/{self._of}"


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Bar]:
    """A bar on stderr while work goes on; nothing where stdout is no terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[things]}"),
        _RateColumn(),
        TextColumn("{task.fields[saved]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stdout.isatty(),
        transient=True,
    ) as progress:
        yield Bar(progress, title, unit)


def print_line(text: str) -> None:
    """A line of text; where there are more, they become one, so that no name forges a line."""
    _out.print(_visible(" ".join(text.splitlines())), markup=False)


def print_raw(text: str) -> None:
    """Text as it is, for other programs to read."""
    # Names of files may be no UTF-8.
    other = text.encode("utf-8", "backslashreplace").decode()
    text = _visible(text) if sys.stdout.isatty() else other
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def print_json(value: object) -> None:
    """JSON, for other programs to read."""
    print_raw(json.dumps(value, indent=2, allow_nan=False))


def print_note(text: str) -> None:
    """A line on stderr that is no error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"note: {_on_one_line(text)}", markup=False)


def print_error(text: str) -> None:
    """An error, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text.assemble(("error: ", "bold red"), _on_one_line(text))
    )


def _on_one_line(text: str) -> str:
    return _visible(" ".join(text.split()))


def _visible(text: str) -> str:
    """A text without what a terminal would obey: texts of files that were read stand in it."""
    if text.isprintable():
        return text
    keep = "\n\t"
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table; columns whose name starts with `>` are aligned to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        name = column.removeprefix(">")
        number = column != name
        table.add_column(
            Text(_on_one_line(name)), justify="right" if number else "left", no_wrap=number
        )
    for row in rows:
        table.add_row(*(Text(_on_one_line(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _WIDTH  # a file does not wrap
    Console(highlight=False, width=width).print(table)


def print_report(report: Report) -> None:
    """The certified-accuracy table of runs, and what to know before believing it."""
    columns = ["run", ">inputs", ">ACR", ">abstained", *(f">{r}" for r in exact(report.radii))]
    rows = [
        [
            label,
            f"{run.examples:,}",
            floored(run.acr, 3),
            percent_ceiled(run.abstention_rate),
            *(percent_floored(share.value) for _, share in run.certified_accuracy),
        ]
        for run, label in zip(report.summaries, report.labels, strict=True)
    ]
    norms = " or ".join(sorted({run.norm for run in report.summaries}))
    print_table(columns, rows, f"Certified accuracy in % by {norms} radius")
    _print_groups(report)
    for caveat in report.caveats:
        print_line(f"note: {caveat}")


def _print_groups(report: Report) -> None:
    """Means over runs that differ only in their seeds, if there are such."""
    if not report.groups:
        return
    from radii.evaluation.report.group_text import percents, radius_of

    columns = ["runs that differ only in their seeds", ">runs", ">ACR", ">abstained"]
    rows = [
        [
            name,
            str(len(group.runs)),
            radius_of(group.acr),
            percents(group.abstention_rate, up=True),
            *(percents(mean) for _, mean in group.certified_accuracy),
        ]
        for name, group in zip(report.group_names, report.groups, strict=True)
    ]
    columns += [f">{radius}" for radius in exact(report.radii)]
    print_line("")
    print_table(columns, rows, "Mean ± standard deviation over runs")
