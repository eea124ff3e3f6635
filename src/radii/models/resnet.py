"""The residual networks for ImageNet: ResNet-18 and ResNet-50."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from radii.models.base import ARCHITECTURES, Architecture, image_channels
from radii.models.residual import (
    BasicBlock,
    Bottleneck,
    initialise_convolutions,
    pooled_scores,
    stage,
)


@ARCHITECTURES.register("resnet18")
@dataclass(frozen=True)
class ResNet18(Architecture):
    """ResNet-18 for images of about 224 x 224: 11.7 million parameters.

    Module names and initialisation are torchvision's.

    Reference:
        He et al. 2016, arXiv:1512.03385, table 1.
    """

    example_input_shape: ClassVar[tuple[int, ...]] = (3, 64, 64)

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `bn1`, `layer1` to `layer4`, `fc`."""
        channels = image_channels("resnet18", input_shape, least=32)
        return ResNetBody(BasicBlock, channels, (2, 2, 2, 2), num_classes)


@ARCHITECTURES.register("resnet50")
@dataclass(frozen=True)
class ResNet50(Architecture):
    """ResNet-50 for images of about 224 x 224: 25.6 million parameters.

    Module names and initialisation are torchvision's, and so is the stride in the 3 x 3
    convolution (ResNet v1.5; the paper has it in the first 1 x 1).

    Reference:
        He et al. 2016, arXiv:1512.03385, table 1; Cohen et al. 2019, arXiv:1902.02918.
    """

    example_input_shape: ClassVar[tuple[int, ...]] = (3, 64, 64)

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `bn1`, `layer1` to `layer4`, `fc`."""
        channels = image_channels("resnet50", input_shape, least=32)
        return ResNetBody(Bottleneck, channels, (3, 4, 6, 3), num_classes)


class ResNetBody(nn.Module):
    """A 7 x 7 convolution and four stages of residual blocks."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        channels: int,
        blocks: Sequence[int],
        num_classes: int,
    ) -> None:
        super().__init__()
        wider = block.expansion
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = stage(block, 64 * wider, 128, blocks[1], stride=2)
        self.layer3 = stage(block, 128 * wider, 256, blocks[2], stride=2)
        self.layer4 = stage(block, 256 * wider, 512, blocks[3], stride=2)
        self.fc = nn.Linear(512 * wider, num_classes)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`."""
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return pooled_scores(x, self.fc)
