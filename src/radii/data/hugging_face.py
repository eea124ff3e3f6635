"""Labelled images from a data set hub, or from a folder in its formats."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from radii.data.base import DATASETS, Dataset, IntArray, Reader
from radii.data.hub_files import opened
from radii.data.pictures import GRAY, PixelDataset, Pixels, channels_first, decoded, size_and_mode
from radii.errors import DataError
from radii.extras import imported

_LOOKED_AT = 1_000  # images whose size is checked at the start; that of others when they are read


@DATASETS.register("hf")
@dataclass(frozen=True)
class HuggingFace(Reader):
    """Labelled images of a data set hub: `hf:OWNER/NAME`, or a folder in its formats.

    The column of images and that of labels are found by their types; labels must be of the type
    that names its classes. Where there are several, say which: `hf:OWNER/NAME,label=fine_label`.
    All images must have one size, because resizing would change what is certified. They are read as
    RGB, or with one channel if those looked at first are gray; transparency is dropped.

    A folder holds what `save_to_disk` wrote, or files like `test-00000-of-00001.parquet`, also in
    `data/`. What the hub gives is kept in its cache; where HF_HUB_OFFLINE is set, only the cache is
    looked at. No code of a repository runs. Needs the extra `hub`.

    Args:
        path: `OWNER/NAME`, or a folder.
        image: The column of the images, if there are several.
        label: The column of the labels, if there are several.
        configuration: Which part of a repository that has several.
        revision: A commit, branch or tag of the repository; a commit always gives the same images.
    """

    path: str
    image: str | None = None
    label: str | None = None
    configuration: str | None = None
    revision: str | None = None
    positional: ClassVar[str] = "path"
    takes_path: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("test", "train", "validation")

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split; reads labels, and the headers of at most 1,000 images."""
        datasets = imported("datasets", "hub")
        table = opened(self.path, split, self.configuration, self.revision)
        image = self._column(table, datasets.Image, "image", self.image)
        label = self._column(table, datasets.ClassLabel, "label", self.label)
        names = tuple(str(name) for name in table.features[label].names)
        if len(table) == 0 or not names:
            raise DataError(f"{reference} must have at least one example and one class")
        labels = np.asarray(table.with_format("numpy", columns=[label])[:][label])
        labels = labels.astype(np.int64)
        if labels.min() < 0 or labels.max() >= len(names):
            wrong = int(((labels < 0) | (labels >= len(names))).argmax())
            raise DataError(
                f"{reference}: label of example {wrong} must be in [0, {len(names)}), "
                f"got {labels[wrong]}; take a split whose labels are published"
            )
        rows = table.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        shape = _shape(rows, image, reference)
        return HuggingFaceDataset(rows, image, labels, names, reference, shape)

    def _column(self, table: Any, kind: type, what: str, given: str | None) -> str:
        """The column of a type, or that which was given."""
        found = [str(key) for key, value in table.features.items() if isinstance(value, kind)]
        if given is not None and given in found:
            return given
        if given is None and len(found) == 1:
            return found[0]
        columns = ", ".join(found) or "none"
        if given is not None or not found:
            raise DataError(
                f"{self.path!r} must have a column {f'{given!r} ' if given else ''}of the type "
                f"{kind.__name__}, got {columns} among {', '.join(table.features)}"
            )
        raise DataError(
            f"{self.path!r} must have one column of the type {kind.__name__}, got {columns}; name "
            f"one, as hf:{self.path},{what}={found[0]}"
        )


@dataclass(frozen=True, eq=False)
class HuggingFaceDataset(PixelDataset):
    """Encoded images in a table, decoded when they are asked for."""

    table: Any = field(repr=False)
    column: str
    labels: IntArray = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    reference: str
    input_shape: tuple[int, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the class names, and of every label and the bytes of every image.

        It takes as long as reading the data set once.
        """
        digest = hashlib.sha256(f"radii hf 1\n{self.class_names}\n".encode())
        for index, label in enumerate(self.labels.tolist()):
            content = _file(self.table, self.column, index, self.reference).read()
            digest.update(f"{label} {hashlib.sha256(content).hexdigest()}\n".encode())
        return digest.hexdigest()

    def pixels(self, index: int) -> Pixels:
        """See `PixelDataset.pixels`."""
        if index >= len(self):
            raise IndexError(f"example {index} of {len(self)}")
        name = f"image {index} of {self.reference}"
        file = _file(self.table, self.column, index, self.reference)
        pixels = channels_first(decoded(file, name, "L" if self.input_shape[0] == 1 else "RGB"))
        if pixels.shape != self.input_shape:
            raise _sizes(self.reference, self.input_shape, index, pixels.shape)
        return pixels


def _file(table: Any, column: str, index: int, reference: str) -> io.BytesIO:
    """The encoded image of a row: in the table, or in a file that the table names."""
    row = table[index][column]
    if row is not None and row["bytes"] is not None:
        return io.BytesIO(row["bytes"])
    try:
        return io.BytesIO(Path(row["path"]).read_bytes())
    except (OSError, TypeError) as error:
        raise DataError(f"image {index} of {reference} cannot be read ({error})") from error


def _shape(table: Any, column: str, reference: str) -> tuple[int, int, int]:
    """The shape that images share, from the headers of some, spread over all."""
    first: tuple[int, int] | None = None
    gray = True
    looked_at = np.linspace(0, len(table) - 1, min(len(table), _LOOKED_AT)).astype(int).tolist()
    for index in looked_at:
        name = f"image {index} of {reference}"
        size, mode = size_and_mode(_file(table, column, index, reference), name)
        gray = gray and mode in GRAY
        first = size if first is None else first
        if size != first:
            raise _sizes(reference, (0, *first[::-1]), index, (0, *size[::-1]))
    assert first is not None, "called with at least one row"
    return (1 if gray else 3, first[1], first[0])


def _sizes(
    reference: str, wanted: tuple[int, ...], index: int, found: tuple[int, ...]
) -> DataError:
    return DataError(
        f"all images must have one size, got {wanted[2]} x {wanted[1]} for image 0 and "
        f"{found[2]} x {found[1]} for image {index} of {reference}; resize them to one size first, "
        f"it is not done silently"
    )
