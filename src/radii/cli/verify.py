"""`radii verify`: whether a run is what it claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_json, print_line, print_table, progress_bar
from radii.cli.options import (
    BatchOption,
    Compile,
    DataRootOption,
    DeviceOption,
    JsonOption,
    Precision,
    Rng,
    Vote,
    WrongUsageError,
    arguments,
    dataset_of,
    note_unused,
    smoothed_base,
)

if TYPE_CHECKING:
    from radii.cli.console import Bar
    from radii.verification import Material, Verification

_FAILED = 1
_SHOWN = {"passed": "passed", "failed": "FAILED", "not checked": "not checked"}


def verify(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="A ledger, or an export of one.")],
    base: Annotated[
        str | None, typer.Option("--base", help="Base classifier of the run; needs --data.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set of the run.")] = None,
    data_root: DataRootOption = None,
    sample: Annotated[
        str,
        typer.Option("--sample", help="Inputs to draw again: a share as 0.02, or a number as 50."),
    ] = "0.02",
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of the choice of inputs; by default nobody knows it."),
    ] = None,
    device: DeviceOption = "auto",
    batch_size: BatchOption = None,
    seal: Annotated[
        Path | None, typer.Option("--seal", help="A seal of the run, by `radii seal`.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="Who must have signed the seal: a PEM file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Checks a run: recomputes it, draws some of it again, and looks at its seal."""
    from radii.verification import verify as verified

    if base is not None and data is None:
        raise WrongUsageError("--base needs --data, the inputs to draw again")
    if public_key is not None and seal is None:
        raise WrongUsageError("--public-key says who signed a seal: give --seal, too")
    if base is None:
        unused = ("sample", "seed", "device", "batch_size")
        note_unused(context, unused, "votes are drawn again with --base only")
    with arguments():
        amount = sample_of(sample)
    with progress_bar("drawing again", "samples") as bar, arguments():
        material = None
        if data is not None:
            dataset = dataset_of(data, data_root)
            material = _material(
                run, dataset, base, amount, seed, device=device, batch_size=batch_size, bar=bar
            )
        found = verified(run, material=material, seal=seal, public_key=public_key)
    if as_json:
        print_json(found.plain())
    else:
        _print(found)
    if not found.passed:
        raise typer.Exit(_FAILED)


def sample_of(text: str) -> float | int:
    """What `--sample` says: a share with a point, or a number without.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> sample_of("0.02"), sample_of("50")
        (0.02, 50)
    """
    try:
        amount = int(text) if text.isdecimal() else float(text)
    except ValueError:
        amount = 0
    if not (0 < amount <= 1 if isinstance(amount, float) else amount >= 1):
        raise ValueError(
            f"--sample must be a share as 0.02 or a number of inputs as 50, got {text!r}"
        )
    return amount


def _material(
    run: Path,
    dataset: object,
    base: str | None,
    sample: float | int,
    seed: int | None,
    *,
    device: str,
    batch_size: int | None,
    bar: Bar,
) -> Material:
    """Data set and base classifier, in the noise, precision and vote of the run."""
    from radii.data import Dataset
    from radii.evaluation import open_run
    from radii.noise import rng_of
    from radii.verification import Material

    assert isinstance(dataset, Dataset)
    meta = open_run(run).meta
    if base is None or "base_sha256" not in meta:
        return Material(dataset)
    loaded, smoothed = smoothed_base(
        *(base, meta["noise"], meta["num_classes"], dataset.input_shape),
        *(Precision(meta["precision"]), device, batch_size),
        vote=Vote(meta.get("vote", "hard")),
        compilation=Compile(meta.get("compile", "off")),
        rng=Rng(rng_of(meta.get("generator", ""))),
    )
    return Material(
        dataset,
        loaded,
        smoothed,
        sample=sample,
        seed=seed,
        on_start=lambda inputs: bar.start(
            inputs,
            0,
            steps_each=meta["n0"] + meta["n"],
            uneven=meta.get("stop", "never") != "never",
        ),
        on_draws=bar.advance,
    )


def _print(found: Verification) -> None:
    rows = []
    for check in found.checks:
        rows.append([check.name, _SHOWN[check.status], check.said])
        rows += [["", "", f"note: {note}"] for note in check.notes]
    print_table(["checked", "result", "what was found"], rows)
    print_line("")
    print_line(found.verdict)
