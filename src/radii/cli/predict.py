"""`radii predict`: the smoothed classifier's answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radii.cli.console import print_json, print_line, print_table, progress_bar
from radii.cli.options import (
    AlphaOption,
    BaseOption,
    BatchOption,
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
    arguments,
    dataset_of,
    note_unused,
    smoothed_base,
)

if TYPE_CHECKING:
    from torch import Tensor

    from radii.records import Prediction

_LEAST = 5e-324  # what is smaller is 0 as a float


def predict(
    context: typer.Context,
    base: BaseOption,
    noise: NoiseOption,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Image files, all of one size.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="A data set instead of files.")] = None,
    n: Annotated[int, typer.Option("--n", help="Draws for each input.")] = 1_000,
    alpha: AlphaOption = 0.001,
    subset: SubsetOption = "all",
    seed: SeedOption = None,
    rng: RngOption = Rng.AUTO,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.FLOAT32,
    batch_size: BatchOption = None,
    data_root: DataRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predicts with the smoothed classifier, or abstains."""
    from radii.data import Subset, read_images
    from radii.errors import DataError
    from radii.noise import NOISES
    from radii.rounding import percent_floored
    from radii.smoothing.certify import check_prediction

    with arguments():
        if (data is None) == (not files):
            raise ValueError("give either image files or --data")
        chosen = Subset.parse(subset)
        if files and subset != "all":
            raise ValueError("--subset belongs to --data; with files leave it out")
        if NOISES.build(noise).num_outcomes is None:
            check_prediction(n, alpha)
    labels: list[int | None]
    if data is not None:
        dataset = dataset_of(data, data_root)
        with arguments():
            indices = chosen.indices(len(dataset)).tolist()
        names = [str(index) for index in indices]
        labels = [int(dataset.labels[index]) for index in indices]
        inputs: Iterator[tuple[int, Tensor]] = ((index, dataset[index][0]) for index in indices)
        num_classes, shape = dataset.num_classes, dataset.input_shape
    else:
        images = read_images(files or [])
        names, labels = [str(file) for file in files or []], [None] * len(images)
        inputs, num_classes, shape = enumerate(images), None, tuple(images.shape[1:])
    loaded, smoothed = smoothed_base(
        base, noise, num_classes, shape, precision, device, batch_size, rng=rng
    )
    if smoothed.input_shape not in (None, shape):
        raise DataError(
            f"{names[0] if data is None else data} must have shape {smoothed.input_shape}, which "
            f"the base classifier takes, got {shape}; resize it first, it is not done silently."
        )
    if smoothed.noise.num_outcomes is not None:
        note_unused(context, ("n", "alpha", "seed", "rng"), "noise that is enumerated is not drawn")
    draws = smoothed.noise.num_outcomes or n
    predictions: list[Prediction] = []
    with progress_bar("predicting", "samples") as bar:
        bar.start(len(names), 0, steps_each=draws)
        for _, prediction in smoothed.predict_each(
            inputs, n, alpha, seed=seed, on_draws=bar.advance
        ):
            predictions.append(prediction)
            bar.finish_one()
    records = [
        _record(name, label, prediction, loaded.class_names)
        for name, label, prediction in zip(names, labels, predictions, strict=True)
    ]
    if as_json:
        print_json(records)
        return
    columns = ["input", "prediction", ">votes", ">p-value"] + ([">label"] if data else [])
    drawn = smoothed.noise.num_outcomes is None
    print_table(columns, [_cells(record, draws, drawn=drawn) for record in records])
    abstained = sum(record["prediction"] is None for record in records)
    summary = f"{len(records)} inputs, {abstained} abstained"
    if data is not None:
        right = sum(record["prediction"] == record["label"] for record in records)
        summary += f", {right} right ({percent_floored(right / len(records))}% of all)"
    print_line(summary)


def _record(
    name: str, label: int | None, prediction: Prediction, class_names: tuple[str, ...] | None
) -> dict[str, Any]:
    """One prediction as JSON."""
    answer = prediction.prediction
    record: dict[str, Any] = {
        "input": name,
        "prediction": answer,
        "class": class_names[answer] if class_names and answer is not None else None,
        "p_value": prediction.p_value,
        "votes": {
            str(label): int(votes) for label, votes in enumerate(prediction.counts.votes) if votes
        },
    }
    return record if label is None else {**record, "label": label}


def _cells(record: dict[str, Any], draws: int, *, drawn: bool) -> list[str]:
    """One prediction as a row of the table; only of noise that is enumerated is a p-value 0."""
    from radii.rounding import digits_ceiled

    answer = record["prediction"]
    said = "abstains" if answer is None else record["class"] or str(answer)
    top = max(record["votes"].values())
    p_value = digits_ceiled(max(record["p_value"], _LEAST if drawn else 0.0), 2)
    cells = [record["input"], said, f"{top}/{draws}", p_value]
    return cells + ([str(record["label"])] if "label" in record else [])
