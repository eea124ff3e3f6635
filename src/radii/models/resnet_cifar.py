"""The residual networks for small images: ResNet-20 to ResNet-110."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from radii.models.base import ARCHITECTURES, Architecture, image_channels
from radii.models.residual import BasicBlock, initialise_convolutions, pooled_scores, stage


@dataclass(frozen=True)
class CifarResNet(Architecture):
    """Three stages of basic blocks with 16, 32 and 64 channels; depth is 6 blocks + 2.

    Where the shape changes the shortcut is a 1 x 1 convolution with batch norm, as in the
    checkpoints of Cohen et al. 2019; the paper's own networks pad with zeros there, which has 2,752
    parameters fewer.
    """

    blocks: ClassVar[int]

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The layers `conv1`, `bn1`, `layer1` to `layer3`, `fc`."""
        channels = image_channels(f"resnet{6 * self.blocks + 2}", input_shape, least=8)
        return CifarResNetBody(channels, self.blocks, num_classes)


@ARCHITECTURES.register("resnet20")
@dataclass(frozen=True)
class ResNet20(CifarResNet):
    """ResNet-20 for images of about 32 x 32: 0.27 million parameters.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    blocks: ClassVar[int] = 3


@ARCHITECTURES.register("resnet32")
@dataclass(frozen=True)
class ResNet32(CifarResNet):
    """ResNet-32 for images of about 32 x 32: 0.47 million parameters.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    blocks: ClassVar[int] = 5


@ARCHITECTURES.register("resnet44")
@dataclass(frozen=True)
class ResNet44(CifarResNet):
    """ResNet-44 for images of about 32 x 32: 0.66 million parameters.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    blocks: ClassVar[int] = 7


@ARCHITECTURES.register("resnet56")
@dataclass(frozen=True)
class ResNet56(CifarResNet):
    """ResNet-56 for images of about 32 x 32: 0.86 million parameters.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2.
    """

    blocks: ClassVar[int] = 9


@ARCHITECTURES.register("resnet110")
@dataclass(frozen=True)
class ResNet110(CifarResNet):
    """ResNet-110 for images of about 32 x 32: 1.7 million parameters.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2; Cohen et al. 2019, arXiv:1902.02918.
    """

    blocks: ClassVar[int] = 18


class CifarResNetBody(nn.Module):
    """The network of `CifarResNet`."""

    def __init__(self, channels: int, blocks: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(BasicBlock, 16, 16, blocks, stride=1)
        self.layer2 = stage(BasicBlock, 16, 32, blocks, stride=2)
        self.layer3 = stage(BasicBlock, 32, 64, blocks, stride=2)
        self.fc = nn.Linear(64, num_classes)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`."""
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return pooled_scores(x, self.fc)
