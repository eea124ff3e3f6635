"""WRN-28-10, a wide residual network for small images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from radii.models.base import ARCHITECTURES, Architecture, image_channels
from radii.models.residual import initialise_convolutions, pooled_scores

BLOCKS = 4  # in each of the three groups: 6 * 4 + 4 = 28
WIDTHS = (16, 160, 320, 640)


@ARCHITECTURES.register("wide_resnet28_10")
@dataclass(frozen=True)
class WideResNet28x10(Architecture):
    """WRN-28-10 without dropout: 36.5 million parameters.

    Module names are those of the PyTorch form that most robustness papers share
    (`block1.layer.0.convShortcut`).

    Reference:
        Zagoruyko and Komodakis 2016, arXiv:1605.07146, section 2.
    """

    example_input_shape: ClassVar[tuple[int, ...]] = (3, 16, 16)

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `block1` to `block3`, `bn1`, `fc`."""
        channels = image_channels("wide_resnet28_10", input_shape, least=8)
        return WideResNetBody(channels, num_classes)


class WideBlock(nn.Module):
    """Batch norm and ReLU before each of two 3 x 3 convolutions, beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.convShortcut = (
            None if inside == outside else nn.Conv2d(inside, outside, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outside, height / stride, width / stride)`."""
        active = functional.relu(self.bn1(x), inplace=True)
        out = functional.relu(self.bn2(self.conv1(active)), inplace=True)
        beside = x if self.convShortcut is None else self.convShortcut(active)
        total: Tensor = self.conv2(out) + beside
        return total


class WideGroup(nn.Module):
    """A stage of blocks, of which the first widens and takes the stride."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        rest = [WideBlock(outside, outside, 1) for _ in range(BLOCKS - 1)]
        self.layer = nn.Sequential(WideBlock(inside, outside, stride), *rest)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, outside, height / stride, width / stride)`."""
        out: Tensor = self.layer(x)
        return out


class WideResNetBody(nn.Module):
    """The network of `WideResNet28x10`."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.block1 = WideGroup(WIDTHS[0], WIDTHS[1], stride=1)
        self.block2 = WideGroup(WIDTHS[1], WIDTHS[2], stride=2)
        self.block3 = WideGroup(WIDTHS[2], WIDTHS[3], stride=2)
        self.bn1 = nn.BatchNorm2d(WIDTHS[3])
        self.fc = nn.Linear(WIDTHS[3], num_classes)
        initialise_convolutions(self)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return pooled_scores(functional.relu(self.bn1(x), inplace=True), self.fc)
