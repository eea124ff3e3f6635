"""Arrays that a user saved with `numpy.savez`."""

from __future__ import annotations

import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from radii.data.arrays import ArrayDataset, frozen
from radii.data.base import DATASETS, Dataset, Reader
from radii.data.declared import check_npz
from radii.data.paths import expanded
from radii.errors import DataError

_UNSPLIT = (("x", "y"), ("images", "labels"))
_MOST_CLASSES = 1_000_000  # above this, labels are identifiers or measurements


@DATASETS.register("npz")
@dataclass(frozen=True)
class Npz(Reader):
    """Arrays of one's own: a file of `numpy.savez` with inputs `x` and labels `y`.

    A file with splits names them `x_train`, `y_train`, `x_test`, `y_test`; a file with only `x` and
    `y` (or `images` and `labels`) is one split and is read whatever split is asked for. An optional
    `class_names` names the classes; without it they are numbered up to the largest label in the
    file.

    Inputs are `(examples, *input_shape)`: uint8 pixels, which stand for value / 255, or floats,
    which are taken as they are. Images are channels first. Gray uint8 images
    `(examples, height, width)` get a channel axis; images that are clearly channels last are
    refused, not turned.

    Args:
        path: The file.
    """

    path: str
    takes_path: ClassVar[bool] = True

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split."""
        given = expanded(self.path)
        with _opened(given) as file:
            x, y = _pair(file.files, split, self.path)
            targets = {key for _, key in _pairs() if key in file.files}
            named = {"class_names"} & set(file.files)
            check_npz(given, {x, y} | (named or targets))
            inputs, labels = file[x], file[y]
            if "class_names" in file.files:
                class_names = _named(file["class_names"], self.path)
            else:
                class_names = _numbered([file[key] for key in targets], self.path)
        inputs = _channels_first(frozen(inputs), x, self.path)
        return ArrayDataset(inputs, frozen(labels), class_names, reference)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file; whatever goes wrong while it is open is told as a DataError."""
    if not os.path.isfile(path):
        raise DataError(f"no file {str(path)!r}; write npz:PATH with the path of a .npz file")
    try:
        with path.open("rb") as stream:  # np.load leaves a file that it opened itself open
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no archive of arrays with names")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                yield file
    except (
        *(OSError, EOFError, LookupError, ValueError, RuntimeError, TypeError, OverflowError),
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
    ) as error:
        raise DataError(
            f"{str(path)!r} must be a .npz file of plain arrays, as numpy.savez(path, x=x, y=y) "
            f"writes it, but reading it failed: {' '.join(str(error).split())[:200]}"
        ) from error


def _pairs() -> list[tuple[str, str]]:
    """Every pair of names that inputs and labels can have."""
    return [*((f"x_{split}", f"y_{split}") for split in Npz.splits), *_UNSPLIT]


def _pair(keys: Sequence[str], split: str, path: str) -> tuple[str, str]:
    """The names of the inputs and the labels of a split."""
    present = [pair for pair in _pairs() if set(pair) <= set(keys)]
    split_pairs = [pair for pair in present if pair not in _UNSPLIT]
    if (f"x_{split}", f"y_{split}") in present:
        return f"x_{split}", f"y_{split}"
    if split_pairs:
        other = split_pairs[0][0].removeprefix("x_")
        raise DataError(f"{path!r} has no split {split!r}; write npz:{path}@{other}")
    if len(present) == 1:
        return present[0]
    raise DataError(
        f"{path!r} must hold inputs 'x' and labels 'y' (or 'x_train', 'y_train', 'x_test', "
        f"'y_test'), got {', '.join(sorted(keys)) or 'no array'}; where labels are not looked at, "
        f"as those of --unlabelled, zeros will do"
    )


def _numbered(labels: Sequence[npt.NDArray[Any]], path: str) -> tuple[str, ...]:
    """Names for as many classes as the labels of all splits need."""
    if any(array.dtype.kind not in "iu" or array.size == 0 for array in labels):
        raise DataError(f"labels in {path!r} must be integers, and at least one")
    largest = max(int(array.max()) for array in labels)
    if largest < 0:
        raise DataError(f"labels in {path!r} must be at least 0, got {largest}")
    if largest >= _MOST_CLASSES:
        raise DataError(f"labels in {path!r} must be below {_MOST_CLASSES}, got {largest}")
    return tuple(str(number) for number in range(largest + 1))


def _named(names: npt.NDArray[Any], path: str) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"class_names in {path!r} must be a list of texts, "
            f"got {names.dtype} of the shape {names.shape}"
        )
    return tuple(str(name) for name in names)


def _channels_first(x: npt.NDArray[Any], key: str, path: str) -> npt.NDArray[Any]:
    if x.dtype == np.uint8 and x.ndim == 3:
        return x[:, np.newaxis]
    if x.ndim == 4 and x.shape[-1] in (1, 3, 4) and x.shape[1] > 4:
        raise DataError(
            f"{key!r} in {path!r} must have its channels first, got {x.shape}; "
            f"save numpy.moveaxis({key}, -1, 1) instead"
        )
    return x
