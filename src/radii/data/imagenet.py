"""ImageNet, from the unpacked archives in which it is published."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from radii.data.base import DATASETS, Dataset, IntArray, Reader
from radii.data.imagenet_files import Found, classes_of_all, of_classes, of_numbers
from radii.data.imagenet_synsets import Synsets, names_of, synsets_in
from radii.data.pictures import PictureDataset, Pixels, channels_first, check_size, decoded
from radii.data.published import not_found
from radii.errors import DataError

_FOLDERS = {"train": "train", "test": "val"}
_UNPACKED = "ILSVRC/Data/CLS-LOC"  # where the archive of one of the publishers has the two folders


@DATASETS.register("imagenet")
@dataclass(frozen=True)
class ImageNet(Reader):
    """ImageNet (ILSVRC 2012): 1,281,167 + 50,000 colour pictures of 1,000 classes.

    Pictures differ in size. An input is what published evaluations take: the picture is resized
    (bilinear) until its shorter side has 256 pixels, and the 224 x 224 pixels in the middle are cut
    out. Training may cut in other ways: see the augmentation `imagenet_crop_flip`.

    Read are `train/WNID/*.JPEG` and, as the split `test`, `val/WNID/*.JPEG`, in `imagenet/` or
    `imagenet/ILSVRC/Data/CLS-LOC/` under the data root or in the data root itself. The validation
    pictures may also lie in `val/` without subfolders, as they are published; then the development
    kit must lie beside it, unpacked as `ILSVRC2012_devkit_t12/`. Pictures are in the order of
    classes and names either way.

    Classes are the subfolders, in sorted order, however many there are. Where
    `LOC_synset_mapping.txt` or the development kit lies beside them, classes are the 1,000 listed
    there, also those without a picture, and have their names.

    Reference:
        Russakovsky et al. 2015, arXiv:1409.0575; the cut as in Cohen et al. 2019, arXiv:1902.02918.
    """

    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split; lists files and opens none of them."""
        above = [] if root is None else [root / "imagenet", root]
        places = [place for home in above for place in (home, home / _UNPACKED)]
        for place in places:
            home = place / _FOLDERS[split]
            if not home.is_dir():
                continue
            beside = [place, *(folder for folder in above if folder in place.parents)]
            synsets = synsets_in(beside)
            if found := of_classes(home) or of_numbers(home, beside, synsets):
                both = [place / folder for folder in _FOLDERS.values()]
                wnids = list(synsets.words) if synsets else classes_of_all(both, found)
                return _dataset(home, found, wnids, synsets, reference)
        archive = f"ILSVRC2012_img_{_FOLDERS[split]}.tar"
        for place in places:
            if (place / archive).is_file():
                raise DataError(
                    f"{place / archive} is packed; unpack it into {place / _FOLDERS[split]}, "
                    f"with one folder for each class"
                )
        raise not_found("imagenet", [f"{_FOLDERS[split]}/WNID/*.JPEG"], places)


@dataclass(frozen=True, eq=False)
class ImageNetDataset(PictureDataset):
    """Pictures of different sizes that stay on disk, and what is cut from them.

    Args:
        home: The folder of the split.
        files: Each picture, from there.
        labels: `(examples,)` int64.
        wnids: WordNet's name for each class.
        class_names: Words for each class.
        reference: What the user wrote.
        resize: Pixels of the shorter side before the cut.
        crop: Pixels of each side of what is cut out.
    """

    home: Path
    files: tuple[str, ...] = field(repr=False)
    labels: IntArray = field(repr=False)
    wnids: tuple[str, ...] = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    reference: str
    resize: int = 256
    crop: int = 224
    input_shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize:
            raise ValueError(
                f"crop must be at least 1 and at most resize, which is {self.resize}, "
                f"got {self.crop!r}"
            )
        object.__setattr__(self, "input_shape", (3, self.crop, self.crop))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the classes, the cut, and class, name and size in bytes of each file.

        The 150 GB of the pictures are not read, so a file whose bytes are replaced by equally many
        others is not noticed.
        """
        header = f"radii imagenet 1\nbilinear {self.resize} {self.crop}\n{self.wnids}\n"
        digest = hashlib.sha256(header.encode())
        for file, label in zip(self.files, self.labels.tolist(), strict=True):
            try:
                size = os.stat(f"{self.home}/{file}").st_size
            except OSError as error:
                raise DataError(f"{self.home}/{file} cannot be read ({error})") from error
            digest.update(f"{self.wnids[label]}/{file.rpartition('/')[2]} {size}\n".encode())
        return digest.hexdigest()

    def picture(self, index: int) -> Image.Image:
        """See `PictureDataset.picture`."""
        path = self.home / self.files[index]
        return decoded(path, path, "RGB")

    def pixels(self, index: int) -> Pixels:
        """See `PixelDataset.pixels`."""
        picture = self.picture(index)
        return channels_first(middle(picture, self.resize, self.crop, self.files[index]))


def middle(picture: Image.Image, resize: int, crop: int, name: object) -> Image.Image:
    """The middle of a picture, once it is resized; sizes are rounded as torchvision does.

    Args:
        picture: Of any size.
        resize: Pixels that its shorter side gets, by bilinear interpolation.
        crop: Pixels of each side of what is cut out.
        name: What errors call the picture.

    Raises:
        DataError: If it is so oblong that it would fill the memory.
    """
    width, height = picture.size
    shorter = min(width, height)
    if shorter != resize:
        width, height = (
            resize if side == shorter else int(resize * side / shorter) for side in (width, height)
        )
        check_size((width, height), name)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return picture.crop((left, top, left + crop, top + crop))


def _dataset(
    home: Path, found: Found, wnids: list[str], synsets: Synsets | None, reference: str
) -> Dataset:
    order = {wnid: label for label, wnid in enumerate(wnids)}
    unknown = sorted({wnid for wnid, _ in found} - order.keys())
    if unknown:
        raise DataError(
            f"the class {unknown[0]!r} of a picture in {home} must be one of the {len(order)} in "
            f"{synsets.source if synsets else home}; move it elsewhere"
        )
    labels = np.array([order[wnid] for wnid, _ in found], dtype=np.int64)
    words: Mapping[str, str] = synsets.words if synsets else {}
    files = tuple(file for _, file in found)
    return ImageNetDataset(home, files, labels, tuple(wnids), names_of(wnids, words), reference)
