"""MNIST and Fashion-MNIST from the IDX files in which they are published."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from radii.data.arrays import ArrayDataset
from radii.data.base import DATASETS, Dataset, Reader
from radii.data.published import MOST_BYTES, not_found, unpacked
from radii.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, axes: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzip or not.

    Args:
        path: The file.
        axes: How many axes the array must have: 3 for images, 1 for labels.

    Returns:
        The array, read-only.

    Raises:
        DataError: If the file is not IDX, has another number of axes, or is not as long as its
            header says.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTE, axes))
    start = 4 + 4 * axes
    with unpacked(path) as file:
        header = file.read(start)
        if header[:4] != magic:
            raise DataError(
                f"{path} must be an IDX file that starts with {magic.hex()}, "
                f"got {header[:4].hex() or 'an empty file'}"
            )
        if len(header) < start:
            raise DataError(f"{path} ends inside its header; download it again")
        shape = tuple(int(size) for size in np.frombuffer(header, ">u4", count=axes, offset=4))
        count = math.prod(shape)
        if count > MOST_BYTES:
            raise DataError(
                f"{path} must hold at most {MOST_BYTES} values, got a header with the shape "
                f"{shape}; download it again"
            )
        content = file.read(count + 1)  # no more than it should have, whatever it is packed to
    if len(content) != count:
        found = len(content) if len(content) < count else f"{len(content)} or more"
        raise DataError(
            f"{path} must hold {count} values after its header, for the shape {shape}, "
            f"got {found}; download it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


@dataclass(frozen=True)
class _Idx(Reader):
    """What the two have in common: the names of the files."""

    name: ClassVar[str]
    folders: ClassVar[tuple[str, ...]]
    class_names: ClassVar[tuple[str, ...]]

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split, from the first folder that holds both of its files."""
        stem = {"train": "train", "test": "t10k"}[split]
        places = [] if root is None else [*(root / folder for folder in self.folders), root]
        for place in places:
            images = _find(place, f"{stem}-images", "idx3-ubyte")
            labels = _find(place, f"{stem}-labels", "idx1-ubyte")
            if images is not None and labels is not None:
                inputs = read_idx(images, axes=3)[:, np.newaxis]
                targets = read_idx(labels, axes=1).astype(np.int64)
                return ArrayDataset(inputs, targets, self.class_names, reference)
        files = f"{stem}-images-idx3-ubyte[.gz] with {stem}-labels-idx1-ubyte[.gz]"
        raise not_found(self.name, [files], places)


def _find(place: Path, stem: str, kind: str) -> Path | None:
    names = (f"{stem}{mark}{kind}{ending}" for mark in "-." for ending in ("", ".gz"))
    return next((place / name for name in names if (place / name).is_file()), None)


@DATASETS.register("mnist")
@dataclass(frozen=True)
class MNIST(_Idx):
    """MNIST: 60,000 + 10,000 handwritten digits, gray, 28 x 28.

    The four IDX files, packed with gzip or not, in `mnist/` or `MNIST/raw/` under the data root, or
    in the data root itself.

    Reference:
        LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86(11).
    """

    name = "mnist"
    folders = ("mnist", "MNIST/raw")
    class_names = tuple("0123456789")


@DATASETS.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMNIST(_Idx):
    """Fashion-MNIST: 60,000 + 10,000 articles of clothing, gray, 28 x 28.

    The four IDX files, packed with gzip or not, in `fashion_mnist/` or `FashionMNIST/raw/` under
    the data root, or in the data root itself. They are named like those of MNIST: a data root that
    holds MNIST's own files directly would be read as Fashion-MNIST, so give each its folder.

    Reference:
        Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
    """

    name = "fashion_mnist"
    folders = ("fashion_mnist", "FashionMNIST/raw")
    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
