"""`radii attack`: attacks on a smoothed classifier, into a ledger."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radii.cli.console import print_json, print_line, print_table, progress_bar
from radii.cli.interrupts import signals_held
from radii.cli.options import (
    AlphaOption,
    BaseOption,
    BatchOption,
    DataOption,
    DataRootOption,
    DeviceOption,
    JsonOption,
    NoiseOption,
    Precision,
    PrecisionOption,
    Rng,
    RngOption,
    SeedOption,
    SubsetOption,
    WrongUsageError,
    arguments,
    dataset_of,
    note_unused,
    smoothed_base,
)

if TYPE_CHECKING:
    from radii.attacks import Attack
    from radii.evaluation import AttackLedger, AttackRun
    from radii.evaluation.attacked import Target


class Estimator(StrEnum):
    """What an attack on gradients follows."""

    PLUG_IN = "plug_in"
    EXPECTATION = "expectation"
    LOGITS = "logits"
    MARGIN = "margin"
    BASE = "base"


def attack(
    context: typer.Context,
    base: BaseOption,
    data: DataOption,
    noise: NoiseOption,
    spec: Annotated[
        str, typer.Option("--attack", help="For example pgd_l2:epsilon=1.0,steps=40 or ddn.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The ledger; run again, it resumes.")],
    n: Annotated[
        int, typer.Option("--n", help="Draws for each prediction, before and after.")
    ] = 1_000,
    alpha: AlphaOption = 0.001,
    draws: Annotated[int, typer.Option("--draws", help="Noise draws that the attack sees.")] = 64,
    estimator: Annotated[
        Estimator,
        typer.Option(
            "--estimator", help="What the attack follows; base is the base classifier alone."
        ),
    ] = Estimator.PLUG_IN,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="New draws at each step of the attack.")
    ] = False,
    subset: SubsetOption = "all",
    seed: SeedOption = None,
    rng: RngOption = Rng.AUTO,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.FLOAT32,
    batch_inputs: Annotated[
        int | None,
        typer.Option("--batch-inputs", help="Inputs attacked together; part of the run."),
    ] = None,
    batch_size: BatchOption = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Whether to keep the perturbed inputs.")
    ] = True,
    data_root: DataRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attacks the smoothed classifier, and asks it about what was found; run again, it resumes."""
    from radii.data import Subset
    from radii.evaluation import AttackRun

    with arguments():
        chosen = Subset.parse(subset)
        wanted = _attack_of(spec)
    dataset = dataset_of(data, data_root)
    loaded, smoothed = smoothed_base(
        *(base, noise, dataset.num_classes, dataset.input_shape, precision, device, batch_size),
        rng=rng,
    )
    with arguments():
        run = AttackRun(
            smoothed=smoothed,
            base=loaded,
            dataset=dataset,
            subset=chosen,
            attack=wanted,
            n=n,
            alpha=alpha,
            draws=draws,
            estimator=estimator.value,
            fresh=fresh,
            seed=seed,
            batch=batch_inputs,
            keep=keep,
            precision=precision.value,
        )
        target = run.check()
    _note_unused(context, target)
    ledger = attack_with_bar(run, out)
    summary = summary_of(ledger, str(out))
    if as_json:
        print_json(summary)
        return
    _print_summary(summary)
    print_line(f"ledger in {out}; `radii report {out}` draws it")


def _attack_of(spec: str) -> Attack:
    from radii.attacks import ATTACKS
    from radii.errors import UnknownNameError

    try:
        return ATTACKS.build(spec)
    except UnknownNameError as error:
        if "norm" not in spec or "no parameter 'norm'" not in str(error):
            raise
        raise WrongUsageError(
            f"{error} The norm goes with the name of an attack: `radii list attack` shows them."
        ) from None


def _note_unused(context: typer.Context, target: Target) -> None:
    """Says which options the attack has no use for."""
    given = ["estimator"] if target.kind in ("votes", "labels") or target.own_noise else []
    given += [] if target.kind in ("soft", "votes") else ["draws", "fresh"]
    if target.own_noise:
        why = "this attack draws noise of its own around the base classifier"
    elif target.kind == "votes":
        why = "this attack looks at decisions alone"
    else:
        why = "the attack is led against a base classifier without noise"
    note_unused(context, given, why)
    if target.source is not None and "draws" not in given:
        note_unused(context, ("draws",), "transfer says its own")


def attack_with_bar(run: AttackRun, out: Path) -> AttackLedger:
    """Attacks with a progress bar over inputs."""
    said = f"every finished input is in {out}; the same command goes on with the others."
    with progress_bar("attacking", "inputs") as bar, signals_held(said) as stop_if_wanted:

        def one_done() -> None:
            bar.advance(1)
            bar.finish_one()
            stop_if_wanted()  # what is attacked together is stored already, all of it

        return run.run(out, on_start=bar.start, on_input=one_done)


def summary_of(ledger: AttackLedger, run: str) -> dict[str, Any]:
    """An attack run in numbers."""
    import numpy as np

    from radii.evaluation.attack_metrics import AttackOutcomes, clean_accuracy, median_norm

    norm = ledger.meta["norm"]
    outcomes = AttackOutcomes.of(ledger.rows())
    left = outcomes.right & ~outcomes.broken & ~outcomes.abstained
    count = len(outcomes)
    return {
        "run": run,
        "attack": ledger.meta["attack"],
        "norm": norm,
        "noise": ledger.meta["noise"],
        "estimator": ledger.meta["estimator"],
        "draws": ledger.meta["draws"],
        "examples": count,
        "clean_accuracy": clean_accuracy(outcomes),
        "clean_abstention_rate": float(outcomes.undecided.mean()),
        "accuracy_under_attack": float(left.mean()),
        "abstention_rate_under_attack": float((outcomes.abstained | outcomes.undecided).mean()),
        "successes": int(np.count_nonzero(outcomes.broken)),
        "median_norm": median_norm(outcomes, norm),
        "queries_total": int(outcomes.queries.sum()),
        "samples_total": outcomes.samples,
        "seconds_total": outcomes.seconds,
    }


def _print_summary(summary: dict[str, Any]) -> None:
    from radii.rounding import floored, percent_ceiled, percent_floored

    median = summary["median_norm"]
    columns = [
        *("attack", ">inputs", ">clean %", ">under attack %", ">abstained %", ">changed"),
        *(f">median {summary['norm']}", ">queries", ">samples"),
    ]
    cells = [
        summary["attack"],
        f"{summary['examples']:,}",
        percent_floored(summary["clean_accuracy"]),
        percent_floored(summary["accuracy_under_attack"]),
        percent_ceiled(summary["abstention_rate_under_attack"]),
        f"{summary['successes']:,}",
        "-" if median is None else floored(median, 3),
        f"{summary['queries_total']:,}",
        f"{summary['samples_total']:,}",
    ]
    print_table(columns, [cells])
