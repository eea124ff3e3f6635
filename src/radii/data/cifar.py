"""CIFAR-10 and CIFAR-100 from their binary version; the pickled version is never opened."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from radii.data.arrays import ArrayDataset, frozen
from radii.data.base import DATASETS, Dataset, Reader
from radii.data.published import not_found, read_bytes, unpacked
from radii.errors import DataError

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_MOST_BYTES = 2**28  # of a file or an archive: the largest has 185 MB


@dataclass(frozen=True)
class _Cifar(Reader):
    """What the two have in common: records of a few label bytes, the last of them the class."""

    name: ClassVar[str]
    title: ClassVar[str]
    stem: ClassVar[str]
    unpacked: ClassVar[str]
    pickled: ClassVar[str]
    files: ClassVar[Mapping[str, tuple[str, ...]]]
    label_bytes: ClassVar[int]
    class_names: ClassVar[tuple[str, ...]]

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split, from the unpacked folder or straight from the archive."""
        places = [] if root is None else [root / self.name, root]
        archive = f"{self.stem}-binary.tar.gz"
        for place in places:
            for folder in (place / self.unpacked, place):
                if (folder / self.files[split][0]).is_file():
                    return self._dataset(_from_folder(folder, self.files[split]), reference)
            if (place / archive).is_file():
                members = [f"{self.unpacked}/{file}" for file in self.files[split]]
                return self._dataset(_from_archive(place / archive, members), reference)
        for place in places:
            for pickled in (place / f"{self.stem}-python.tar.gz", place / self.pickled):
                if pickled.exists():
                    raise DataError(
                        f"{pickled} is the pickled version, which can run code when it is opened; "
                        f'download the "{self.title} binary version" ({archive}) instead'
                    )
        raise not_found(self.name, [archive, f"{self.unpacked}/{self.files[split][0]}"], places)

    def _dataset(self, contents: Mapping[str, bytes], reference: str) -> Dataset:
        length = self.label_bytes + _PIXELS
        parts: list[npt.NDArray[np.uint8]] = []
        for source, content in contents.items():
            if not content or len(content) % length:
                raise DataError(
                    f"{source} must hold records of {length} bytes, "
                    f"got {len(content)} bytes; download it again"
                )
            parts.append(np.frombuffer(content, np.uint8).reshape(-1, length))
        records = np.concatenate(parts)
        inputs = frozen(records[:, self.label_bytes :].reshape(-1, *_SHAPE))
        labels = records[:, self.label_bytes - 1].astype(np.int64)
        return ArrayDataset(inputs, labels, self.class_names, reference)


def _from_folder(folder: Path, files: tuple[str, ...]) -> dict[str, bytes]:
    return {str(folder / file): read_bytes(folder / file, _MOST_BYTES) for file in files}


def _from_archive(archive: Path, members: list[str]) -> dict[str, bytes]:
    contents = {}
    try:
        with unpacked(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            total = 0
            for member in tar:
                total += member.size
                if total > _MOST_BYTES:  # before it is read, or passed over
                    raise OSError(f"it holds more than {_MOST_BYTES} bytes")
                file = tar.extractfile(member) if member.name in members else None
                if file is not None:
                    contents[f"{archive}:{member.name}"] = file.read()
            while part := stream.read(2**20):  # to its checksum, which stands at its very end
                total += len(part)
                if total > _MOST_BYTES:
                    raise OSError(f"it holds more than {_MOST_BYTES} bytes")
        missing = [member for member in members if f"{archive}:{member}" not in contents]
        if missing:
            raise KeyError(f"{missing[0]} is not in it")
    except (
        *(KeyError, MemoryError, ValueError, OverflowError, RecursionError),
        tarfile.TarError,
    ) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{archive} cannot be read ({why}); download it again") from error
    return {f"{archive}:{member}": contents[f"{archive}:{member}"] for member in members}


@DATASETS.register("cifar10")
@dataclass(frozen=True)
class CIFAR10(_Cifar):
    """CIFAR-10: 50,000 + 10,000 colour images of 10 classes, 32 x 32.

    The binary version, as `cifar-10-binary.tar.gz` or unpacked as `cifar-10-batches-bin/`, in
    `cifar10/` under the data root or in the data root itself.

    Reference:
        Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """

    name = "cifar10"
    title = "CIFAR-10"
    stem = "cifar-10"
    unpacked = "cifar-10-batches-bin"
    pickled = "cifar-10-batches-py"
    files: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test": ("test_batch.bin",),
    }
    label_bytes = 1
    class_names = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )


@DATASETS.register("cifar100")
@dataclass(frozen=True)
class CIFAR100(_Cifar):
    """CIFAR-100: 50,000 + 10,000 colour images of 100 classes (the fine labels), 32 x 32.

    The binary version, as `cifar-100-binary.tar.gz` or unpacked as `cifar-100-binary/`, in
    `cifar100/` under the data root or in the data root itself.

    Reference:
        Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """

    name = "cifar100"
    title = "CIFAR-100"
    stem = "cifar-100"
    unpacked = "cifar-100-binary"
    pickled = "cifar-100-python"
    files: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "train": ("train.bin",),
        "test": ("test.bin",),
    }
    label_bytes = 2
    class_names = tuple(
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
        butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
        crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
        keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
        mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
        plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
        skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
        television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
        """.split()
    )
