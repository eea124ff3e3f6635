"""`radii import`: published logs and arrays into ledgers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radii.cli.console import print_json, print_line, print_note, progress_bar
from radii.cli.options import (
    AlphaOption,
    DataRootOption,
    JsonOption,
    Norm,
    NormOption,
    arguments,
    note_unused,
)

if TYPE_CHECKING:
    from radii.data import Dataset
    from radii.evaluation.importers import Imported, Pattern

_NAMED = 3  # of the files that are left out
_OPTIONS = ("n", "n0", "alpha")  # that a pattern may have as fields


def import_logs(
    context: typer.Context,
    logs: Annotated[
        list[Path], typer.Argument(help="Logs, or arrays of rs4a, or folders of them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The ledger; for a folder of logs, a folder of ledgers.")
    ],
    noise: Annotated[
        str,
        typer.Option("--noise", help="Smoothing noise; fields of the pattern may stand in it."),
    ] = "gaussian:sigma={sigma}",
    n: Annotated[int, typer.Option("--n", help="Draws that bounded the probability.")] = 100_000,
    n0: Annotated[
        int | None,
        typer.Option("--n0", help="Draws that selected the class; 100, and 64 for rs4a."),
    ] = None,
    alpha: AlphaOption = 0.001,
    norm: NormOption = Norm.L2,
    certificate: Annotated[
        str | None, typer.Option("--certificate", help="Of the radii, where several apply.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="What the ends of paths say, as noise_{sigma}_{seed}; files that do not fit "
            "are left out.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Data set of the logs; labels are compared with it."),
    ] = None,
    data_root: DataRootOption = None,
    json: JsonOption = False,
) -> None:
    """Published logs into ledgers, which reports and comparisons read."""
    from radii.evaluation.importers import Pattern, Settings, import_results

    with arguments():
        fields = None if pattern is None else Pattern(pattern)
        settings = Settings(noise, norm.value, certificate, n0, n, alpha)
    _note_fields(context, fields)
    dataset = None if data is None else _dataset(data, data_root)
    with progress_bar("importing", "logs") as bar, arguments():

        def on_read() -> None:
            bar.advance(1)
            bar.finish_one()

        written = import_results(
            logs,
            out,
            settings,
            pattern=fields,
            dataset=dataset,
            on_start=lambda count: bar.start(count, 0),
            on_read=on_read,
        )
    if written.left_out:
        many = len(written.left_out)
        more = ", ..." if many > _NAMED else ""
        print_note(
            f"{many:,} files do not fit the pattern and are left out: "
            f"{', '.join(written.left_out[:_NAMED])}{more}"
        )
    for _, imported in written.ledgers:
        for sentence in imported.notes:
            print_note(sentence)
    if json:
        print_json({"runs": [_entry(path, imported) for path, imported in written.ledgers]})
        return
    inputs = sum(len(imported.columns) for _, imported in written.ledgers)
    count = len(written.ledgers)
    what = "" if count == 1 else f"{count:,} ledgers with "
    print_line(f"{what}{inputs:,} inputs in {out}; `radii report {written.ledgers[0][0]}` reads it")


def _note_fields(context: typer.Context, pattern: Pattern | None) -> None:
    """Says which options do nothing because the paths say the same."""
    if pattern is not None:
        both = [name for name in _OPTIONS if name in pattern.names]
        note_unused(context, both, "the pattern takes them from the paths")


def _dataset(reference: str, root: Path | None) -> Dataset | str:
    """The data set, or its name if it is not at hand."""
    from radii.data import load
    from radii.errors import DataError, UnknownNameError

    try:
        return load(reference, root=root)
    except (DataError, UnknownNameError) as error:
        if ":" in reference:  # a path
            raise
        print_note(f"labels are not compared with those of {reference!r}: {error}")
        return reference


def _entry(path: Path, imported: Imported) -> dict[str, Any]:
    """What `--json` says of a ledger."""
    from radii.noise import NOISES

    terms = imported.terms
    return {
        "run": str(path),
        "log": str(imported.source),
        "noise": NOISES.spec_of(terms.certificate.noise),
        "norm": terms.certificate.norm,
        "n0": terms.n0,
        "n": terms.n,
        "alpha": terms.alpha,
        "seed": terms.seed,
        "base_training": None if terms.training is None else dict(terms.training),
        "examples": len(imported.columns),
        "notes": list(imported.notes),
    }
