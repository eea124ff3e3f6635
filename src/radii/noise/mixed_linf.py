"""Gaussian noise with a pole in the linf norm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._mixed_radius import RadiusLaw, radius_law
from radii.noise._scales import set_number, set_scale
from radii.noise._spheres import norms, put_on_face
from radii.noise.base import NOISES, AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor


@NOISES.register("mixed_linf")
@dataclass(frozen=True)
class MixedLinf(AdditiveNoise):
    """Density proportional to `||z/sigma||_inf^-pole exp(-||z||_2^2 / 2 sigma^2)`.

    With pole 0 this is Gaussian noise. Exists on inputs of more coordinates than `pole`.

    `rho = ||z/sigma||_inf` has a density proportional to `rho^-pole phi(rho) (2 Phi(rho) - 1)^(dim
    - 1)`, and is drawn through its inverse distribution function, tabulated once for each dimension
    in float64. One random coordinate is plus or minus rho, the others are independent normals
    truncated to [-rho, rho]. Nothing is rejected.

    Reference:
        Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, section 5.2 (mixed norm).

    Example:
        >>> MixedLinf(sigma=2.0, pole=768.0).energy(3072)
        3.0
    """

    sigma: float
    pole: float
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"sigma": 0.5, "pole": 0.0},
        {"sigma": 1.0, "pole": 0.25},
    )

    def __post_init__(self) -> None:
        set_scale(self, "sigma")
        if not 0 <= set_number(self, "pole") < math.inf:
            raise ValueError(f"pole must be at least 0 and finite, got {self.pole!r}")

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors; see `AdditiveNoise.draw`."""
        if out is None:
            out = torch.empty(tuple(shape), dtype=torch.float32, device=generator.device)
        flat = out.view(len(out), -1)
        rho = _draw_radii(self._law(flat.shape[1]), len(out), generator, out.device)
        z = torch.empty(flat.shape, dtype=torch.float64, device=out.device)
        z.uniform_(-1, 1, generator=generator)  # then the normal quantile of the truncated law
        z.mul_(torch.special.erf(rho / math.sqrt(2))[:, None]).erfinv_().mul_(math.sqrt(2))
        put_on_face(z.clamp_(-rho[:, None], rho[:, None]), rho, generator)
        flat.copy_(z.mul_(self.sigma))
        return out

    def log_density(self, z: Tensor) -> Tensor:
        """Exact and normalised, `(draws, *shape)` to `(draws,)`; infinite at 0 if there is a pole.

        The normaliser is `(2 pi sigma^2)^(dim/2) E[||g||_inf^-pole]`, g standard normal, the mean
        by quadrature.
        """
        dim = math.prod(z.shape[1:])
        constant = dim / 2 * math.log(2 * math.pi * self.sigma**2) + self._law(dim).log_mass
        pole: Tensor = torch.special.xlogy(self.pole, norms(z, "linf") / self.sigma)
        squares = (norms(z, "l2") / self.sigma).square() / 2
        return (-pole - squares - constant).to(z.dtype)

    def energy(self, dim: int) -> float:
        """`sigma^2 (dim - pole) / dim`.

        With f the density, `E[z . grad ln f(z)] = -dim` by parts, and `z . grad ln f(z)` is
        `-pole - ||z||_2^2 / sigma^2`.
        """
        self._check_dimension(dim)
        return self.sigma**2 * (dim - self.pole) / dim

    def _law(self, dim: int) -> RadiusLaw:
        self._check_dimension(dim)
        return radius_law(self.pole, dim)

    def _check_dimension(self, dim: int) -> None:
        if self.pole >= dim:
            raise ValueError(
                f"pole must be below the number of coordinates, got {self.pole!r} "
                f"with {dim} coordinates; lower the pole"
            )


def _draw_radii(
    law: RadiusLaw, draws: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """`(draws,)` float64 radii: the inverse distribution function by cubic Hermite pieces."""
    grid, x, slope = (torch.from_numpy(a).to(device) for a in (law.logit, law.x, law.slope))
    uniform = torch.empty(draws, dtype=torch.float64, device=device)
    logit = uniform.uniform_(0, 1, generator=generator).clamp_(min=2.0**-60).logit_()
    logit = logit.clamp_(grid[0].item(), grid[-1].item())
    right = torch.searchsorted(grid, logit).clamp_(1, len(grid) - 1)
    left = right - 1
    width = grid[right] - grid[left]
    s = (logit - grid[left]) / width
    rise = width * (slope[left] * (1 - s) - slope[right] * s)
    log_radius = (1 - s) * x[left] + s * x[right]
    log_radius += s * (1 - s) * (rise - (1 - 2 * s) * (x[right] - x[left]))
    return log_radius.exp()
