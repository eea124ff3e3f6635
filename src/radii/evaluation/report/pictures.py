"""A few inputs of a run to look at, chosen by a rule and not by hand."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from radii.data import Dataset
from radii.errors import DataError
from radii.evaluation.export import Recorded
from radii.evaluation.ledger import Row
from radii.evaluation.report.summary import class_name
from radii.evaluation.run import noisy_copies
from radii.rounding import floored

_COPIES = 3
_BARS = 3
_SIDE = 112  # pixels that a picture has at least
_LARGEST = 256  # and at most, beyond which pixels are left out


@dataclass(frozen=True)
class Bar:
    """The votes of one class.

    Attributes:
        name: The class.
        votes: How many draws of the estimation answered it.
        share: Of all draws of the estimation.
    """

    name: str
    votes: int
    share: float


@dataclass(frozen=True)
class Picture:
    """One input of a run, ready to be shown.

    Attributes:
        role: Why this input was chosen.
        index: Of the input in its data set.
        label: Name of the true class.
        prediction: Name of the class certified, or None where the run abstained.
        correct: Whether the class certified is the true one.
        radius: Certified radius of that class, floored.
        clean: The input, as a data URI of a PNG.
        noisy: Noisy copies of it, clipped to [0, 1] for display only.
        votes: The classes with most votes of the estimation.
    """

    role: str
    index: int
    label: str
    prediction: str | None
    correct: bool
    radius: str
    clean: str
    noisy: tuple[str, ...]
    votes: tuple[Bar, ...]


def choose(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """Up to six inputs with their roles; none twice, and equals are told apart by their index.

    They are the largest, the median and the smallest positive radius of those certified right, the
    largest radius of those certified wrong, the abstention with the smallest index, and the input
    with the smallest index that is none of these, whatever became of it.
    """

    def by_radius(row: Row) -> tuple[float, int]:
        return row.radius, -row.index

    right = [row for row in rows if row.prediction == row.label and row.radius > 0]
    right.sort(key=by_radius)
    wrong = [row for row in rows if row.prediction not in (None, row.label)]
    found: list[tuple[str, Row]] = []
    if right:
        found.append(("largest radius", right[-1]))
    if len(right) > 2:
        found.append(("median radius", right[(len(right) - 1) // 2]))
    if len(right) > 1:
        found.append(("smallest radius above 0", right[0]))
    if wrong:
        found.append(("wrong, largest radius", max(wrong, key=by_radius)))
    found += [("first abstention", row) for row in rows if row.prediction is None][:1]
    shown = {row.index for _, row in found}
    found += [("first of the others", row) for row in rows if row.index not in shown][:1]
    return found


def pictures_of(ledger: Recorded, dataset: Dataset) -> list[Picture]:
    """The chosen inputs of a run, with the noise that its estimation saw.

    Args:
        ledger: The run.
        dataset: The data set that it is about.

    Returns:
        Nothing if the inputs are not images of one or three channels, or if the ledger does not
        say which inputs and noise they were, as one made from a published log.

    Raises:
        DataError: If the run is about another data set.
    """
    if not is_picture(dataset.input_shape):
        return []
    if not {"data_fingerprint", "seed", "block"} <= ledger.meta.keys():
        return []
    check_same(dataset, ledger.meta, ledger.path)
    chosen = choose(list(ledger.rows(votes=False)))
    return [_picture(role, ledger.row(row.index), ledger, dataset) for role, row in chosen]


def is_picture(shape: Sequence[int]) -> bool:
    """Whether inputs of this shape are images of one or three channels."""
    return len(shape) == 3 and shape[0] in (1, 3)


def check_same(dataset: Dataset, meta: Mapping[str, Any], path: Path) -> None:
    """Refuses a data set that is not the one of a run.

    Raises:
        DataError: If its fingerprint is another than the run's.
    """
    there = meta["data_fingerprint"]
    if there != dataset.fingerprint:
        raise DataError(
            f"{dataset.reference!r} is not the data set of {str(path)!r}, which names "
            f"{meta.get('data')!r} with fingerprint {there!r}, got {dataset.fingerprint!r}; "
            f"give the data set of the run, or leave the pictures out."
        )


def _picture(role: str, row: Row, ledger: Recorded, dataset: Dataset) -> Picture:
    x, _ = dataset[row.index]
    names = dataset.class_names
    return Picture(
        role=role,
        index=row.index,
        label=class_name(names, row.label),
        prediction=None if row.prediction is None else class_name(names, row.prediction),
        correct=row.prediction == row.label,
        radius=floored(row.radius, 3),
        clean=png(x.numpy()),
        noisy=tuple(png(copy) for copy in noisy_copies(ledger, x, row.index, _COPIES)),
        votes=bars_of(row.n_votes, names),
    )


def bars_of(votes: Mapping[int, float], names: Sequence[str]) -> tuple[Bar, ...]:
    """The classes with most votes, as shares of all votes."""
    draws = max(1, sum(votes.values()))
    ranked = sorted(votes.items(), key=lambda pair: (-pair[1], pair[0]))[:_BARS]
    return tuple(
        Bar(class_name(names, label), round(count), count / draws) for label, count in ranked
    )


def png(image: npt.NDArray[Any]) -> str:
    """A data URI of an image `(channels, height, width)`, each pixel a block of pixels if small."""
    pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    side = max(pixels.shape[:2])
    skip, grow = math.ceil(side / _LARGEST), math.ceil(_SIDE / side)
    pixels = pixels[::skip, ::skip].repeat(grow, axis=0).repeat(grow, axis=1)
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, format="PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
