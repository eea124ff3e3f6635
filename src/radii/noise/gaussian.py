"""Isotropic Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._native import NAME, add_normal
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.streams import Generators, Stream


@NOISES.register("gaussian")
@dataclass(frozen=True)
class Gaussian(AdditiveNoise):
    """`N(0, sigma^2 I)`; `sigma` is the standard deviation of one coordinate, in input units.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> Gaussian(sigma=0.5).draw((1000, 3), generator=generator).std().round(decimals=2)
        tensor(0.5000)
    """

    sigma: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"sigma": 0.25}, {"sigma": 1.0})

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, got {self.sigma!r}")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`."""
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        return out.normal_(0, self.sigma, generator=generator)

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """By compiled code where there is some, see `Noise.at`."""
        code = generators.native
        if code is None:
            return super().at(x, stream, generators, out=out)
        if out is None:
            out = torch.empty(x.shape, dtype=torch.float32)
        single = x[:1] if x.stride(0) == 0 else x  # rows that are copies of one input, or not
        add_normal(code, single.contiguous(), out, self.sigma, stream.hashed(16))
        return out

    def generator_name(self, generators: Generators) -> str:
        """See `Noise.generator_name`."""
        return super().generator_name(generators) if generators.native is None else NAME

    def log_density(self, z: Tensor) -> Tensor:
        """`-||z||^2 / 2 sigma^2 - d/2 ln(2 pi sigma^2)`, `(draws, *shape)` to `(draws,)`."""
        flat = z.flatten(1)
        constant = flat.shape[1] / 2 * math.log(2 * math.pi * self.sigma**2)
        return -flat.square().sum(1) / (2 * self.sigma**2) - constant

    def energy(self, dim: int) -> float:
        """`sigma^2`."""
        return self.sigma**2
