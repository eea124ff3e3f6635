"""Gaussian noise for inputs on a grid, drawn as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from radii.noise._grid import GridNoise, check_levels
from radii.noise._thresholds import Thresholds, normal
from radii.noise.base import NOISES
from radii.noise.gaussian import Gaussian


@NOISES.register("grid_gaussian")
@dataclass(frozen=True)
class GridGaussian(GridNoise, Gaussian):
    """`N(0, sigma^2 I)`, after which each coordinate is rounded to a multiple of `1/levels`.

    The rounding counts as part of the base classifier f: what is smoothed is "f after rounding",
    and the noise is Gaussian. So every certificate of Gaussian noise applies as it is. The claim is
    about points of the ball that are on the grid, since only these can be asked about. At such x,
    `round(x + delta) = x + Z / levels` with Z a whole number, `P(Z = z) = Phi((z + 1/2) / s) -
    Phi((z - 1/2) / s)` and `s = sigma levels`. Z is drawn and added as a whole number, so inputs
    that differ by whole levels see exactly shifted noise, and nothing is left for a base classifier
    to read from last bits.

    Z is off that law by a total variation of at most `(c + 2) 2^-65`, with c thresholds, about
    18.3 s of them: 6.4e-17 at sigma=0.5 and 255 levels. For d coordinates no probability is off
    by more than d times that: 9.6e-12 for d = 150,528. Over n draws this adds at most n times as
    much to alpha: 9.6e-7 for n = 100,000.

    `draw` and `log_density` are those of delta, before it is rounded. `apply`, as in training,
    rounds inputs that are off the grid; a smoothed classifier refuses them.

    Reference:
        Voracek and Hein 2023, arXiv:2207.07209; the certificates are those of Cohen, Rosenfeld
        and Kolter 2019, arXiv:1902.02918, and others.

    Example:
        >>> import torch
        >>> noise = GridGaussian(sigma=0.5)
        >>> noisy = noise.apply(torch.zeros(2, 3), generator=torch.Generator().manual_seed(0))
        >>> bool((noisy * 255 == (noisy * 255).round()).all())
        True
    """

    levels: int = 255
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"sigma": 0.25},)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self, "sigma", 0.1, 2048)

    def thresholds(self) -> Thresholds:
        """See `GridNoise.thresholds`; takes .1 s for sigma = 0.5 and 255 levels, in proportion."""
        return normal(Fraction(self.sigma) * self.levels)
