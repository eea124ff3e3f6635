"""`radii report`: tables, curves and pictures of runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_line, print_note, print_raw, print_report
from radii.cli.options import DataRootOption, WrongUsageError, arguments

if TYPE_CHECKING:
    from radii.evaluation.report import Picture, Report


class Format(StrEnum):
    """Of a report."""

    HTML = "html"
    MD = "md"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    SVG = "svg"
    PNG = "png"


_SUFFIXES = {".tex": Format.LATEX, ".markdown": Format.MD, ".htm": Format.HTML}


def report(
    runs: Annotated[list[Path], typer.Argument(help="Ledgers, or exports of them.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; its ending picks the format.")
    ] = None,
    chosen: Annotated[Format | None, typer.Option("--format", help="Of the report.")] = None,
    radii: Annotated[
        str | None, typer.Option("--radii", help="Radii of the table, as 0,0.25,0.5.")
    ] = None,
    data_root: DataRootOption = None,
) -> None:
    """Tables, curves and pictures of one or several runs."""
    from radii.evaluation.report import Report

    with arguments():
        grid = None if radii is None else _grid(radii)
        kind = _format(out, chosen)
    made = Report.of(runs, grid)
    if kind is None:
        print_report(made)
        return
    if out is not None:
        write_report(made, out, kind, data_root)
        print_line(f"report in {out}")
        return
    content = _render(made, kind, data_root)
    if isinstance(content, bytes):
        raise WrongUsageError("a png needs --out FILE.png")
    print_raw(content)


def write_report(report: Report, out: Path, kind: Format, data_root: Path | None) -> None:
    """Writes a report to a file."""
    content = _render(report, kind, data_root)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content if isinstance(content, bytes) else content.encode())


def _grid(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--radii must be numbers with commas between, got {text!r}") from None
    if not all(0 <= value < float("inf") for value in values):
        raise ValueError(f"--radii must be at least 0 and finite, got {text!r}")
    return values


def _format(out: Path | None, chosen: Format | None) -> Format | None:
    if chosen is not None or out is None:
        return chosen
    suffix = out.suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    try:
        return Format(suffix.removeprefix("."))
    except ValueError:
        raise ValueError(f"--out {str(out)!r} does not say which format: pass --format") from None


def _render(report: Report, kind: Format, data_root: Path | None) -> str | bytes:
    from radii.evaluation import report as reports

    match kind:
        case Format.JSON:
            return reports.as_json(report)
        case Format.CSV:
            return reports.as_csv(report)
        case Format.MD:
            return reports.as_markdown(report)
        case Format.LATEX:
            return reports.as_latex(report)
        case Format.SVG:
            return reports.as_svg(reports.figure(report))
        case Format.PNG:
            return reports.as_png(reports.figure(report))
        case Format.HTML:
            return reports.as_html(report, _pictures(report, data_root))


def _pictures(report: Report, data_root: Path | None) -> dict[str, list[Picture]]:
    """Inputs of each run whose data set is at hand and is still the one that was certified."""
    from radii.data import load
    from radii.errors import RadiiError
    from radii.evaluation import open_run
    from radii.evaluation.report import pictures_of

    pictures = {}
    for run in report.summaries:
        ledger = open_run(run.run)
        if "data" not in ledger.meta:
            continue
        try:
            dataset = load(ledger.meta["data"], root=data_root)
        except RadiiError as error:
            print_note(f"no pictures of {run.run}: {error}")
            continue
        if dataset.fingerprint != ledger.meta["data_fingerprint"]:
            print_note(f"no pictures of {run.run}: {ledger.meta['data']} has changed since")
            continue
        pictures[run.run] = pictures_of(ledger, dataset)
    return pictures
