"""Noise with independent coordinates that falls as an exponential of a power."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import float32_above, set_number, set_scale
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor


@NOISES.register("iid_exponential")
@dataclass(frozen=True)
class IidExponential(AdditiveNoise):
    """Independent coordinates of density proportional to `exp(-|z / scale|^exponent)`.

    Exponent 1 is Laplace noise of scale `scale`, exponent 2 Gaussian noise with
    `sigma = scale / sqrt(2)`; for these `laplace` and `gaussian` draw faster.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> noise = IidExponential(scale=0.5**0.5, exponent=2.0)
        >>> noise.draw((1000, 3), generator=generator).std().round(decimals=1)
        tensor(0.5000)
        >>> round(noise.energy(3), 12)
        0.25
    """

    scale: float
    exponent: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"scale": 0.5, "exponent": 0.5},
        {"scale": 0.5, "exponent": 1.5},
        {"scale": 1.0, "exponent": 4.0},
    )

    def __post_init__(self) -> None:
        set_scale(self, "scale", most=1e12)
        if not 0.1 <= set_number(self, "exponent") < math.inf:
            raise ValueError(
                f"exponent must be at least 0.1 and finite, got {self.exponent!r}; "
                f"heavier tails leave the range of float32"
            )

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`.

        Each coordinate is `scale G^(1/exponent) U` with G of the law Gamma(1 + 1/exponent) and U
        uniform in (-1, 1): the density is a mixture of uniform ones, as any that falls on both
        sides of 0. A scale that float32 does not hold is rounded up.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        out.uniform_(-1, 1, generator=generator).add_(2.0**-24)
        alpha = torch.tensor(1 + 1 / self.exponent, dtype=torch.float32, device=out.device)
        width = torch._standard_gamma(alpha.expand(out.shape), generator=generator)
        return out.mul_(width.pow_(1 / self.exponent).mul_(float32_above(self.scale)))

    def log_density(self, z: Tensor) -> Tensor:
        """`-sum_i |z_i / scale|^exponent - d ln(2 scale Gamma(1 + 1/exponent))`."""
        flat = z.flatten(1)
        constant = math.log(2 * self.scale) + math.lgamma(1 + 1 / self.exponent)
        return -(flat.abs() / self.scale).pow(self.exponent).sum(1) - flat.shape[1] * constant

    def energy(self, dim: int) -> float:
        """`scale^2 Gamma(3/exponent) / Gamma(1/exponent)`."""
        log_ratio = math.lgamma(3 / self.exponent) - math.lgamma(1 / self.exponent)
        return self.scale**2 * math.exp(log_ratio)
