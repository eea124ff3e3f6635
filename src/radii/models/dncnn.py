"""DnCNN, a plain convolutional network that predicts the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from radii.models.denoiser import DENOISERS, Denoiser, channels_of


@DENOISERS.register("dncnn")
@dataclass(frozen=True)
class DnCNN(Denoiser):
    """DnCNN: `depth` 3 x 3 convolutions of `width` channels; their result is subtracted.

    Batch norm and ReLU follow every convolution but the first, which has only ReLU, and the last,
    which has nothing. A pixel of the result sees `2 depth + 1` pixels each way: the default is the
    paper's, and slow on a CPU; 5 to 8 layers are enough for small images. 17 layers of 64 channels
    have 556,096 parameters for gray images.

    Attributes:
        depth: Convolutions, at least 2.
        width: Channels between them.

    Reference:
        Zhang et al. 2017, arXiv:1608.03981, section III (DnCNN-S); before a classifier in Salman et
        al. 2020, arXiv:2003.01908.
    """

    depth: int = 17
    width: int = 64
    examples: ClassVar[tuple[dict[str, object], ...]] = ({}, {"depth": 3, "width": 8})

    def __post_init__(self) -> None:
        if self.depth < 2:
            raise ValueError(f"depth must be at least 2, got {self.depth!r}")
        if self.depth > 1000:
            raise ValueError(f"depth must be at most 1000, got {self.depth!r}")
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width!r}")

    def build(self, input_shape: tuple[int, ...]) -> nn.Module:
        """The network; see `Denoiser.build`."""
        return DnCNNBody(channels_of("dncnn", input_shape, least=1), self.depth, self.width)


class DnCNNBody(nn.Module):
    """The network of `DnCNN`."""

    def __init__(self, channels: int, depth: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1, bias=False))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)`: the images less their noise, as it is predicted."""
        cleaned: Tensor = x - self.noise(x)
        return cleaned
