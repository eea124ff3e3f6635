"""Options that several commands share, and how what the user wrote becomes objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from radii.data import Dataset
    from radii.models import Base
    from radii.smoothing import SmoothedClassifier


class Norm(StrEnum):
    """The norm of the ball."""

    L0 = "l0"
    L1 = "l1"
    L2 = "l2"
    LINF = "linf"


class Precision(StrEnum):
    """Of the base classifier's arithmetic."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


NoiseOption = Annotated[
    str, typer.Option("--noise", help="Smoothing noise, for example gaussian:sigma=0.5.")
]
NormOption = Annotated[Norm, typer.Option("--norm", help="Norm of the certified ball.")]
BaseOption = Annotated[
    str,
    typer.Option(
        "--base",
        help="Base classifier: a directory written by `radii train`, FILE.py:name "
        "or package.module:name.",
    ),
]
DataOption = Annotated[
    str,
    typer.Option("--data", help="Data set: mnist5k, mnist, cifar10, npz:PATH, folder:PATH, ..."),
]
DataRootOption = Annotated[
    Path | None,
    typer.Option("--data-root", envvar="RADII_DATA", help="Folder of published data sets."),
]
AlphaOption = Annotated[
    float, typer.Option("--alpha", help="Probability that what is said of one input is wrong.")
]
BoundOption = Annotated[str, typer.Option("--bound", help="How votes become bounds on pA and pB.")]
SubsetOption = Annotated[
    str, typer.Option("--subset", help="all, first:N, every:K or random:N,seed=S.")
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", help="Of the random streams; from the operating system by default."),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", help="auto, cpu, cuda, cuda:1, ...; auto takes a GPU if there is one."
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Of the base classifier; bfloat16 is another classifier."),
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch-size", help="Draws the device works on at once; changes no vote on CPU."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class WrongUsageError(Exception):
    """What the user wrote cannot be meant; ends with exit code 2."""


@contextmanager
def arguments() -> Iterator[None]:
    """Inside it, a `ValueError` or `TypeError` is the user's: wrong usage."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise WrongUsageError(str(error)) from error


def smoothed_base(
    base: str,
    noise: str,
    num_classes: int | None,
    precision: Precision,
    device: str,
    batch_size: int | None,
) -> tuple[Base, SmoothedClassifier]:
    """The base classifier of a reference, and the smoothed classifier made of it.

    Args:
        base: The reference.
        noise: A spec.
        num_classes: Of the data set, for base classifiers that do not say how many they have.
        precision: Of the base classifier.
        device: What the user wrote.
        batch_size: What the user wrote.
    """
    import sys

    from radii.models import device_named, load_base
    from radii.noise import NOISES
    from radii.smoothing import SmoothedClassifier

    with arguments():
        distribution = NOISES.build(noise)
        target = device_named(device)
    if "" not in sys.path:
        sys.path.insert(0, "")  # where the command runs, so that package.module:name is found
    loaded = load_base(base)
    with arguments():
        module = loaded.prepared(target, precision.value)
        if loaded.num_classes is None and num_classes is None:
            raise ValueError(f"{base!r} does not say how many classes it has: pass --data")
        smoothed = SmoothedClassifier(
            module,
            distribution,
            loaded.num_classes or num_classes or 0,
            input_shape=loaded.input_shape,
            device=target,
            batch_size=batch_size,
        )
    return loaded, smoothed


def dataset_of(reference: str, root: Path | None, *, split: str | None = None) -> Dataset:
    """The data set of a reference; `split` is taken where the reference names none."""
    from radii.data import load

    if split is not None and "@" not in reference:
        reference = f"{reference}@{split}"
    with arguments():
        return load(reference, root=root)
