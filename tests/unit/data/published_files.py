"""Small data sets in the formats in which the real ones are published."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def pixels(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array: npt.NDArray[np.uint8], kind: int = 0x08) -> bytes:
    """The format as described beside the published files: magic, big-endian sizes, values."""
    header = bytes((0, 0, kind, array.ndim))
    return header + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write_idx(
    folder: Path,
    images: Pixels,
    labels: npt.ArrayLike,
    *,
    stem: str = "t10k",
    mark: str = "-",
    packed: bool = False,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    targets = np.asarray(labels, dtype=np.uint8)
    for name, array in (
        (f"{stem}-images{mark}idx3-ubyte", images),
        (f"{stem}-labels{mark}idx1-ubyte", targets),
    ):
        content = idx_bytes(array)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def cifar_bytes(images: Pixels, *labels: npt.ArrayLike) -> bytes:
    """One record an image: its label bytes, then 1024 red, 1024 green and 1024 blue values."""
    columns = [np.asarray(column, dtype=np.uint8)[:, np.newaxis] for column in labels]
    return np.concatenate([*columns, images.reshape(len(images), -1)], axis=1).tobytes()


def write_files(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def write_archive(path: Path, folder: str, contents: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def cifar10_files(seed: int = 0) -> dict[str, bytes]:
    """Two images a file."""
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    return {
        name: cifar_bytes(pixels(2, 3, 32, 32, seed=seed + number), [number, 9 - number])
        for number, name in enumerate(names)
    }


def cifar100_files() -> dict[str, bytes]:
    """Two images a file; coarse labels below 20, fine labels above."""
    return {
        name: cifar_bytes(pixels(2, 3, 32, 32, seed=seed), [3, 19], [20 + seed, 99])
        for seed, name in enumerate(("train.bin", "test.bin"))
    }
