"""A plain convolutional network for small images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from radii.models.base import ARCHITECTURES, Architecture, image_channels


@ARCHITECTURES.register("convnet")
@dataclass(frozen=True)
class ConvNet(Architecture):
    """Four convolutions and a hidden layer, with batch norm and ReLU after each.

    The convolutions are 7 x 7 and 3 x 3 with `width` channels, then 3 x 3 twice with twice as many.
    The first and the third halve the sides. 872,362 parameters for MNIST.

    Attributes:
        width: Channels of the first two convolutions.
        hidden: Units before the scores.

    Reference:
        Batch norm: Ioffe and Szegedy 2015, arXiv:1502.03167. The layers are this library's.
    """

    width: int = 32
    hidden: int = 256
    examples: ClassVar[tuple[dict[str, object], ...]] = ({}, {"width": 4, "hidden": 16})
    example_input_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("hidden", self.hidden)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}")

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers, one after the other."""
        channels = image_channels("convnet", input_shape, least=4)
        height, width = ((side + 3) // 4 for side in input_shape[1:])  # halved twice, rounded up
        return nn.Sequential(
            *_convolution(channels, self.width, 7, stride=2),
            *_convolution(self.width, self.width, 3, stride=1),
            *_convolution(self.width, 2 * self.width, 3, stride=2),
            *_convolution(2 * self.width, 2 * self.width, 3, stride=1),
            nn.Flatten(),
            nn.Linear(2 * self.width * height * width, self.hidden, bias=False),
            nn.BatchNorm1d(self.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(self.hidden, num_classes),
        )


def _convolution(inside: int, outside: int, size: int, *, stride: int) -> tuple[nn.Module, ...]:
    """With batch norm in place of its bias, and ReLU; sides stay what they are, over `stride`."""
    return (
        nn.Conv2d(inside, outside, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )
