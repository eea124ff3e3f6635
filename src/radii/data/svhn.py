"""Street View House Numbers, from the MATLAB files in which they are published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radii.data.arrays import ArrayDataset, frozen
from radii.data.base import DATASETS, Dataset, Reader
from radii.data.mat import read_mat
from radii.data.published import not_found
from radii.errors import DataError

_NAMES = tuple("0123456789")
_ZERO = 10  # the label that the files give the digit 0


@DATASETS.register("svhn")
@dataclass(frozen=True)
class SVHN(Reader):
    """Street View House Numbers: 73,257 + 26,032 digits in colour, cropped to 32 x 32.

    `train_32x32.mat` and `test_32x32.mat`, in `svhn/` under the data root or in the data root
    itself. Labels are the digits: what the files call 10 is 0.

    Reference:
        Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning.
    """

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split."""
        file = f"{split}_32x32.mat"
        places = [] if root is None else [root / "svhn", root / "SVHN", root]
        path = next((place / file for place in places if (place / file).is_file()), None)
        if path is None:
            raise not_found("svhn", [file], places)
        x, y = read_mat(path, "X", "y")
        count = x.shape[-1] if x.ndim == 4 else 0
        if x.dtype != np.uint8 or x.shape != (32, 32, 3, count) or y.shape != (count, 1):
            raise DataError(
                f"{path} must hold bytes 'X' of the shape (32, 32, 3, examples) and 'y' of the "
                f"shape (examples, 1), got {x.dtype} {x.shape} and {y.shape}; download it again"
            )
        if y.dtype.kind not in "iuf":
            raise DataError(f"labels in {path} must be numbers, got {y.dtype}; download it again")
        given = y[:, 0]
        wrong = given[~np.isin(given, np.arange(1, _ZERO + 1))]
        if wrong.size:
            raise DataError(
                f"labels in {path} must be 1 to {_ZERO}, got {wrong[0]:g}; download it again"
            )
        labels = given.astype(np.int64)
        inputs = frozen(np.ascontiguousarray(np.moveaxis(x, (3, 2), (0, 1))))
        return ArrayDataset(inputs, labels % _ZERO, _NAMES, reference)
