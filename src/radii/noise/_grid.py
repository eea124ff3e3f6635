"""What noises on a grid share: whole numbers of levels, added to inputs that are such numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from radii._torch import torch
from radii.noise._native import add_whole
from radii.noise._scales import set_number
from radii.noise._thresholds import Thresholds
from radii.noise.base import AdditiveNoise

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.streams import Generators, Stream

_LARGEST = 2**19  # whole number that an input may be, so that float32 holds all sums
_ROUNDINGS = 2.0**-21  # relative error of an input that counts as float32's own


class GridNoise(AdditiveNoise):
    """Noise that is added, after which each coordinate is rounded to a multiple of 1/levels.

    With x on the grid, `round(x + delta) = x + round(delta)`, where `round(delta)` is a whole
    number Z of levels. It is drawn as one, exactly, by comparing a uniform number of 64 bits with
    the thresholds of its law. `x + delta` is then a sum of whole numbers, and its only rounding
    that of the quotient shown to the base classifier, which the whole number alone decides.

    Attributes:
        levels: Multiples of `1/levels` make up the grid.
    """

    levels: int
    from_words: ClassVar[bool] = True
    exact_name: ClassVar[str | None] = None

    @abstractmethod
    def thresholds(self) -> Thresholds:
        """The law of Z: made at the first use, and kept."""

    @property
    def domain(self) -> str:
        """The grid; see `Noise.domain`."""
        return f"inputs whose coordinates are all multiples of 1/{self.levels}"

    def objection(self, x: Tensor) -> str | None:
        """Refuses inputs off the grid; see `Noise.objection`."""
        level = x * self.levels
        nearest = level.round()
        size = nearest.abs()
        if bool(((level - nearest).abs() <= size.clamp(min=1) * _ROUNDINGS).all()):
            if bool((size <= _LARGEST).all()):
                return None
            return (
                f"must be at most {_LARGEST} levels in size for exact noise, got one of "
                f"{float(size.max()):.0f}; scale the inputs or leave exact noise out"
            )
        off = float(x.flatten()[int((level - nearest).abs().argmax())])
        return (
            f"must be multiples of 1/{self.levels} for exact noise, got {off!r}; load 8-bit images "
            f"as k/255, round other inputs to the grid before anything else, or take noise that "
            f"is not exact"
        )

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        """Inputs rounded to the grid, under noise on it; see `Noise.apply`."""
        least, most = -(2**63), None
        uniform = torch.empty(x.shape, dtype=torch.int64, device=generator.device)
        return self._shifted(x, uniform.random_(least, most, generator=generator), out)

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """By compiled code where there is some, see `Noise.at`; inputs must be on the grid."""
        code = generators.native
        if code is not None:
            if out is None:
                out = torch.empty(x.shape, dtype=torch.float32)
            single = (x[:1] if x.stride(0) == 0 else x).contiguous()
            return add_whole(
                code, single, out, self.thresholds(), self.levels, generators.key(stream)
            )
        if generators.rng == "auto":
            return super().at(x, stream, generators, out=out)
        high, low = (generators.words(stream, x.numel(), row=row) for row in (0, 1))
        return self._shifted(x, (((high - 2**31) << 32) | low).view(x.shape), out)

    def generator_name(self, generators: Generators) -> str:
        """See `Noise.generator_name`; with the same generator all machines draw the same."""
        return generators.name if generators.native is None else generators.native_name

    def marginal(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """That of Z / levels, at multiples of 1/levels; see `AdditiveNoise.marginal`."""
        table = self.thresholds()
        up_to = torch.from_numpy(np.append(0.0, np.cumsum(table.probabilities)).clip(max=1.0))
        place = ((z * self.levels).round().long() - table.least).cpu()
        most = len(up_to) - 1
        return up_to[place.clamp(0, most)], up_to[(place + 1).clamp(0, most)]

    def _shifted(self, x: Tensor, uniform: Tensor, out: Tensor | None) -> Tensor:
        """`(round(x levels) + Z) / levels`.

        Args:
            x: `(rows, *shape)` float32.
            uniform: `(rows, *shape)` int64, each bit of which is random.
            out: `(rows, *shape)` float32 or bfloat16. Is overwritten and returned if given.
        """
        table = self.thresholds()
        edges = _on(table, x.device)
        whole = torch.searchsorted(edges, uniform, right=True, out_int32=True).add_(table.least)
        single = x[:1] if x.stride(0) == 0 else x
        whole += (single * self.levels).round().to(torch.int32)
        # By a tensor on the device: a number in its place would be multiplied by its inverse.
        divisor = torch.full((), self.levels, dtype=torch.float32, device=x.device)
        shown = whole.to(torch.float32).div_(divisor)
        return shown if out is None else out.copy_(shown)


@lru_cache(maxsize=16)
def _on(table: Thresholds, device: torch.device) -> Tensor:
    """The thresholds on a device, kept there."""
    return torch.from_numpy(table.signed).to(device)


def check_levels(noise: Any, name: str, least: float, most: float) -> None:
    """Refuses a grid that is none, and noise that is too small or too large for it.

    Args:
        noise: Has the attribute `levels`.
        name: Of the parameter that scales the noise.
        least: Of the scale, in levels.
        most: Of the scale, in levels.
    """
    levels, scale = noise.levels, set_number(noise, name)
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= 2**16:
        raise ValueError(f"levels must be a whole number from 1 to 65536, got {levels!r}")
    if not least <= scale * levels <= most or not math.isfinite(scale):
        raise ValueError(
            f"{name} must be from {least / levels:.6g} to {most / levels:.6g} with "
            f"levels={levels}, got {scale!r}"
        )
