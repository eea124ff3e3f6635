"""A small U-Net, a denoiser that sees far at little cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from radii.models.denoiser import DENOISERS, Denoiser, channels_of


@DENOISERS.register("unet")
@dataclass(frozen=True)
class UNet(Denoiser):
    """A U-Net of `levels` sizes; what comes out is subtracted from the input.

    Each size has half the height and width of the one before, and twice its channels. Two 3 x 3
    convolutions with batch norm and ReLU stand at each size on the way down and on the way up,
    where they also get what the way down had. Other than in the paper the borders are padded, so
    that the image keeps its shape, and the way up begins with nearest-neighbour copies and not
    with transposed convolutions. Sides need not be even: the border is repeated until they are, and
    cut off at the end. 16 channels and 3 sizes have 118,305 parameters for gray images.

    Attributes:
        width: Channels at full size.
        levels: Sizes, at least 2.

    Reference:
        Ronneberger, Fischer and Brox 2015, arXiv:1505.04597, figure 1.
    """

    width: int = 16
    levels: int = 3
    examples: ClassVar[tuple[dict[str, object], ...]] = ({}, {"width": 4, "levels": 2})

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width!r}")
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, got {self.levels!r}")
        if self.levels > 16:
            raise ValueError(f"levels must be at most 16, got {self.levels!r}")

    def build(self, input_shape: tuple[int, ...]) -> nn.Module:
        """The network; see `Denoiser.build`."""
        channels = channels_of("unet", input_shape, least=2**self.levels)
        return UNetBody(channels, self.width, self.levels)


class TwoConvolutions(nn.Sequential):
    """Twice a 3 x 3 convolution, batch norm and ReLU."""

    def __init__(self, inside: int, outside: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inside, outside):
            layers += [
                nn.Conv2d(channels, outside, 3, padding=1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNetBody(nn.Module):
    """The network of `UNet`."""

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            TwoConvolutions(inside, outside)
            for inside, outside in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            TwoConvolutions(below + beside, beside) for beside, below in pairwise(widths)
        )
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)`: the images less their noise, as it is predicted."""
        height, width = x.shape[-2:]
        step = 2 ** len(self.up)
        framed = functional.pad(x, [0, -width % step, 0, -height % step], mode="replicate")
        found = self._noise(framed)[..., :height, :width]
        return x - found

    def _noise(self, x: Tensor) -> Tensor:
        beside: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            beside.append(x)
        for level in reversed(range(len(self.up))):
            wide = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[level](torch.cat([beside[level], wide], 1))
        return cast(Tensor, self.last(x))
