"""What a denoiser is: image shape in, an untrained network from images to images out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from radii.registry import Registry


@dataclass(frozen=True)
class Denoiser(ABC):
    """The shape of a denoising network: a frozen dataclass that builds it with untrained weights.

    What is built takes images in the units of the data, with noise, and gives images of the same
    shape and units. So it can stand before any classifier that takes these.

    Attributes:
        examples: Fields of valid members, read by the listings and the tests.
    """

    examples: ClassVar[tuple[dict[str, object], ...]] = ({},)

    @abstractmethod
    def build(self, input_shape: tuple[int, ...]) -> nn.Module:
        """An untrained denoiser, in training mode, as every new module is.

        The weights come from torch's global generator.

        Args:
            input_shape: Shape of one image, channels first.

        Raises:
            ValueError: If it is not `(channels, height, width)`, or too small.
        """


DENOISERS: Registry[Denoiser] = Registry("denoiser", "radii.models", Denoiser)


def channels_of(name: str, input_shape: tuple[int, ...], *, least: int) -> int:
    """The channels of an image shape.

    Raises:
        ValueError: If it is not `(channels, height, width)` with sides of at least `least`.
    """
    if len(input_shape) != 3 or min(input_shape) < 1 or min(input_shape[1:]) < least:
        raise ValueError(
            f"{name} denoises images of shape (channels, height, width) with height and width "
            f"of at least {least}, got {input_shape}"
        )
    return input_shape[0]
