"""`radii seal`: a small file that says what a run claims, with hashes and a signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radii.cli.console import print_line
from radii.cli.options import WrongUsageError, arguments


def seal(
    run: Annotated[Path | None, typer.Argument(help="A ledger, or an export of one.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The seal; RUN.seal.json by default.")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option("--private-key", help="Signs it: an Ed25519 key in PEM.")
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option("--new-key", help="Makes a pair of keys, FILE and FILE.pub, and no seal."),
    ] = None,
) -> None:
    """Writes what a run claims, with hashes of all it rests on, into a file beside it."""
    from radii.verification import new_key as made_key
    from radii.verification import seal as sealed

    if (run is None) == (new_key is None):
        raise WrongUsageError("give a RUN to seal, or --new-key FILE to make a pair of keys")
    with arguments():
        if new_key is not None:
            if out is not None or private_key is not None:
                raise WrongUsageError(
                    "--new-key makes keys only: leave --out and --private-key out"
                )
            public = made_key(new_key)
            print_line(f"private key in {new_key}, to be kept; public key in {public}, to be given")
            return
        assert run is not None
        place = run.with_name(f"{run.name}.seal.json") if out is None else out
        place.parent.mkdir(parents=True, exist_ok=True)
        content = sealed(run, place, private_key=private_key)
    print_line(content["claim"]["sentence"])
    signed = "signed" if private_key is not None else "not signed"
    print_line(f"seal in {place}, {signed}; `radii verify {run} --seal {place}` checks it")
