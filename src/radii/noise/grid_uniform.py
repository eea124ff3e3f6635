"""Uniform noise for inputs on a grid, drawn as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from radii.noise._grid import GridNoise, check_levels
from radii.noise._thresholds import Thresholds, uniform
from radii.noise.base import NOISES
from radii.noise.uniform import Uniform


@NOISES.register("grid_uniform")
@dataclass(frozen=True)
class GridUniform(GridNoise, Uniform):
    """Uniform in `[-half_width, half_width]`, then rounded to a multiple of `1/levels`.

    The rounding counts as part of the base classifier, as with `grid_gaussian`: every certificate
    of uniform noise applies as it is, at points on the grid. With `w = half_width levels` the law
    of the whole number Z is `P(Z <= z) = (z + 1/2 + w) / (2 w)`, between 0 and 1: all numbers well
    inside are equally likely, and the outermost less so where w is not a whole number and a half.
    What is drawn is off by a total variation of at most `(2 w + 3) 2^-65` a coordinate.

    Reference:
        Voracek and Hein 2023, arXiv:2207.07209; the certificates are those of Yang et al. 2020,
        arXiv:2002.08118, and Lee et al. 2019, arXiv:1906.04948.
    """

    levels: int = 255
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"half_width": 0.3},)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self, "half_width", 1, 16_384)

    def thresholds(self) -> Thresholds:
        """See `GridNoise.thresholds`."""
        return uniform(Fraction(self.half_width) * self.levels)
