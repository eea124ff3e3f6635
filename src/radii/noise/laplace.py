"""Laplace noise with independent coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import float32_above, set_scale
from radii.noise._signed import signed_uniform
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor


@NOISES.register("laplace")
@dataclass(frozen=True)
class Laplace(AdditiveNoise):
    """Density `exp(-||z||_1 / b) / (2b)^dim`: independent Laplace coordinates of scale `b`.

    Reference:
        Lecuyer, Atlidakis, Geambasu, Hsu and Jana 2019, arXiv:1802.03471; Teng, Lee and Yuan 2019,
        "l1 Adversarial Robustness Certificates: a Randomized Smoothing Approach".

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> Laplace(b=0.5).draw((1000, 3), generator=generator).abs().mean().round(decimals=1)
        tensor(0.5000)
    """

    b: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"b": 0.25}, {"b": 1.0})

    def __post_init__(self) -> None:
        set_scale(self, "b")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors, by inversion; see `AdditiveNoise.draw`.

        No coordinate is larger than 21.5 b, which exact noise exceeds with probability 5e-10. A b
        that float32 does not hold is rounded up.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        size = signed_uniform(out, generator).abs().log_().mul_(-float32_above(self.b))
        return torch.copysign(size, out, out=out)

    def log_density(self, z: Tensor) -> Tensor:
        """`-||z||_1 / b - d ln(2b)`, `(draws, *shape)` to `(draws,)`."""
        flat = z.flatten(1)
        return -flat.abs().sum(1) / self.b - flat.shape[1] * math.log(2 * self.b)

    def energy(self, dim: int) -> float:
        """`2 b^2`."""
        return 2 * self.b**2
