"""Uniform noise on a Euclidean ball."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import set_scale
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor


@NOISES.register("uniform_ball")
@dataclass(frozen=True)
class UniformBall(AdditiveNoise):
    """Uniform in the l2 ball of a given radius.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> z = UniformBall(radius=0.5).draw((1000, 3), generator=generator)
        >>> bool(z.double().norm(dim=1).max() <= 0.5)
        True
    """

    radius: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"radius": 0.3}, {"radius": 1.0})

    def __post_init__(self) -> None:
        set_scale(self, "radius")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors, never outside the ball; see `AdditiveNoise.draw`.

        A normalised Gaussian vector times `radius U^(1/dim)`. Norms within a share of 2^-22 of the
        radius are rounded down to there, so that rounding coordinates to float32 (by shares of
        2^-23 at most) cannot leave the ball.
        """
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        flat = out.flatten(1).normal_(generator=generator)
        share = torch.empty(len(flat), dtype=torch.float64, device=out.device)
        share.uniform_(generator=generator).pow_(1 / flat.shape[1])
        length = torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64).clamp_(min=1e-30)
        target = share.clamp_(max=1 - 2.0**-22).mul_(self.radius)
        flat.mul_(target.div_(length).float()[:, None])
        return out

    def log_density(self, z: Tensor) -> Tensor:
        """Minus the log of the ball's volume in the ball, minus infinity outside."""
        flat = z.flatten(1)
        dim = flat.shape[1]
        log_volume = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
        log_volume += dim * math.log(self.radius)
        inside = torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64) <= self.radius
        return z.new_full((len(z),), -log_volume).masked_fill_(~inside, -math.inf)

    def energy(self, dim: int) -> float:
        """`radius^2 / (dim + 2)`."""
        return self.radius**2 / (dim + 2)
