"""The residual blocks that the ResNets for small and for large images share.

Modules are named as in torchvision, so that published state dicts load by name.
"""

from __future__ import annotations

from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inside, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, width, height / stride, width / stride)`."""
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return functional.relu(out, inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; the stride is in the 3 x 3 one."""

    expansion: ClassVar[int] = 4

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = width * self.expansion
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.downsample = shortcut(inside, outside, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, 4 * width, height / stride, width / stride)`."""
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = functional.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return functional.relu(out, inplace=True)


def shortcut(inside: int, outside: int, stride: int) -> nn.Sequential | None:
    """A 1 x 1 convolution with batch norm where the shape changes; None where it does not."""
    if stride == 1 and inside == outside:
        return None
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


def stage(
    block: type[BasicBlock] | type[Bottleneck], inside: int, width: int, blocks: int, stride: int
) -> nn.Sequential:
    """`blocks` residual blocks, of which the first takes the stride."""
    outside = width * block.expansion
    rest = [block(outside, width, 1) for _ in range(blocks - 1)]
    return nn.Sequential(block(inside, width, stride), *rest)


def initialise_convolutions(module: nn.Module) -> None:
    """He initialisation for ReLU: variance 2 / (kernel area * output channels).

    Reference:
        He et al. 2015, arXiv:1502.01852, equation 14.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def pooled_scores(x: Tensor, head: nn.Module) -> Tensor:
    """The mean over all positions, through the last linear layer."""
    return cast(Tensor, head(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
