"""Noise whose density falls with a norm as an exponential, with a pole at the origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._scales import set_number, set_scale
from radii.noise._spheres import (
    SphereNorm,
    check_norm,
    coordinate_energy,
    log_area,
    log_gamma_draws,
    norms,
    scatter_on_sphere,
)
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor

_LOG_LARGEST = math.log(1e38)  # length of a vector that float32 holds


@NOISES.register("radial")
@dataclass(frozen=True)
class Radial(AdditiveNoise):
    """Density proportional to `||z/scale||^-pole exp(-||z/scale||^exponent)` in one norm.

    `norm` is "l1", "l2" or "linf". With l2, exponent 2 and `scale = sigma sqrt(2)` this is Gaussian
    noise with a pole, with l1 and exponent 1 Laplace noise with a pole. Exists on inputs of more
    coordinates than `pole`.

    `||z/scale||^exponent` follows Gamma((dim - pole) / exponent) and the direction is uniform on
    the unit sphere of the norm: both are drawn directly, nothing is rejected.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, sections 4 and 5; Yang, Duan, Hu,
        Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1.

    Example:
        >>> noise = Radial(norm="l2", scale=0.5 * 2**0.5, exponent=2.0)
        >>> round(noise.energy(3072), 12)
        0.25
        >>> generator = torch.Generator().manual_seed(0)
        >>> noise.draw((2, 3), generator=generator).shape
        torch.Size([2, 3])
    """

    norm: SphereNorm
    scale: float
    exponent: float
    pole: float = 0.0
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"norm": "l2", "scale": 0.5, "exponent": 2.0},
        {"norm": "l2", "scale": 0.7, "exponent": 2.0, "pole": 0.25},
        {"norm": "l1", "scale": 0.5, "exponent": 1.0},
        {"norm": "l1", "scale": 0.5, "exponent": 1.0, "pole": 0.25},
        {"norm": "linf", "scale": 0.5, "exponent": 2.0, "pole": 0.25},
    )

    def __post_init__(self) -> None:
        check_norm(self.norm)
        set_scale(self, "scale")
        if not 0 < set_number(self, "exponent") < math.inf:
            raise ValueError(f"exponent must be positive and finite, got {self.exponent!r}")
        if not 0 <= set_number(self, "pole") < math.inf:
            raise ValueError(f"pole must be at least 0 and finite, got {self.pole!r}")

    def objection(self, x: Tensor) -> str | None:
        """Refuses inputs around which the noise leaves float32; see `Noise.objection`."""
        gamma = self.gamma_shape(x.numel())
        largest = gamma + 8 * math.sqrt(gamma) + 40  # of the Gamma law, but for 1e-14 of it
        size = math.log(self.scale) + math.log(largest) / self.exponent
        if size < _LOG_LARGEST:
            return None
        return (
            f"must have fewer coordinates than {x.numel()} for noise of exponent "
            f"{self.exponent:g}, whose length is up to 1e{size / math.log(10):.0f} there, beyond "
            f"float32; raise the exponent or lower the scale"
        )

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`."""
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        gamma = self.gamma_shape(math.prod(out.shape[1:]))
        log_power = log_gamma_draws(gamma, len(out), generator, out.device)
        radius = self.scale * (log_power / self.exponent).exp()
        return scatter_on_sphere(out, radius, self.norm, generator)

    def log_density(self, z: Tensor) -> Tensor:
        """Exact and normalised, `(draws, *shape)` to `(draws,)`; infinite at 0 if there is a pole.

        The log of the normaliser is `ln(area scale^dim Gamma((dim - pole)/exponent) / exponent)`,
        with area `dim` times the volume of the norm's unit ball.
        """
        dim = math.prod(z.shape[1:])
        gamma = self.gamma_shape(dim)
        constant = log_area(dim, self.norm) + dim * math.log(self.scale)
        constant += math.lgamma(gamma) - math.log(self.exponent)
        radius = norms(z, self.norm) / self.scale
        pole: Tensor = torch.special.xlogy(self.pole, radius)
        log_density = -pole - radius**self.exponent - constant
        return log_density.to(z.dtype)

    def energy(self, dim: int) -> float:
        """`scale^2 Gamma((dim - pole + 2)/exponent) / Gamma((dim - pole)/exponent) E u_1^2`.

        `u` is a uniform direction: `E u_1^2` is `2 / (dim (dim + 1))` in l1, `1/dim` in l2 and
        `(dim + 2) / (3 dim)` in linf.
        """
        gamma = self.gamma_shape(dim)
        log_ratio = math.lgamma(gamma + 2 / self.exponent) - math.lgamma(gamma)
        return self.scale**2 * math.exp(log_ratio) * coordinate_energy(dim, self.norm)

    def gamma_shape(self, dim: int) -> float:
        """`(dim - pole) / exponent`, the shape of the Gamma law of `||z/scale||^exponent`.

        Raises:
            ValueError: If `pole >= dim`, where no such noise exists.
        """
        if self.pole >= dim:
            raise ValueError(
                f"pole must be below the number of coordinates, got {self.pole!r} "
                f"with {dim} coordinates; lower the pole"
            )
        return (dim - self.pole) / self.exponent
