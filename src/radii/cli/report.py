"""`radii report`: tables, curves and pictures of runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_line, print_note, print_raw, print_report, print_table
from radii.cli.options import (
    DataRootOption,
    Norm,
    RadiiOption,
    WrongUsageError,
    arguments,
    radii_of,
)

if TYPE_CHECKING:
    from radii.data import Dataset
    from radii.evaluation import Attacked, Recorded
    from radii.evaluation.report import AttackPicture, Picture, Report


class Format(StrEnum):
    """Of a report."""

    HTML = "html"
    MD = "md"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    SVG = "svg"
    PNG = "png"


_NO_ENVELOPE = (Format.CSV, Format.LATEX)
_NO_ADDED = (*_NO_ENVELOPE, Format.SVG, Format.PNG)
_SUFFIXES = {".tex": Format.LATEX, ".markdown": Format.MD, ".htm": Format.HTML}


def report(
    runs: Annotated[list[Path], typer.Argument(help="Ledgers, exports, or folders of them.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File, whose ending picks the format; or a folder for a page a run."
        ),
    ] = None,
    chosen: Annotated[Format | None, typer.Option("--format", help="Of the report.")] = None,
    radii: RadiiOption = None,
    envelope: Annotated[
        bool, typer.Option("--envelope", help="Also the best accuracy of any run at each radius.")
    ] = False,
    certificate: Annotated[
        str | None,
        typer.Option("--certificate", help="Read the votes through it; several as NAME,NAME."),
    ] = None,
    norm: Annotated[
        Norm | None, typer.Option("--norm", help="Read the votes in the norm of another ball.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="Read the votes at it: another claim.")
    ] = None,
    bound: Annotated[
        str | None, typer.Option("--bound", help="Read the votes through it: another claim.")
    ] = None,
    project: Annotated[
        int | None, typer.Option("--project", help="Also what is expected of so many draws.")
    ] = None,
    rho: Annotated[
        float | None,
        typer.Option(
            "--rho", help="Also what certified accuracy is at least, but for this probability."
        ),
    ] = None,
    data_root: DataRootOption = None,
) -> None:
    """Tables, curves and pictures of one or several runs, certified, attacked or both."""
    from radii.evaluation import holds_run
    from radii.evaluation.report import Report

    with arguments():
        grid = None if radii is None else radii_of(radii)
        if out is not None and chosen is None and (out.is_dir() or not out.suffix):
            if envelope or {certificate, norm, alpha, bound, project, rho} != {None}:
                raise ValueError(
                    f"--out {str(out)!r} is a folder, whose pages show each run as it is; "
                    f"name a file, or pass --radii and --data-root only"
                )
            if out.is_file():
                what = "holds a run" if holds_run(out) else "is a file"
                raise ValueError(f"--out {str(out)!r} {what}; name a folder, or pass --format")
            _site(runs, out, grid, data_root)
            return
        kind = _format(out, chosen)
        if envelope and kind in _NO_ENVELOPE:
            raise ValueError(f"--envelope must go without --format {kind}, which has none")
        for option, value in (("--project", project), ("--rho", rho)):
            if value is not None and kind in _NO_ADDED:
                raise ValueError(f"{option} must go without --format {kind}, which has none")
    if out is not None and out.is_dir():
        raise WrongUsageError(
            f"--out {str(out)!r} is a folder, and --format is of a file; name a file, or leave "
            f"--format out for a page a run"
        )
    if out is not None and holds_run(out):
        raise WrongUsageError(f"--out {str(out)!r} holds a run; name another file")
    runs = _in_folders(runs)
    made = Report.of(_read_again(runs, certificate, norm, alpha, bound), grid, envelope=envelope)
    with arguments():
        made = made if project is None else made.projected(project)
        made = made if rho is None else made.guaranteed(rho)
    if envelope:
        from radii.evaluation.report.envelope import envelope_of

        with arguments():
            envelope_of(made)  # refuses runs of different norms
    if kind is None:
        _print(made)
        return
    _warn(made)
    if out is not None:
        write_report(made, out, kind, data_root)
        print_line(f"report in {out}")
        return
    content = _render(made, kind, data_root)
    if isinstance(content, bytes):
        raise WrongUsageError("a png needs --out FILE.png")
    print_raw(content)


def write_report(report: Report, out: Path, kind: Format, data_root: Path | None) -> None:
    """Writes a report to a file, which appears whole or not at all."""
    from radii.evaluation.report import encoded
    from radii.models.checkpoint import replace_file

    content = _render(report, kind, data_root)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, content if isinstance(content, bytes) else encoded(content))


def _site(
    runs: Sequence[Path], out: Path, grid: list[float] | None, data_root: Path | None
) -> None:
    """Writes an index of all runs, and a page for each."""
    from radii.evaluation.report import find_runs, read_runs, write_site

    found, unreadable = read_runs(find_runs(runs))
    for each in unreadable:
        print_note(f"not read: {each.why}")
    data: dict[str, Dataset | None] = {}
    index = write_site(
        found,
        out,
        unreadable=unreadable,
        radii=grid,
        pictures=lambda report: _pictures(report, data_root, data),
    )
    print_line(f"{len(found):,} {'run' if len(found) == 1 else 'runs'} in {index}")


def _in_folders(places: Sequence[Path]) -> list[Path]:
    """The runs among these files and in these folders; notes say what in folders is none."""
    from radii.errors import RadiiError
    from radii.evaluation import is_attack_run, open_run
    from radii.evaluation.report import find_runs

    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = []
        for path in find_runs([place]):
            try:
                if not is_attack_run(path):
                    open_run(path)
                inside.append(path)
            except RadiiError as error:
                print_note(f"not read: {error}")
        if not inside:
            raise WrongUsageError(f"{str(place)!r} holds no run that can be read; name another")
        found += inside
    return found


def _read_again(
    runs: Sequence[Path],
    certificate: str | None,
    norm: Norm | None,
    alpha: float | None,
    bound: str | None,
) -> Sequence[Path | Recorded]:
    """The certified runs through these, one for each certificate; attack runs as they are."""
    from radii.evaluation import is_attack_run, open_run, readings_of

    if (certificate, norm, alpha, bound) == (None,) * 4:
        return runs
    found: list[Path | Recorded] = []
    for path in runs:
        if is_attack_run(path):
            found.append(path)
            continue
        run = open_run(path)
        with arguments():
            found += readings_of(
                run,
                alpha=alpha,
                bound=bound,
                certificates=certificate.split(",") if certificate is not None else (),
                norm=None if norm is None else norm.value,
            )
    if all(isinstance(run, Path) for run in found):
        raise WrongUsageError(
            "--certificate, --norm, --alpha and --bound read certified runs again, "
            "but there are attack runs only: pass a run of `radii certify`"
        )
    return found


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
            return reports.as_html(report, *_pictures(report, data_root))


def _print(report: Report) -> None:
    """The tables of the report in the terminal, alarms first, and what to know before believing."""
    from radii.evaluation.report import attack_text, audit_text
    from radii.evaluation.report.added import added

    said = audit_text.sentences(report)
    for alarm, sentence in said:
        if alarm:
            print_line(sentence)
            print_line("")
    if report.attacks:
        head, *rows = attack_text.overview(report)
        print_table([head[0].lower(), *(f">{name}" for name in head[1:])], rows, "Attack runs")
        print_line("")
        head, *rows = attack_text.accuracies(report)
        title = "Accuracy under attack in %, with its 95 % interval"
        print_table([head[0].lower(), *(f">{name}" for name in head[1:])], rows, title)
        print_line("")
    if report.envelope:
        head, *rows = attack_text.envelope(report)
        print_table([f">{name.lower()}" for name in head], rows, "Envelope of all runs")
        print_line("")
    for each in added(report):
        head, *rows = each.lines
        title = f"{each.title}: certified accuracy in % by radius"
        print_table([head[0], *(f">{name}" for name in head[1:])], rows, title)
        print_line("")
    for alarm, sentence in said:
        if not alarm:
            print_line(f"audit: {sentence}")
    if report.summaries:
        print_report(report)
        return
    for caveat in report.caveats:
        print_line(f"note: {caveat}")


def _warn(report: Report) -> None:
    """Says alarms on stderr: some formats have no place for them, and nobody may overlook one."""
    from radii.evaluation.report import audit_text

    for alarm, sentence in audit_text.sentences(report):
        if alarm:
            print_note(sentence)


def _pictures(
    report: Report, data_root: Path | None, data: dict[str, Dataset | None] | None = None
) -> tuple[dict[str, list[Picture]], dict[str, list[AttackPicture]]]:
    """Inputs of each run whose data set is at hand and is still the one that it is about.

    Args:
        report: The runs.
        data_root: The folder of published data sets.
        data: By name, the data sets that were looked for before.
    """
    from radii.evaluation import open_attack_run
    from radii.evaluation.report import attack_pictures_of, pictures_of

    data = {} if data is None else data
    pictures, attacked = {}, {}
    for run in report.summaries:
        dataset = _dataset(run.source, data_root, data)
        if dataset is not None:
            pictures[run.run] = pictures_of(run.source, dataset)
    for attack in report.attacks:
        there = open_attack_run(attack.run)
        dataset = _dataset(there, data_root, data)
        if dataset is not None:
            attacked[attack.run] = attack_pictures_of(there, dataset, attack.measured_norm)
    return pictures, attacked


def _dataset(
    ledger: Recorded | Attacked, data_root: Path | None, data: dict[str, Dataset | None]
) -> Dataset | None:
    """The data set of a run; None, with a note, where it is not at hand or has changed."""
    from radii.data import load
    from radii.errors import RadiiError

    name = ledger.meta.get("data")
    if name is None or "data_fingerprint" not in ledger.meta:
        return None
    if name not in data:
        try:
            data[name] = load(name, root=data_root)
        except RadiiError as error:
            print_note(f"no pictures of {ledger.path}: {error}")
            data[name] = None
    dataset = data[name]
    if dataset is not None and dataset.fingerprint != ledger.meta["data_fingerprint"]:
        print_note(f"no pictures of {ledger.path}: {name} has changed since")
        return None
    return dataset
