"""`radii certify`: a data set into a ledger."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import (
    Bar,
    print_json,
    print_line,
    print_note,
    print_raw,
    print_report,
    progress_bar,
)
from radii.cli.interrupts import signals_held
from radii.cli.options import (
    AlphaOption,
    BaseOption,
    BatchOption,
    Compile,
    CompileOption,
    DataOption,
    DataRootOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    NoiseOption,
    Norm,
    NormOption,
    Precision,
    PrecisionOption,
    Rng,
    RngOption,
    SeedOption,
    StopOption,
    SubsetOption,
    Vote,
    VoteOption,
    WrongUsageError,
    arguments,
    dataset_of,
    note_unused,
    smoothed_base,
)

if TYPE_CHECKING:
    from radii.evaluation import Outlook, Run
    from radii.executors import Executor
    from radii.models import Base
    from radii.smoothing import SmoothedClassifier


# Of no use where each outcome of the noise is met once.
_OF_DRAWN_NOISE = ("n0", "n", "alpha", "bound", "seed", "rng")


def certify(
    context: typer.Context,
    base: BaseOption,
    data: DataOption,
    noise: NoiseOption,
    out: Annotated[
        Path | None, typer.Option("--out", help="The ledger; run again, it resumes.")
    ] = None,
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
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Whole-number noise for 8-bit images; closes float32 leaks."),
    ] = False,
    rng: RngOption = Rng.AUTO,
    executor: ExecutorOption = "serial",
    data_root: DataRootOption = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what it would cost, and the largest radius."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Certifies a data set into a ledger; the same command again goes on where it ended."""
    from radii.bounds import BOUNDS
    from radii.data import Subset
    from radii.evaluation import Run
    from radii.evaluation.report import Report
    from radii.evaluation.report import as_json as report_as_json
    from radii.executors import EXECUTORS
    from radii.smoothing import SamplingPlan
    from radii.stopping import STOPS

    if out is None and not dry_run:
        raise WrongUsageError("--out must name the ledger; only with --dry-run is none needed")
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
        place = EXECUTORS.build(executor)
    dataset = dataset_of(data, data_root)
    with arguments():
        inputs = len(chosen.indices(len(dataset)))
    each = plan.n0 + (plan.n // 10 if plan.stops_early else plan.n)
    loaded, smoothed = smoothed_base(
        *(base, noise, dataset.num_classes, dataset.input_shape, precision, device, batch_size),
        vote=vote,
        compilation=compilation,
        draws=inputs * each,
        rng=rng,
        exact=exact,
    )
    if smoothed.noise.num_outcomes is not None:
        note_unused(context, _OF_DRAWN_NOISE, "noise that is enumerated is not drawn")
    note_denoiser(loaded, smoothed)
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
    if dry_run or out is None:
        note_unused(context, ("executor",), "a dry run is timed in this process")
        print_outlook(run.outlook(out), as_json=as_json)
        if exact and not as_json:
            print_cost(run, noise)
        return
    spent = certify_with_bar(run, out, place)
    report = Report.of([out])
    if as_json:
        print_raw(report_as_json(report))
        return
    print_report(report)
    print_line(said_of(spent))
    print_line(f"ledger in {out}; `radii report {out}` draws it")


def print_cost(run: Run, noise: str) -> None:
    """What exact noise costs, in a line."""
    from radii.evaluation import share_lost
    from radii.noise import NOISES

    other = NOISES.build(noise)
    if other == run.smoothed.noise:
        return
    index = int(run.subset.indices(len(run.dataset))[0])
    x = run.dataset[index][0].to(run.smoothed.resolve_device())
    lost = share_lost(run.smoothed, other, index, x, run.plan.seeded())
    print_line(
        f"exact noise     {NOISES.spec_of(run.smoothed.noise)} in place of {noise}: "
        f"{max(lost, 0):.1%} fewer samples/s"
    )


def note_denoiser(base: Base, smoothed: SmoothedClassifier) -> None:
    """Says so if the base classifier begins with a denoiser for another noise."""
    from radii.evaluation.seeds import denoised_for, training_of
    from radii.noise import NOISES

    noise = NOISES.spec_of(smoothed.noise)
    trained = denoised_for(training_of(base.details).get("base_training"), noise)
    if trained is not None:
        print_note(
            f"the denoiser was trained for {trained}, and {noise} is certified: the radii will "
            f"hold, but a denoiser for this noise may give larger ones"
        )


def certify_with_bar(run: Run, out: Path, executor: Executor | None = None) -> Bar:
    """Certifies with a progress bar: over draws, or over inputs where these may stop early."""
    from radii.executors import Serial
    from radii.rounding import percent_floored

    plan = run.plan.under(run.smoothed.noise)
    said = f"every finished input is in {out}; the same command goes on with the others."
    with progress_bar("certifying", "samples") as bar, signals_held(said) as stop_if_wanted:

        def draws(count: int) -> None:
            bar.advance(count)
            stop_if_wanted()

        run.certify(
            out,
            on_start=lambda total, done: bar.start(
                total, done, steps_each=plan.n0 + plan.n, uneven=plan.stops_early
            ),
            on_draws=draws,
            on_input=bar.finish_one,
            on_agreement=lambda found: print_note(
                f"{percent_floored(found['share'])} % of the labels of {found['draws']:,} noisy "
                f"copies are those of the {found['with']} base classifier"
            ),
            executor=executor or Serial(),
        )
        bar.stop()
    return bar


def said_of(spent: Bar) -> str:
    """What a run took, in a line."""
    if not spent.finished:
        return "every input was in the ledger already"
    from radii.evaluation.report.html import duration
    from radii.rounding import percent_floored

    saved = ""
    if spent.saved:
        saved = f", {percent_floored(spent.saved)} % fewer than n0 + n an input"
    return (
        f"{spent.steps:,} samples in {duration(spent.seconds)}, "
        f"{spent.steps / spent.seconds:,.0f} a second{saved}"
    )


def print_outlook(outlook: Outlook, *, as_json: bool) -> None:
    """What a run would cost, and can reach."""
    from radii.evaluation.report.html import duration
    from radii.rounding import floored, percent_floored

    if as_json:
        radius = outlook.largest_radius if math.isfinite(outlook.largest_radius) else None
        print_json({**asdict(outlook), "largest_radius": radius})
        return
    left = outlook.inputs - outlook.inputs_done
    done = f", {outlook.inputs_done:,} of them done" if outlook.inputs_done else ""
    samples, error = f"{outlook.samples:,}", outlook.samples_error
    if error is not None:
        most = outlook.samples_at_most
        saved = percent_floored((most - outlook.samples) / max(most, 1))
        samples = f"about {samples} ± {error:,}, {saved} % fewer than {most:,}"
    compiled = (
        f"compiled in {duration(outlook.start_seconds)}" if outlook.compiled else "uncompiled"
    )
    print_line(f"inputs          {outlook.inputs:,}{done}")
    print_line(f"samples         {samples}; {outlook.rests_on}")
    print_line(
        f"time            about {duration(outlook.seconds if left else 0.0)}, at "
        f"{outlook.samples_per_second:,.0f} samples/s measured on {outlook.device}, {compiled}"
    )
    print_line(
        f"largest radius  {floored(outlook.largest_radius, 3)} in {outlook.norm}, "
        f"where all draws agree"
    )
