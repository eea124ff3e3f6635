"""Image files of a user, one subfolder a class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from radii.data.base import DATASETS, Dataset, IntArray, Reader, unit_interval
from radii.data.paths import expanded
from radii.data.pictures import GRAY, PixelDataset, Pixels, channels_first, decoded, size_and_mode
from radii.errors import DataError

_ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@DATASETS.register("folder")
@dataclass(frozen=True)
class Folder(Reader):
    """Images of one's own: a folder with one subfolder a class.

    Classes are the subfolders in sorted order, images the files in them with a usual ending
    (.png, .jpg, ...), in sorted order; names that start with a dot are passed over. If the
    subfolders of the folder are all called `train`, `test` or `val`, they are the splits, each with
    its classes inside; otherwise the folder is one split and is read whatever split is asked for.

    All images must have one size: nothing is resized, because that would change what is certified.
    They are read as RGB, or with one channel if every image of the split is gray; transparency is
    dropped.

    Args:
        path: The folder.
    """

    path: str
    takes_path: ClassVar[bool] = True
    splits: ClassVar[tuple[str, ...]] = ("test", "train", "val")

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split; opens every image for its size, reads no pixels."""
        home = expanded(self.path)
        if not home.is_dir():
            raise DataError(f"no folder {self.path!r}; write folder:PATH with the path of a folder")
        found = _subfolders(home)
        classes = found
        if found and set(found) <= set(self.splits):
            if split not in found:
                raise DataError(
                    f"{self.path!r} has no subfolder {split!r}; write folder:{self.path}@{found[0]}"
                )
            classes = sorted({name for part in found for name in _subfolders(home / part)})
            home = home / split
        files = tuple(f"{name}/{file}" for name in classes for file in _images(home / name))
        if not files:
            raise DataError(
                f"no image in a subfolder of {str(home)!r}; put the images of each class into a "
                f"subfolder of its own, with one of the endings {', '.join(_ENDINGS)}"
            )
        order = {name: label for label, name in enumerate(classes)}
        labels = np.array([order[file.split("/")[0]] for file in files], dtype=np.int64)
        return FolderDataset(home, files, labels, tuple(classes), reference, _shape(home, files))


@dataclass(frozen=True, eq=False)
class FolderDataset(PixelDataset):
    """Images that stay on disk until they are asked for."""

    home: Path
    files: tuple[str, ...] = field(repr=False)
    labels: IntArray = field(repr=False)
    class_names: tuple[str, ...]
    reference: str
    input_shape: tuple[int, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the class names and of every file's name in its class and content.

        An image that is saved again, even with equal pixels, gives another fingerprint.
        """
        digest = hashlib.sha256(f"radii folder 1\n{self.class_names}\n".encode())
        for file in self.files:
            try:
                content = (self.home / file).read_bytes()
            except OSError as error:
                raise DataError(f"{self.home / file} cannot be read ({error})") from error
            digest.update(f"{file!r} {hashlib.sha256(content).hexdigest()}\n".encode())
        return digest.hexdigest()

    def pixels(self, index: int) -> Pixels:
        """See `PixelDataset.pixels`."""
        path = self.home / self.files[index]
        pixels = channels_first(decoded(path, path, "L" if self.input_shape[0] == 1 else "RGB"))
        if pixels.shape != self.input_shape:
            raise DataError(f"{path} was {self.input_shape} when it was opened, now {pixels.shape}")
        return pixels


def read_images(files: Sequence[Path]) -> Tensor:
    """Image files that belong to no data set.

    Returns:
        `(files, channels, height, width)` float32 in [0, 1]; one channel if every image is gray.

    Raises:
        DataError: If a file is missing, is no image, or has another size than the others.
        ValueError: If there are none.
    """
    if not files:
        raise ValueError("files must be at least one image file, got none")
    names = tuple(str(file) for file in files)
    labels = np.zeros(len(names), dtype=np.int64)
    images = FolderDataset(Path(), names, labels, ("",), "files", _shape(Path(), names))
    return unit_interval(images.tensors()[0])


def _visible(folder: Path) -> list[Path]:
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted((p for p in inside if not p.name.startswith(".")), key=lambda p: p.name)


def _subfolders(folder: Path) -> list[str]:
    return [path.name for path in _visible(folder) if path.is_dir()]


def _images(folder: Path) -> list[str]:
    return [path.name for path in _visible(folder) if path.suffix.lower() in _ENDINGS]


def _shape(home: Path, files: tuple[str, ...]) -> tuple[int, int, int]:
    """The shape that all images share, from their headers."""
    first: tuple[int, int] | None = None
    gray = True
    for file in files:
        size, mode = size_and_mode(home / file, home / file)
        gray = gray and mode in GRAY
        first = size if first is None else first
        if size != first:
            raise DataError(
                f"all images must have one size, got {first[0]} x {first[1]} for {files[0]} and "
                f"{size[0]} x {size[1]} for {file} in {str(home)!r}; resize them to one size "
                f"first, it is not done silently"
            )
    assert first is not None, "called with at least one file"
    return (1 if gray else 3, first[1], first[0])
