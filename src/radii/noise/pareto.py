"""Pareto noise with independent coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import float32_above, set_number, set_scale
from radii.noise._signed import signed_uniform
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor


@NOISES.register("pareto")
@dataclass(frozen=True)
class Pareto(AdditiveNoise):
    """Independent coordinates of density `a / (2 scale) (1 + |z| / scale)^-(a + 1)`.

    `|z| + scale` follows Pareto's law with minimum `scale` and tail index `a`:
    `P(|z| > t) = (1 + t / scale)^-a`. The variance is finite for `a > 2`.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1, "Pareto (iid)".

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> z = Pareto(scale=0.5, a=1.0).draw((10000, 3), generator=generator)
        >>> (z.abs() > 0.5).float().mean().round(decimals=2)  # 1/2
        tensor(0.5000)
    """

    scale: float
    a: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"scale": 0.5, "a": 3.0},
        {"scale": 1.0, "a": 1.5},
    )

    def __post_init__(self) -> None:
        set_scale(self, "scale", most=1e18)
        if not 0.5 <= set_number(self, "a") < math.inf:
            raise ValueError(
                f"a must be at least 0.5 and finite, got {self.a!r}; "
                f"heavier tails leave the range of float32"
            )

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors, by inversion; see `AdditiveNoise.draw`.

        No coordinate is larger than `scale 2^(31/a)`, which exact noise exceeds with probability
        5e-10. A scale that float32 does not hold is rounded up.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        size = signed_uniform(out, generator).abs().log_().mul_(-1 / self.a).expm1_()
        return torch.copysign(size.mul_(float32_above(self.scale)), out, out=out)

    def log_density(self, z: Tensor) -> Tensor:
        """`d ln(a / (2 scale)) - (a + 1) sum_i ln(1 + |z_i| / scale)`."""
        flat = z.flatten(1)
        decay = (flat.abs() / self.scale).log1p().sum(1)
        return flat.shape[1] * math.log(self.a / (2 * self.scale)) - (self.a + 1) * decay

    def energy(self, dim: int) -> float:
        """`2 scale^2 / ((a - 1) (a - 2))`; infinite for `a <= 2`."""
        if self.a <= 2:
            return math.inf
        return 2 * self.scale**2 / ((self.a - 1) * (self.a - 2))
