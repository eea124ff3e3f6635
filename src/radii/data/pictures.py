"""Images that stay where they are until they are asked for, and how they are decoded."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from radii.data.base import Dataset, unit_interval
from radii.errors import DataError

Pixels = npt.NDArray[np.uint8]

MOST_PIXELS = 89_478_485  # where pillow begins to warn: 256 MiB as RGB
GRAY = ("1", "L", "LA")
_DEEP = ("F", "I")  # modes of more than 8 bits a channel begin so; converting them would clip
_DEEP_IN_FILE = re.compile(r"(?!BGR).*;(12|16|32)[BLNFS]*")  # raw modes that lose bits
_BITS_PER_SAMPLE = 258  # a tag of TIFF files


class PixelDataset(Dataset):
    """Images of 8 bits a channel, decoded when they are asked for."""

    @abstractmethod
    def pixels(self, index: int) -> Pixels:
        """Image `index` as `input_shape`; may be called from several threads at once.

        Raises:
            DataError: If it cannot be read, or is not what it was when the data set was opened.
        """

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image `index` as float32 in [0, 1], `(channels, height, width)`, and its label."""
        return unit_interval(torch.from_numpy(self.pixels(index))), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """All images as uint8 and labels as int64, in memory."""
        inputs = np.stack([self.pixels(index) for index in range(len(self))])
        return torch.from_numpy(inputs), torch.from_numpy(self.labels.copy())


class PictureDataset(PixelDataset):
    """Images that are cut from larger pictures, which training may cut in other ways."""

    @abstractmethod
    def picture(self, index: int) -> Image.Image:
        """The whole picture that image `index` is cut from, RGB; may be called from threads.

        Raises:
            DataError: If it cannot be read.
        """


def decoded(file: Path | IO[bytes], name: object, mode: str) -> Image.Image:
    """A whole image in memory.

    Args:
        file: Where it is read from.
        name: What errors call it.
        mode: `RGB`, or `L` for gray.

    Raises:
        DataError: If it cannot be read, is too large or has more than 8 bits a channel.
    """
    with _opened(file, name) as image:
        return image.convert(mode)


def size_and_mode(file: Path | IO[bytes], name: object) -> tuple[tuple[int, int], str]:
    """Width and height of an image and its mode, from its header.

    Raises:
        DataError: If it cannot be read, is too large or has more than 8 bits a channel.
    """
    with _opened(file, name) as image:
        return image.size, image.mode


def channels_first(image: Image.Image) -> Pixels:
    """The pixels of an image as `(channels, height, width)`."""
    pixels = np.array(image, dtype=np.uint8)
    return pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0).copy()


def check_size(size: tuple[int, int], name: object) -> None:
    """Refuses an image whose pixels would fill the memory.

    Raises:
        DataError: If it has too many.
    """
    if size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            f"{name} must have at most {MOST_PIXELS} pixels, got {size[0]} x {size[1]}; "
            f"make it smaller, or leave it out"
        )


def _check_depth(image: Image.Image, name: object) -> None:
    """Refuses what has more than 8 bits a channel, also where its mode does not say so.

    Colours of 16 bits are opened as RGB, and cut to 8 bits when they are read.
    """
    got = f"mode {image.mode!r}" if image.mode.startswith(_DEEP) else ""
    for _, _, _, how in getattr(image, "tile", ()):
        raw, *more = how if isinstance(how, tuple) else (how,)
        if isinstance(raw, str) and _DEEP_IN_FILE.fullmatch(raw):
            got = got or f"{raw!r} in the file"
        if image.format == "PPM" and more and isinstance(more[0], int) and more[0] > 255:
            got = got or f"numbers up to {more[0]}"
    if bits := [*getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())]:
        got = got or (f"{max(bits)}" if max(bits) > 8 else "")
    if got:
        raise DataError(f"{name} must have 8 bits a channel, got {got}; convert it")


@contextmanager
def _opened(file: Path | IO[bytes], name: object) -> Iterator[Image.Image]:
    try:
        with Image.open(file) as image:
            check_size(image.size, name)
            _check_depth(image, name)
            yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{name} must have at most {MOST_PIXELS} pixels ({error})") from error
    except DataError:
        raise
    except Exception as error:  # its decoders raise almost anything for damaged files
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name} cannot be read as an image ({why}); replace it, or leave it out"
        ) from error
