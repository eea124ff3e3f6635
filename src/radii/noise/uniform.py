"""Uniform noise on a cube."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import float32_above, set_scale
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.streams import Generators, Stream


@NOISES.register("uniform")
@dataclass(frozen=True)
class Uniform(AdditiveNoise):
    """Independent coordinates, uniform in `[-half_width, half_width]`.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1; Lee, Yuan, Chang
        and Jaakkola 2019, arXiv:1906.04948.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> bool(Uniform(half_width=0.1).draw((1000, 3), generator=generator).abs().max() <= 0.1)
        True
    """

    half_width: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"half_width": 0.3},
        {"half_width": 1.0},
    )
    from_words: ClassVar[bool] = True
    exact_name: ClassVar[str | None] = "grid_uniform"

    def __post_init__(self) -> None:
        set_scale(self, "half_width")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`.

        The coordinates are odd multiples of 2^-24 of the half width, so that both signs are equally
        likely. A half width that float32 does not hold is rounded up, here and in `at`.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        unit = out.uniform_(-1, 1, generator=generator).add_(2.0**-24)
        return unit.mul_(float32_above(self.half_width))

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """By a cryptographic generator where that is wanted, see `Noise.at`."""
        if generators.rng == "auto":
            return super().at(x, stream, generators, out=out)
        odd = (generators.words(stream, x.numel()) >> 8) * 2 + (1 - 2**24)
        unit = odd.to(torch.float32).mul_(2.0**-24)
        noisy = unit.mul_(float32_above(self.half_width)).view(x.shape).add_(x)
        return noisy if out is None else out.copy_(noisy)

    def log_density(self, z: Tensor) -> Tensor:
        """`-d ln(2 half_width)` in the cube, minus infinity outside."""
        flat = z.flatten(1)
        inside = flat.abs().amax(1).double() <= self.half_width
        log_density = -flat.shape[1] * math.log(2 * self.half_width)
        return z.new_full((len(z),), log_density).masked_fill_(~inside, -math.inf)

    def marginal(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`(z + half_width) / (2 half_width)`, between 0 and 1; see `AdditiveNoise.marginal`."""
        below = ((z + self.half_width) / (2 * self.half_width)).clamp(0, 1)
        return below, below

    def energy(self, dim: int) -> float:
        """`half_width^2 / 3`."""
        return self.half_width**2 / 3
