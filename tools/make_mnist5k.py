"""Makes `src/radii/data/mnist5k.npz` from the published files of MNIST.

The first 500 images of each digit in the training set and the first 100 of each in the test set
are kept, in their original order, with their positions in the original files.

    python tools/make_mnist5k.py FOLDER_WITH_THE_IDX_FILES
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.data.arrays import ArrayDataset
from radii.data.idx import MNIST

TARGET = Path(__file__).parents[1] / "src" / "radii" / "data" / "mnist5k.npz"
KEPT = {"train": 500, "test": 100}


def first_of_each(labels: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """The positions of the first `count` examples of every class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]))


def subset(root: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the file, by name."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for split, count in KEPT.items():
        full = MNIST().read(split, root, f"mnist@{split}")
        assert isinstance(full, ArrayDataset), "the reader of MNIST reads into memory"
        index = first_of_each(full.labels, count)
        arrays[f"x_{split}"] = full.inputs[index, 0]
        arrays[f"y_{split}"] = full.labels[index].astype(np.uint8)
        arrays[f"index_{split}"] = index.astype(np.uint16)
    return arrays


def pack(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """An .npz file without timestamps, in the compression that every Python can read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0))
            archive.writestr(info, content.getvalue(), compresslevel=9)
    return packed.getvalue()


def main() -> None:
    """Reads the folder, writes the file, prints its size and digest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder with the four IDX files of MNIST")
    parser.add_argument("--out", type=Path, default=TARGET, help="the file to write")
    arguments = parser.parse_args()
    content = pack(subset(arguments.folder))
    arguments.out.write_bytes(content)
    print(f"{arguments.out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
