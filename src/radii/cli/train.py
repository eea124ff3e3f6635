"""`radii train`: a base classifier for a smoothed one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radii.cli.console import print_line, progress_bar
from radii.cli.options import (
    DataRootOption,
    DeviceOption,
    Precision,
    arguments,
    dataset_of,
)

if TYPE_CHECKING:
    from radii.training import Training

_DEFAULTS: Mapping[str, Any] = {
    "objective": "gaussian",
    "batch_size": 256,
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "schedule": "step",
    "precision": "float32",
    "seed": 0,
}
_REQUIRED = ("data", "base", "noise", "epochs")


def train(
    out: Annotated[Path, typer.Option("--out", help="Directory for the base classifier.")],
    recipe: Annotated[
        Path | None, typer.Argument(help="TOML file with these options; options win over it.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Data set; its train split by default.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Architecture, as lenet.")] = None,
    noise: Annotated[
        str | None, typer.Option("--noise", help="Smoothing noise, as gaussian:sigma=0.5.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", help="Training loss.  [default: gaussian]")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Examples in a step.  [default: 256]")
    ] = None,
    lr: Annotated[
        float | None, typer.Option("--lr", help="First learning rate.  [default: 0.01]")
    ] = None,
    momentum: Annotated[
        float | None, typer.Option("--momentum", help="Of SGD.  [default: 0.9]")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", help="Of SGD.  [default: 0.0001]")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", help="step:every=30,gamma=0.1 or cosine.  [default: step]"),
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="Of training.  [default: float32]")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the run.  [default: 0]")] = None,
    device: DeviceOption = "auto",
    data_root: DataRootOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run in --out ended.")
    ] = False,
) -> None:
    """Trains a base classifier under noise; give a RECIPE.toml, options, or both."""
    given = {
        "data": data,
        "base": base,
        "noise": noise,
        "objective": objective,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "precision": precision and precision.value,
        "seed": seed,
    }
    with arguments():
        settings = _settings(recipe, {key: v for key, v in given.items() if v is not None})
    training = _training(settings, device, data_root)
    train_with_bar(training, out, resume=resume)
    print_line(f"base classifier in {out}; `radii certify --base {out}` certifies with it")


def train_with_bar(training: Training, out: Path, *, resume: bool) -> None:
    """Trains with a progress bar over all epochs."""
    with progress_bar("training", "examples") as bar:

        def start(epochs: int, done: int) -> None:
            bar.start(epochs, done, steps_each=len(training.dataset))

        training.train(
            out,
            resume=resume,
            on_start=start,
            on_batch=bar.advance,
            on_epoch=lambda metrics: bar.finish_one(),
        )


def _settings(recipe: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults, under the recipe, under the options."""
    read: dict[str, Any] = {}
    if recipe is not None:
        try:
            read = tomllib.loads(recipe.read_text("utf-8"))
        except OSError as error:
            raise ValueError(f"recipe {str(recipe)!r} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"recipe {str(recipe)!r} is not TOML: {error}") from None
    known = {*_DEFAULTS, *_REQUIRED}
    unknown = sorted(read.keys() - known)
    if unknown:
        raise ValueError(
            f"recipe {str(recipe)!r} has unknown keys {', '.join(unknown)}; "
            f"known: {', '.join(sorted(known))}"
        )
    settings = {**_DEFAULTS, **read, **given}
    missing = [f"--{key}" for key in _REQUIRED if key not in settings]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}: give them as options or in a recipe")
    return settings


def _training(settings: Mapping[str, Any], device: str, data_root: Path | None) -> Training:
    from radii.models import ARCHITECTURES, device_named
    from radii.noise import NOISES
    from radii.objectives import OBJECTIVES
    from radii.training import SCHEDULES, Training, TrainingPlan

    with arguments():
        architecture = ARCHITECTURES.build(settings["base"])
        noise = NOISES.build(settings["noise"])
        objective = OBJECTIVES.build(settings["objective"])
        plan = TrainingPlan(
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
            schedule=SCHEDULES.build(settings["schedule"]),
            precision=settings["precision"],
            seed=settings["seed"],
        )
        target = device_named(device)
    dataset = dataset_of(settings["data"], data_root, split="train")
    return Training(architecture, dataset, noise, objective, plan, target)
