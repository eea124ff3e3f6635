"""Isotropic Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._native import add_normal
from radii.noise._scales import float32_above, set_scale
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
    from_words: ClassVar[bool] = True
    exact_name: ClassVar[str | None] = "grid_gaussian"

    def __post_init__(self) -> None:
        set_scale(self, "sigma")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`.

        A sigma that float32 does not hold is rounded up, here and in `at`.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        return out.normal_(0, float32_above(self.sigma), generator=generator)

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """By compiled code where there is some, see `Noise.at`."""
        code = generators.native
        if code is None and generators.rng == "auto":
            return super().at(x, stream, generators, out=out)
        if code is None:
            z = box_muller(generators.words(stream, -(-x.numel() // 64) * 64))[: x.numel()]
            noisy = x + (z * float32_above(self.sigma)).to(torch.float32).view(x.shape)
            return noisy if out is None else out.copy_(noisy)
        if out is None:
            out = torch.empty(x.shape, dtype=torch.float32)
        sigma = float32_above(self.sigma)
        single = x[:1] if x.stride(0) == 0 else x  # rows that are copies of one input, or not
        return add_normal(code, single.contiguous(), out, sigma, [generators.key(stream)])

    def copies(
        self, x: Tensor, streams: Sequence[Stream], block: int, generators: Generators, out: Tensor
    ) -> Tensor:
        """By one call of compiled code where there is some, see `Noise.copies`."""
        if generators.native is None or type(self).at is not Gaussian.at:
            return super().copies(x, streams, block, generators, out)
        sigma, keys = float32_above(self.sigma), [generators.key(stream) for stream in streams]
        return add_normal(generators.native, x.contiguous(), out, sigma, keys, block)

    def generator_name(self, generators: Generators) -> str:
        """See `Noise.generator_name`."""
        if generators.native is not None:
            return generators.native_name
        # Without compiled code the last bits of a normal number are others.
        return generators.name + ("" if generators.rng == "auto" else "-torch")

    def marginal(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`Phi(z / sigma)`; see `AdditiveNoise.marginal`."""
        below = torch.special.ndtr(z / self.sigma)
        return below, below

    def log_density(self, z: Tensor) -> Tensor:
        """`-||z||^2 / 2 sigma^2 - d/2 ln(2 pi sigma^2)`, `(draws, *shape)` to `(draws,)`."""
        flat = z.flatten(1)
        constant = flat.shape[1] / 2 * math.log(2 * math.pi * self.sigma**2)
        return -flat.square().sum(1) / (2 * self.sigma**2) - constant

    def energy(self, dim: int) -> float:
        """`sigma^2`."""
        return self.sigma**2


def box_muller(words: Tensor) -> Tensor:
    """Standard normals of words, by the transform and in the order of the compiled code.

    Args:
        words: `(64 k,)` int64 in [0, 2^32).

    Returns:
        `(64 k,)` float64.
    """
    u, v = words.view(-1, 2, 16).unbind(1)
    radius = (((u >> 1) + 0.5).double() * 2.0**-31).log_().mul_(-2).sqrt_()
    angle = v.double() * (2 * math.pi * 2.0**-32)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1).flatten()
