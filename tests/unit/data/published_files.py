"""Small data sets in the formats in which the real ones are published."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.io import savemat

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


def write_svhn(folder: Path, split: str, images: Pixels, labels: npt.ArrayLike) -> None:
    """As published: `X` is height, width, channels, examples; `y` is a column, 10 for the 0."""
    folder.mkdir(parents=True, exist_ok=True)
    column = np.asarray(labels, dtype=np.uint8).reshape(-1, 1)
    arrays = {"X": images.transpose(2, 3, 1, 0), "y": column}
    savemat(folder / f"{split}_32x32.mat", arrays, do_compression=True)


WNIDS = ("n01440764", "n02012849", "n03126707")


def write_picture(path: Path, size: tuple[int, int], seed: int) -> None:
    """A smooth JPEG, since noise does not survive compression."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(pixels(4, 4, 3, seed=seed))
    coarse.resize(size, Image.Resampling.BICUBIC).save(path, "JPEG", quality=95)


def write_imagenet(folder: Path, split: str, count: int = 6, *, least: int = 40) -> None:
    """Pictures of different sizes in folders of three classes, in turn."""
    for number in range(count):
        wnid = WNIDS[number % len(WNIDS)]
        size = (least + 7 * (number % 5), least + 11 * (number % 3))
        name = f"{wnid}_{number}.JPEG" if split == "train" else validation_name(number + 1)
        write_picture(folder / split / wnid / name, size, 100 * len(split) + number)


def validation_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def write_kit(folder: Path, truth: list[int], words: dict[str, str]) -> None:
    """The development kit: classes in another order than that of their names, and inner nodes."""
    home = folder / "ILSVRC2012_devkit_t12" / "data"
    home.mkdir(parents=True)
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    leaves = [(i, wnid, word, 0) for i, (wnid, word) in enumerate(reversed(words.items()), 1)]
    rows = np.array([*leaves, (len(leaves) + 1, "n00001740", "entity", 2)], dtype=kinds)
    savemat(home / "meta.mat", {"synsets": rows.reshape(-1, 1)})
    text = "".join(f"{number}\n" for number in truth)
    (home / "ILSVRC2012_validation_ground_truth.txt").write_text(text)


def hub_table(
    count: int, seed: int = 0, *, size: tuple[int, int] = (6, 4), gray: bool = False
) -> Any:
    """Images and labels of two classes, or the test is skipped."""
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    shape = size[::-1] if gray else (*size[::-1], 3)
    images = [Image.fromarray(pixels(*shape, seed=seed + number)) for number in range(count)]
    columns = {"label": [number % 2 for number in range(count)], "image": images}
    features = {"label": datasets.ClassLabel(names=["cat", "dog"]), "image": datasets.Image()}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def write_hub(folder: Path) -> None:
    """What `save_to_disk` writes for three splits."""
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    splits = {"train": 5, "test": 3, "validation": 2}
    tables = {name: hub_table(count, seed=10 * count) for name, count in splits.items()}
    datasets.DatasetDict(tables).save_to_disk(str(folder))
