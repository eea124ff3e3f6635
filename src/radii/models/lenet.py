"""LeNet, the network of the MNIST experiments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from radii.models.base import ARCHITECTURES, Architecture


@ARCHITECTURES.register("lenet")
@dataclass(frozen=True)
class LeNet(Architecture):
    """LeNet with ReLU: two 5 x 5 convolutions (20, 50) with pooling, then 500 hidden units.

    Takes 28 x 28 or 32 x 32 images. 431,080 parameters for MNIST.

    Reference:
        LeCun et al. 1998, Proceedings of the IEEE 86(11); with these widths in Jeong and Shin 2020,
        arXiv:2006.04062.
    """

    example_input_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `conv2`, `fc1`, `fc2`."""
        if len(input_shape) != 3 or input_shape[1:] not in ((28, 28), (32, 32)):
            raise ValueError(
                f"lenet needs inputs of shape (channels, 28, 28) or (channels, 32, 32), "
                f"got {input_shape}; use mlp for inputs of another shape"
            )
        return LeNetBody(input_shape[0], input_shape[1], num_classes)


class LeNetBody(nn.Module):
    """The network of `LeNet`."""

    def __init__(self, channels: int, side: int, num_classes: int) -> None:
        super().__init__()
        after = ((side - 4) // 2 - 4) // 2  # a 5 x 5 convolution takes 4, pooling halves; twice
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * after * after, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`.

        Pooling comes before ReLU, on a quarter of the numbers: the largest stays the largest.
        """
        x = functional.relu(functional.max_pool2d(self.conv1(x), 2))
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2))
        x = functional.relu(self.fc1(x.flatten(1)))
        return cast(Tensor, self.fc2(x))
