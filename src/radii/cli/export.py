"""`radii export`: the rows of a run as a table for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radii.cli.console import print_line, print_raw
from radii.cli.options import arguments


def export(
    run: Annotated[Path, typer.Argument(help="A ledger of either kind, or an export of one.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="FILE.csv, .tsv or .parquet; without it, CSV to stdout."),
    ] = None,
) -> None:
    """The rows of a run as CSV, TSV or Parquet, with every digit."""
    from radii.evaluation import is_attack_run, open_attack_run, open_run, write_export
    from radii.evaluation.export import csv_lines, ending_of

    wanted = None if str(out) == "-" else out
    with arguments():
        if wanted is not None:
            ending_of(wanted)
    recorded = open_attack_run(run) if is_attack_run(run) else open_run(run)
    if wanted is None:
        for line in csv_lines(recorded):
            print_raw(line)
        return
    with arguments():
        write_export(recorded, wanted)
    print_line(f"{len(recorded):,} inputs in {wanted}; `radii report {wanted}` reads it")
