"""Random changes of training inputs that leave the label right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from radii.errors import DataError
from radii.registry import Registry


class Augmentation(ABC):
    """A random change of inputs, before noise; the labels stay right.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def check(self, input_shape: tuple[int, ...]) -> None:
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

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Refuses what is no image."""
        if len(input_shape) != 3:
            raise DataError(
                f"crop_flip needs images (channels, height, width), got inputs of shape "
                f"{input_shape}; train without it."
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
