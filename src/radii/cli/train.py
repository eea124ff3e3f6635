"""`radii train`: base classifiers for smoothed ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from radii.cli.console import print_line, progress_bar
from radii.cli.interrupts import signals_held
from radii.cli.options import Compile, DataRootOption, DeviceOption, Norm, Precision, arguments
from radii.cli.recipe import known_keys, settings_of, trainings_of

if TYPE_CHECKING:
    from radii.training import Training

Text = str | None
Whole = int | None


class Normalize(StrEnum):
    """By what the first layer normalises inputs."""

    DATA = "data"
    NONE = "none"


class Keep(StrEnum):
    """Which weights are exported."""

    LAST = "last"
    BEST = "best"


def train(
    context: typer.Context,
    out: Annotated[Path, Option("--out", help="Directory for the base classifier.")],
    recipe: Annotated[
        Path | None, typer.Argument(help="TOML file with these options; options win over it.")
    ] = None,
    data: Annotated[Text, Option(help="Data set; its train split by default.")] = None,
    base: Annotated[
        Text,
        Option(help="Architecture, as lenet, or FILE.py:name; with --denoiser a trained DIR."),
    ] = None,
    denoiser: Annotated[
        Text, Option(metavar="SPEC", help="dncnn or unet, trained before --base, which stays.")
    ] = None,
    noise: Annotated[Text, Option(help="Smoothing noise, as gaussian:sigma=0.5.")] = None,
    objective: Annotated[
        Text, Option(help="Loss (default: gaussian; denoising for denoisers).")
    ] = None,
    init: Annotated[
        Text, Option(metavar="DIR", help="Start with the weights that training left there.")
    ] = None,
    unlabelled: Annotated[
        Text, Option(metavar="DATA", help="Further inputs, which --teacher labels.")
    ] = None,
    teacher: Annotated[
        Text, Option(metavar="BASE", help="Base classifier that labels --unlabelled.")
    ] = None,
    unlabelled_weight: Annotated[float | None, Option(help="Of their loss (default: 1).")] = None,
    epochs: Annotated[Whole, Option(help="Passes over the data.")] = None,
    batch_size: Annotated[Whole, Option(help="Examples in a step (default: 256).")] = None,
    accumulate: Annotated[
        Whole, Option(help="Parts that a step is split into, for memory (default: 1).")
    ] = None,
    lr: Annotated[float | None, Option(help="Learning rate (default: 0.01).")] = None,
    lr_warmup: Annotated[
        Whole, Option(help="Epochs in which it rises in a line (default: 0).")
    ] = None,
    schedule: Annotated[
        Text, Option(help="step:every=30,gamma=0.1, cosine or one_cycle (default: step).")
    ] = None,
    optimiser: Annotated[
        Text, Option(help="sgd:momentum=0.9,weight_decay=0.0001 or adamw (default: sgd).")
    ] = None,
    clip: Annotated[
        Text, Option(metavar="NORM", help="Longest gradient, or none (default: none).")
    ] = None,
    ema: Annotated[
        Text,
        Option(metavar="DECAY", help="Export a running average of the weights (default: none)."),
    ] = None,
    normalize: Annotated[
        Normalize | None, Option(help="Inputs, in the first layer (default: data).")
    ] = None,
    augment: Annotated[
        Text, Option(help="crop_flip, imagenet_crop_flip, or none (default: none).")
    ] = None,
    precision: Annotated[Precision | None, Option(help="Of training (default: float32).")] = None,
    compilation: Annotated[
        Compile | None,
        Option("--compile", help="auto does on CUDA if training is long (default: auto)."),
    ] = None,
    validate: Annotated[
        Whole, Option(help="Examples held out, and certified (default: 0).")
    ] = None,
    validate_n: Annotated[Whole, Option(help="Draws for each of them (default: 100).")] = None,
    validate_every: Annotated[Whole, Option(help="Epochs between (default: 1).")] = None,
    validate_norm: Annotated[
        Norm | None, Option(help="Of the radii (default: the first certified).")
    ] = None,
    keep: Annotated[
        Keep | None, Option(help="Epoch to export; best by validation (default: last).")
    ] = None,
    seed: Annotated[Whole, Option(help="Of the run (default: 0).")] = None,
    seeds: Annotated[
        Text, Option(metavar="0,1,...", help="One run a seed, into OUT/seed-0 and so on.")
    ] = None,
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on where an interrupted run in --out ended.")
    ] = False,
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Also write metrics for TensorBoard, into --out.")
    ] = False,
) -> None:
    """Trains a base classifier under noise; give a RECIPE.toml, options, or both."""
    from radii.models import FromPython
    from radii.training import leads_here

    written = {"compile" if key == "compilation" else key: v for key, v in context.params.items()}
    with arguments():
        given = {key: v for key in known_keys() if (v := written.get(key)) is not None}
        settings = settings_of(recipe, given)
    trainings = trainings_of(settings, out, device, data_root)
    for folder, training in trainings:
        title = "training" if len(trainings) == 1 else f"training {folder.name}"
        train_with_bar(training, folder, resume=resume, title=title, tensorboard=tensorboard)
        made = training.architecture
        code = f"{made.reference}@" if isinstance(made, FromPython) else ""
        if leads_here():
            print_line(
                f"base classifier in {folder}; `radii certify --base {code}{folder}` "
                f"certifies with it"
            )


def train_with_bar(
    training: Training,
    out: Path,
    *,
    resume: bool,
    title: str = "training",
    tensorboard: bool = False,
) -> None:
    """Trains with a progress bar over all epochs."""
    from radii.training import TensorBoard, leads_here

    board = TensorBoard(out) if tensorboard and leads_here() else None
    again = "the same command" if resume else "the same command with --resume"
    said = f"every finished epoch is in {out}; {again} goes on after the last of them."
    with progress_bar(title, "examples") as bar, signals_held(said) as stop_if_wanted:

        def step(examples: int) -> None:
            bar.advance(examples)
            stop_if_wanted()

        def start(epochs: int, done: int) -> None:
            bar.start(epochs, done, steps_each=training.examples)
            if board is not None:
                board.start(done)

        def finish(metrics: dict[str, Any]) -> None:
            bar.finish_one()
            if board is not None:
                board.add(metrics)
            stop_if_wanted()

        try:
            training.train(out, resume=resume, on_start=start, on_batch=step, on_epoch=finish)
        finally:
            if board is not None:
                board.close()
