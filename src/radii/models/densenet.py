"""DenseNet-40, a densely connected network for small images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from radii.models.base import ARCHITECTURES, Architecture, image_channels
from radii.models.residual import initialise_convolutions, pooled_scores

GROWTH = 12
LAYERS = 12  # in each of the three dense blocks: 3 * 12 + 4 = 40


@ARCHITECTURES.register("densenet40")
@dataclass(frozen=True)
class DenseNet40(Architecture):
    """DenseNet-40 with growth 12, no bottlenecks, no compression: 1.0 million parameters.

    Reference:
        Huang et al. 2017, arXiv:1608.06993, table 2.
    """

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `dense1`, `trans1`, `dense2`, `trans2`, `dense3`, `bn`, `fc`."""
        return DenseNetBody(image_channels("densenet40", input_shape, least=8), num_classes)


class DenseLayer(nn.Module):
    """Batch norm, ReLU and a 3 x 3 convolution, whose output is put behind the input."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, inside + GROWTH, height, width)`."""
        return torch.cat([x, self.conv1(functional.relu(self.bn1(x), inplace=True))], dim=1)


class Transition(nn.Module):
    """Batch norm, ReLU, a 1 x 1 convolution and pooling, which halves height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, width, height / 2, width / 2)`."""
        return functional.avg_pool2d(self.conv1(functional.relu(self.bn1(x), inplace=True)), 2)


class DenseNetBody(nn.Module):
    """The network of `DenseNet40`."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        widths = [16 + block * LAYERS * GROWTH for block in range(4)]  # 16, 160, 304, 448
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.dense1 = _dense_block(widths[0])
        self.trans1 = Transition(widths[1])
        self.dense2 = _dense_block(widths[1])
        self.trans2 = Transition(widths[2])
        self.dense3 = _dense_block(widths[2])
        self.bn = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], num_classes)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`."""
        x = self.trans1(self.dense1(self.conv1(x)))
        x = self.dense3(self.trans2(self.dense2(x)))
        return pooled_scores(functional.relu(self.bn(x), inplace=True), self.fc)


def _dense_block(inside: int) -> nn.Sequential:
    return nn.Sequential(*(DenseLayer(inside + index * GROWTH) for index in range(LAYERS)))
