"""The small real data set that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from radii.data.base import DATASETS, Dataset, Reader
from radii.data.npz import Npz


@DATASETS.register("mnist5k")
@dataclass(frozen=True)
class MNIST5k(Reader):
    """A part of MNIST that comes with the package: 5,000 + 1,000 digits, gray, 28 x 28.

    The first 500 images of each digit in the training set and the first 100 of each in the test
    set, in MNIST's own order, so the classes are mixed. `mnist5k.npz` also holds their positions in
    MNIST, as `index_train` and `index_test`. CC BY-SA 3.0; see `mnist5k.LICENSE.md`.

    Reference:
        LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86(11).
    """

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split; needs no root."""
        with as_file(files("radii.data") / "mnist5k.npz") as path:
            return Npz(str(path)).read(split, None, reference)
