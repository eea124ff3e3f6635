"""Random changes of training inputs that leave the label right."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from radii.data import Dataset, PictureDataset
from radii.errors import DataError
from radii.noise import Stream
from radii.registry import Registry

_TRIALS = 10


class Augmentation(ABC):
    """A random change of inputs, before noise; the labels stay right.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def check(self, dataset: Dataset) -> None:
        """Refuses inputs that it has no meaning for, with a `DataError`."""

    @abstractmethod
    def apply(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Each input changed by itself.

        Args:
            x: `(batch, *shape)` float32. Is left as it is.
            generator: Where the randomness comes from; on the device of `x`.

        Returns:
            `(batch, *shape)` float32.
        """


class PictureAugmentation(Augmentation):
    """Cuts inputs out of larger pictures, while these are read from disk."""

    def check(self, dataset: Dataset) -> None:
        """Refuses data sets without larger pictures."""
        if not isinstance(dataset, PictureDataset):
            raise DataError(
                f"{AUGMENTATIONS.name_of(self)} needs pictures to cut the inputs from, as imagenet "
                f"has them, got {dataset.reference}; take crop_flip."
            )

    @abstractmethod
    def cut(self, picture: Image.Image, size: tuple[int, int], *, stream: Stream) -> Image.Image:
        """A random part of a picture.

        Args:
            picture: Of any size. Is left as it is.
            size: Width and height of what is wanted.
            stream: Names the randomness: the same stream cuts in the same way, in any thread.
        """

    def apply(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """The inputs as they are: they were cut when they were read."""
        return x


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation", "radii.training", Augmentation)


@AUGMENTATIONS.register("crop_flip")
@dataclass(frozen=True)
class CropFlip(Augmentation):
    """A random crop of the image within a black frame, mirrored left to right in half the cases.

    Attributes:
        padding: Width of the frame, so also the furthest that an image moves, in pixels.
        flip: Whether images are mirrored.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2 (4 pixels, for CIFAR-10).
    """

    padding: int = 4
    flip: bool = True
    examples = ({}, {"padding": 2, "flip": False})

    def __post_init__(self) -> None:
        if self.padding < 0:
            raise ValueError(f"padding must be at least 0, got {self.padding!r}")

    def check(self, dataset: Dataset) -> None:
        """Refuses what is no image."""
        if len(dataset.input_shape) != 3:
            raise DataError(
                f"crop_flip needs images (channels, height, width), got inputs of shape "
                f"{dataset.input_shape}; train without it."
            )

    def apply(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Augmentation.apply`."""
        batch, channels, height, width = x.shape

        def positions(size: int) -> Tensor:
            """`(batch, size)` rows or columns of the framed image."""
            first = torch.randint(
                2 * self.padding + 1, (batch, 1), generator=generator, device=x.device
            )
            return first + torch.arange(size, device=x.device)

        rows, columns = positions(height), positions(width)
        if self.flip:
            mirrored = torch.rand((batch, 1), generator=generator, device=x.device) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        framed = pad(x, [self.padding] * 4)
        image = torch.arange(batch, device=x.device).view(-1, 1, 1, 1)
        channel = torch.arange(channels, device=x.device).view(1, -1, 1, 1)
        return framed[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


@AUGMENTATIONS.register("imagenet_crop_flip")
@dataclass(frozen=True)
class ImageNetCropFlip(PictureAugmentation):
    """A random part of the picture, resized to the input, mirrored left to right in half the cases.

    The part has a share of the area between `smallest` and 1 and an aspect ratio between
    `1 / stretch` and `stretch`, uniform in its logarithm. If ten parts in a row would reach beyond
    the picture, it is the largest one in the middle with such a ratio. Interpolation is bilinear.

    Attributes:
        smallest: Share of the picture's area that is kept at least.
        stretch: Largest ratio of the sides, before they are made equal.
        flip: Whether parts are mirrored.

    Reference:
        Szegedy et al. 2015, arXiv:1409.4842, section 6; as in Cohen et al. 2019, arXiv:1902.02918.
    """

    smallest: float = 0.08
    stretch: float = 4 / 3
    flip: bool = True
    examples = ({}, {"smallest": 0.5, "stretch": 1.0, "flip": False})

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= 1:
            raise ValueError(f"smallest must be in (0, 1], got {self.smallest!r}")
        if not 1 <= self.stretch < math.inf:
            raise ValueError(f"stretch must be at least 1 and finite, got {self.stretch!r}")

    def cut(self, picture: Image.Image, size: tuple[int, int], *, stream: Stream) -> Image.Image:
        """See `PictureAugmentation.cut`."""
        mirror, *numbers = _uniform(stream, 1 + 4 * _TRIALS)
        part = picture.crop(self._box(picture.width, picture.height, numbers))
        part = part.resize(size, Image.Resampling.BILINEAR)
        mirrored = self.flip and mirror < 0.5
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part

    def _box(self, wide: int, high: int, numbers: list[float]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the first part that fits, or of the one in the middle."""
        for trial in range(_TRIALS):
            share, ratio, across, down = numbers[4 * trial : 4 * trial + 4]
            area = wide * high * (self.smallest + (1 - self.smallest) * share)
            aspect = math.exp((2 * ratio - 1) * math.log(self.stretch))
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= wide and 0 < height <= high:
                left = int(across * (wide - width + 1))
                top = int(down * (high - height + 1))
                return left, top, left + width, top + height
        width = min(wide, max(1, round(high * self.stretch)))
        height = min(high, max(1, round(wide * self.stretch)))
        left, top = (wide - width) // 2, (high - height) // 2
        return left, top, left + width, top + height


def _uniform(stream: Stream, count: int) -> list[float]:
    """Numbers in [0, 1) with 53 bits, which follow from the name of the stream."""
    words = np.frombuffer(stream.hashed(8 * count), dtype="<u8") >> np.uint64(11)
    found: list[float] = (words * 2.0**-53).tolist()
    return found
