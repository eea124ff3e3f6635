"""Noise whose density falls with a norm as a power."""

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


@NOISES.register("radial_power")
@dataclass(frozen=True)
class RadialPower(AdditiveNoise):
    """Density proportional to `(1 + ||z/scale||^exponent)^-a` in one norm.

    `norm` is "l1", "l2" or "linf". Exists on inputs of fewer than `a exponent` coordinates. With
    l2 and exponent 2 it is Student's t.

    `||z/scale||^exponent` follows BetaPrime(dim/exponent, a - dim/exponent), drawn as a ratio of
    Gamma variables, and the direction is uniform on the unit sphere of the norm.

    Reference:
        Yang, Duan, Hu, Salman, Razenshteyn and Li 2020, arXiv:2002.08118, Table 1 (power laws).

    Example:
        >>> noise = RadialPower(norm="linf", scale=1.0, exponent=1.0, a=5.0)
        >>> round(noise.energy(2), 12), noise.energy(3)
        (2.0, inf)
    """

    norm: SphereNorm
    scale: float
    exponent: float
    a: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"norm": "l2", "scale": 2.0, "exponent": 2.0, "a": 40.0},
        {"norm": "l1", "scale": 10.0, "exponent": 1.0, "a": 80.0},
        {"norm": "linf", "scale": 2.0, "exponent": 4.0, "a": 20.0},
    )

    def __post_init__(self) -> None:
        check_norm(self.norm)
        set_scale(self, "scale")
        for name in ("exponent", "a"):
            value = set_number(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`."""
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        first, second = self.beta_shapes(math.prod(out.shape[1:]))
        log_power = log_gamma_draws(first, len(out), generator, out.device)
        log_power -= log_gamma_draws(second, len(out), generator, out.device)
        radius = self.scale * (log_power / self.exponent).exp()
        return scatter_on_sphere(out, radius, self.norm, generator)

    def log_density(self, z: Tensor) -> Tensor:
        """Exact and normalised, `(draws, *shape)` to `(draws,)`.

        The log of the normaliser is `ln(area scale^dim Beta(dim/exponent, a - dim/exponent) /
        exponent)`, with area `dim` times the volume of the norm's unit ball.
        """
        dim = math.prod(z.shape[1:])
        first, second = self.beta_shapes(dim)
        constant = log_area(dim, self.norm) + dim * math.log(self.scale) - math.log(self.exponent)
        constant += math.lgamma(first) + math.lgamma(second) - math.lgamma(self.a)
        log_power = self.exponent * (norms(z, self.norm) / self.scale).log()
        growth = torch.logaddexp(log_power, torch.zeros_like(log_power))
        return (-self.a * growth - constant).to(z.dtype)

    def energy(self, dim: int) -> float:
        """`scale^2 E[B^(2/exponent)] E u_1^2`, B as `||z/scale||^exponent`, u a direction.

        Infinite where `a exponent <= dim + 2`.
        """
        first, second = self.beta_shapes(dim)
        step = 2 / self.exponent
        if second <= step:
            return math.inf
        log_mean = math.lgamma(first + step) - math.lgamma(first)
        log_mean += math.lgamma(second - step) - math.lgamma(second)
        return self.scale**2 * math.exp(log_mean) * coordinate_energy(dim, self.norm)

    def beta_shapes(self, dim: int) -> tuple[float, float]:
        """`dim/exponent` and `a - dim/exponent`, the shapes of the law of `||z/scale||^exponent`.

        Raises:
            ValueError: If `a exponent <= dim`, where no such noise exists.
        """
        first = dim / self.exponent
        if self.a <= first:
            raise ValueError(
                f"a times exponent must be above the number of coordinates, got a={self.a!r} "
                f"and exponent={self.exponent!r} with {dim} coordinates; raise a"
            )
        return first, self.a - first
