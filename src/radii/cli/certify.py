"""`radii certify`: a data set into a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_line, print_raw, print_report, progress_bar
from radii.cli.options import (
    AlphaOption,
    BaseOption,
    BatchOption,
    Compile,
    CompileOption,
    DataOption,
    DataRootOption,
    DeviceOption,
    JsonOption,
    NoiseOption,
    Norm,
    NormOption,
    Precision,
    PrecisionOption,
    SeedOption,
    StopOption,
    SubsetOption,
    Vote,
    VoteOption,
    arguments,
    dataset_of,
    smoothed_base,
)

if TYPE_CHECKING:
    from radii.evaluation import Run


def certify(
    base: BaseOption,
    data: DataOption,
    noise: NoiseOption,
    out: Annotated[Path, typer.Option("--out", help="The ledger; run again, it resumes.")],
    norm: NormOption = Norm.L2,
    n0: Annotated[int, typer.Option("--n0", help="Draws that select the class.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Draws that bound its probability.")] = 100_000,
    alpha: AlphaOption = 0.001,
    bound: Annotated[
        str | None,
        typer.Option("--bound", help="How votes become bounds; by default what suits --stop."),
    ] = None,
    stop: StopOption = "never",
    certificate: Annotated[
        str | None, typer.Option("--certificate", help="Which, where several apply.")
    ] = None,
    subset: SubsetOption = "all",
    seed: SeedOption = None,
    block: Annotated[
        int,
        typer.Option("--block", help="Draws in a block of the random stream; names the noise."),
    ] = 100,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.FLOAT32,
    batch_size: BatchOption = None,
    compilation: CompileOption = Compile.AUTO,
    vote: VoteOption = Vote.HARD,
    data_root: DataRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Certifies a data set into a ledger; the same command again goes on where it ended."""
    from radii.bounds import BOUNDS
    from radii.data import Subset
    from radii.evaluation import Run
    from radii.evaluation.report import Report
    from radii.evaluation.report import as_json as report_as_json
    from radii.smoothing import SamplingPlan
    from radii.stopping import STOPS

    with arguments():
        plan = SamplingPlan(
            n0=n0,
            n=n,
            alpha=alpha,
            bound=None if bound is None else BOUNDS.build(bound),
            stop=STOPS.build(stop),
            block=block,
            seed=seed,
        )
        chosen = Subset.parse(subset)
    dataset = dataset_of(data, data_root)
    with arguments():
        inputs = len(chosen.indices(len(dataset)))
    each = plan.n0 + (plan.n // 10 if plan.stops_early else plan.n)
    loaded, smoothed = smoothed_base(
        *(base, noise, dataset.num_classes, dataset.input_shape, precision, device, batch_size),
        vote=vote,
        compilation=compilation,
        draws=inputs * each,
    )
    run = Run(
        smoothed=smoothed,
        base=loaded,
        dataset=dataset,
        subset=chosen,
        plan=plan,
        norm=norm.value,
        certificate=certificate,
        precision=precision.value,
    )
    certify_with_bar(run, out)
    report = Report.of([out])
    if as_json:
        print_raw(report_as_json(report))
        return
    print_report(report)
    print_line(f"ledger in {out}; `radii report {out}` draws it")


def certify_with_bar(run: Run, out: Path) -> None:
    """Certifies with a progress bar over all draws."""
    plan = run.plan.under(run.smoothed.noise)
    draws = plan.n0 + plan.n
    with progress_bar("certifying", "samples") as bar:
        run.certify(
            out,
            on_start=lambda total, done: bar.start(total, done, steps_each=draws),
            on_draws=bar.advance,
            on_input=bar.finish_one,
        )
