"""Options that several commands share, and how what the user wrote becomes objects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_note

if TYPE_CHECKING:
    import torch

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


class Compile(StrEnum):
    """Whether the base classifier is compiled."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Vote(StrEnum):
    """What each draw counts for."""

    HARD = "hard"
    SOFT = "soft"


class Rng(StrEnum):
    """The random generator."""

    AUTO = "auto"
    CHACHA = "chacha"


NoiseOption = Annotated[
    str, typer.Option("--noise", help="Smoothing noise, for example gaussian:sigma=0.5.")
]
NormOption = Annotated[Norm, typer.Option("--norm", help="Norm of the certified ball.")]
BaseOption = Annotated[
    str,
    typer.Option(
        "--base",
        help="Base classifier: a directory written by `radii train`, FILE.py:name[@DIRECTORY], "
        "package.module:name, FILE.onnx, timm:NAME, hf:REPO or published:FILE,architecture=...",
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
StopOption = Annotated[
    str,
    typer.Option(
        "--stop",
        help="When an input has enough votes: never, at_radius:R, radii:R1,R2,... or "
        "precision:rel=0.02.",
    ),
]
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
CompileOption = Annotated[
    Compile,
    typer.Option(
        "--compile", help="Compile the base classifier; auto does if the run is long enough."
    ),
]
VoteOption = Annotated[
    Vote,
    typer.Option("--vote", help="Count labels, or add up softmax scores: another classifier."),
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch-size", help="Draws the device works on at once; changes no vote on CPU."),
]
RngOption = Annotated[
    Rng,
    typer.Option("--rng", help="Random generator: auto is fast, chacha is cryptographic."),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor", help="Where shards of inputs run: serial, processes:N or ray[:ADDRESS]."
    ),
]
RadiiOption = Annotated[
    str | None, typer.Option("--radii", help="Radii of the table, as 0,0.25,0.5.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class WrongUsageError(Exception):
    """What the user wrote cannot be meant; ends with exit code 2."""


def note_unused(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Says on stderr which of these options were given and do nothing."""
    given = given_options(context, names)
    if given:
        print_note(f"{', '.join(given)} without effect: {why}")


def given_options(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Those of these options that stand in the command line, as they are written there."""
    return [
        "--" + name.replace("_", "-")
        for name in names
        if getattr(context.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"
    ]


def note_slow_precision(precision: str, device: torch.device) -> None:
    """Says on stderr so if bfloat16 only makes this processor slower."""
    from radii.models import bfloat16_slowdown

    if precision == Precision.BFLOAT16 and bfloat16_slowdown(device) > 2:
        print_note(
            "this processor computes bfloat16 several times slower than float32, for want of "
            "instructions: --precision float32 is the faster choice here"
        )


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
    shape: tuple[int, ...] | None,
    precision: Precision,
    device: str,
    batch_size: int | None,
    vote: Vote = Vote.HARD,
    compilation: Compile = Compile.OFF,
    draws: int = 0,
    rng: Rng = Rng.AUTO,
    exact: bool = False,
) -> tuple[Base, SmoothedClassifier]:
    """The base classifier of a reference, and the smoothed classifier made of it.

    Args:
        base: The reference.
        noise: A spec.
        num_classes: Of the data set, for base classifiers that do not say how many they have.
        shape: Of one input, where it is known.
        precision: Of the base classifier.
        device: What the user wrote.
        batch_size: What the user wrote.
        vote: What each draw counts for.
        compilation: What the user wrote.
        draws: About how many forward passes there will be, of one input each.
        rng: What the user wrote.
        exact: Whether the noise is drawn as whole numbers.
    """
    import sys

    from radii.models import check_answers, device_named, load_base, worth_compiling
    from radii.noise import NOISES, check_rng, exact_form
    from radii.smoothing import SmoothedClassifier

    with arguments():
        distribution = NOISES.build(noise)
        if exact:
            distribution = exact_form(distribution)
        check_rng(rng.value, distribution)
        target = device_named(device)
    note_slow_precision(precision.value, target)
    if "" not in sys.path:
        sys.path.insert(0, "")  # where the command runs, so that package.module:name is found
    loaded = load_base(base)
    with arguments():
        module = loaded.prepared(target, precision.value)
        compiled = compilation == Compile.ON
        taken = loaded.input_shape or shape
        classes = loaded.num_classes or num_classes
        if taken is not None:
            check_answers(module, taken, classes, device=target)
        if compilation == Compile.AUTO and taken is not None:
            compiled = worth_compiling(module, taken, draws)
        if compiled:
            module = loaded.prepared(target, precision.value, compiled=True)
        if loaded.num_classes is None and num_classes is None:
            raise ValueError(f"{base!r} does not say how many classes it has: pass --data")
        smoothed = SmoothedClassifier(
            module,
            distribution,
            loaded.num_classes or num_classes or 0,
            input_shape=loaded.input_shape,
            device=target,
            batch_size=batch_size,
            vote=vote.value,
            rng=rng.value,
        )
    return loaded, smoothed


def radii_of(text: str) -> list[float]:
    """What `--radii` says.

    Raises:
        ValueError: If it is no list of radii.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--radii must be numbers with commas between, got {text!r}") from None
    if not all(0 <= value < math.inf for value in values):
        raise ValueError(f"--radii must be at least 0 and finite, got {text!r}")
    return values


def dataset_of(reference: str, root: Path | None, *, split: str | None = None) -> Dataset:
    """The data set of a reference; `split` is taken where the reference names none."""
    from radii.data import load

    with arguments():
        return load(reference, root=root, split=split)
