"""Unit spheres of l1, l2 and linf: norms, uniform directions and volumes.

If `z` has a density that depends on `||z||` alone, then `||z||` and `z / ||z||` are independent,
and the direction follows the cone measure of the sphere, here called uniform.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from radii._torch import torch

if TYPE_CHECKING:
    from torch import Tensor


SphereNorm = Literal["l1", "l2", "linf"]

_ORDERS: dict[SphereNorm, float] = {"l1": 1, "l2": 2, "linf": math.inf}


def check_norm(norm: str) -> None:
    """A `ValueError` if this is none of the norms."""
    if norm not in _ORDERS:
        raise ValueError(f"norm must be one of {', '.join(_ORDERS)}, got {norm!r}")


def norms(z: Tensor, norm: SphereNorm) -> Tensor:
    """`(draws,)` float64 norms of the rows of `z` `(draws, *shape)`."""
    flat = z.flatten(1)
    found: Tensor = torch.linalg.vector_norm(flat, _ORDERS[norm], dim=1, dtype=torch.float64)
    return found


def scatter_on_sphere(
    out: Tensor, radius: Tensor, norm: SphereNorm, generator: torch.Generator
) -> Tensor:
    """Fills each row with a uniform direction times its radius.

    In l2 the direction is a normalised Gaussian vector, in l1 normalised exponential variables with
    random signs, in linf a point of the cube with one random coordinate moved to a face.

    Args:
        out: `(draws, *shape)` float32, contiguous. Is overwritten and returned.
        radius: `(draws,)` float64.
        norm: Of the sphere.
        generator: Where the randomness comes from.
    """
    flat = out.view(len(out), -1)
    if norm == "l2":
        flat.normal_(generator=generator)
    elif norm == "l1":
        flat.exponential_(generator=generator)
        sides = torch.empty(flat.shape, dtype=torch.int8, device=out.device)
        flat.mul_(sides.random_(0, 2, generator=generator).mul_(2).sub_(1))
    else:
        flat.uniform_(-1, 1, generator=generator)
        put_on_face(flat, torch.ones_like(radius), generator)
    # A row of zeros, which float32 can draw in few dimensions, becomes the vector 0 and not NaN.
    length = radius if norm == "linf" else radius / norms(flat, norm).clamp_(min=1e-30)
    flat.mul_(length[:, None].float())
    return out


def put_on_face(flat: Tensor, radius: Tensor, generator: torch.Generator) -> None:
    """Sets one random coordinate of each row of `flat` `(draws, dim)` to plus or minus a radius."""
    rows, dim = flat.shape
    place = torch.randint(2 * dim, (rows, 1), generator=generator, device=flat.device)
    face = torch.where(place >= dim, radius[:, None], -radius[:, None])
    flat.scatter_(1, place % dim, face.to(flat.dtype))


def log_area(dim: int, norm: SphereNorm) -> float:
    """Log of `dim` times the volume of the unit ball.

    A density `f(||z||)` on `dim` coordinates gives the norm the density
    `exp(log_area) rho^(dim - 1) f(rho)`.
    """
    volume = {
        "l1": dim * math.log(2) - math.lgamma(dim + 1),
        "l2": dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1),
        "linf": dim * math.log(2),
    }
    return math.log(dim) + volume[norm]


def coordinate_energy(dim: int, norm: SphereNorm) -> float:
    """Mean square of one coordinate of a uniform direction."""
    mean = {"l1": 2 / (dim * (dim + 1)), "l2": 1 / dim, "linf": (dim + 2) / (3 * dim)}
    return mean[norm]


def log_gamma_draws(
    shape: float, draws: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """`(draws,)` float64 logarithms of Gamma(shape, 1) variables, for any positive shape.

    Uses `G(shape) = G(shape + 1) U^(1/shape)`, which keeps its digits where `G(shape)` underflows.
    """
    alpha = torch.full((draws,), shape + 1, dtype=torch.float64, device=device)
    larger = torch._standard_gamma(alpha, generator=generator)
    waiting = torch.empty_like(alpha).exponential_(generator=generator)  # -ln U
    return larger.log() - waiting / shape
