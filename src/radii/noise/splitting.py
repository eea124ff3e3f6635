"""Splitting noise: each coordinate is known only by the piece of the line that it falls into."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from radii._torch import torch
from radii.noise._scales import float32_above, set_scale
from radii.noise.base import NOISES, Noise

if TYPE_CHECKING:
    from torch import Tensor

_MOST_OUTCOMES = 2**20
_LARGEST_LEVEL = 2**19  # with the outcomes below 2^23, so that float32 holds halves of a level


@NOISES.register("splitting")
@dataclass(frozen=True)
class Splitting(Noise):
    """The line is cut every `2 half_width` from a random offset; a coordinate becomes its piece.

    The base classifier is shown the middle of the part of the piece within [0, 1]. The offset of
    each coordinate is uniform, so a shift by delta moves it to another piece with probability
    `|delta| / (2 half_width)`, at most. Random offsets are independent and any input is taken.

    Deterministic noise is for inputs that are multiples of `1/levels`. Its cuts lie halfway between
    levels, so there are `2 half_width levels` offsets, a whole number, and one shared offset
    decides all coordinates: each adds to it a constant of its own, fixed for ever. All are
    enumerated. The guarantee is then about inputs on the grid, and fails for others. Where it is
    drawn from, as in training, inputs are rounded to the grid first. `grid_splitting` has such cuts
    and independent offsets, which are drawn.

    Reference:
        Levine and Feizi 2021, arXiv:2103.10834, Theorem 2 and section 4.

    Example:
        >>> noise = Splitting(half_width=0.5, deterministic=True)
        >>> noise.num_outcomes
        255
        >>> noise.outcomes(torch.full((3, 1), 0.2), first=0).shape
        torch.Size([3, 1])
    """

    half_width: float
    levels: int = 255
    deterministic: bool = False
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"half_width": 0.3},
        {"half_width": 1.25},
        {"half_width": 0.5, "deterministic": True},
    )
    exact_name: ClassVar[str | None] = "grid_splitting"

    def __post_init__(self) -> None:
        set_scale(self, "half_width")
        levels = self.levels
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise ValueError(f"levels must be a whole number of at least 1, got {levels!r}")
        if not self.deterministic:
            if self.levels != 255:
                raise ValueError(
                    f"levels belongs to deterministic=true, got {self.levels!r}; leave it out"
                )
            return
        whole = levels_to_a_piece(self.half_width, self.levels)
        if whole > _MOST_OUTCOMES:
            raise ValueError(
                f"2 half_width levels must be at most {_MOST_OUTCOMES}, got {whole}; "
                f"lower half_width or levels"
            )

    @property
    def num_outcomes(self) -> int | None:
        """`2 half_width levels`, if it is deterministic."""
        return levels_to_a_piece(self.half_width, self.levels) if self.deterministic else None

    @property
    def width(self) -> float:
        """Of a piece: `2 half_width`, rounded to whole levels where a piece consists of such."""
        count = self.num_outcomes
        return 2 * self.half_width if count is None else count / self.levels

    def objection(self, x: Tensor) -> str | None:
        """Refuses levels whose halves float32 does not hold; see `Noise.objection`."""
        size = float((x * self.levels).abs().max()) if self.deterministic and x.numel() else 0.0
        if size <= _LARGEST_LEVEL:
            return None
        return (
            f"must be at most {_LARGEST_LEVEL} levels in size for deterministic splitting noise, "
            f"got one of {size:.0f}; scale the inputs to [0, 1]"
        )

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        """Each row under offsets of its own; see `Noise.apply`."""
        if out is None:
            out = torch.empty(x.shape, dtype=torch.float32, device=generator.device)
        count = self.num_outcomes
        if count is None:
            width = 2 * float32_above(self.half_width)
            offset = out.uniform_(generator=generator)
            low = (x / width).sub_(offset).floor_().add_(offset).mul_(width)
            return middle(low, width, 1, out)
        shared = torch.randint(count, (len(x),), generator=generator, device=x.device)
        return self._pieces((x * self.levels).round_(), shared, count, out)

    def outcomes(self, x: Tensor, first: int, *, out: Tensor | None = None) -> Tensor:
        """Row i under the shared offset `first + i`; see `Noise.outcomes`."""
        count = self.num_outcomes
        if count is None:
            return super().outcomes(x, first, out=out)
        objection = self.objection(x)
        if objection is not None:
            raise ValueError(f"inputs {objection}")
        level = x * self.levels
        nearest = level.round()
        if bool((level - nearest).abs().max() > 1e-3):
            raise ValueError(
                f"inputs must be multiples of 1/{self.levels} for deterministic splitting noise, "
                f"got one that is not; round them to that grid, and the attacks on them too, "
                f"or leave out deterministic=true"
            )
        if out is None:
            out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        shared = torch.arange(first, first + len(x), device=x.device)
        return self._pieces(nearest, shared, count, out)

    def _pieces(self, level: Tensor, shared: Tensor, count: int, out: Tensor) -> Tensor:
        """The middle of the piece that holds each level.

        Args:
            level: `(rows, *shape)` whole numbers. Is overwritten.
            shared: `(rows,)` int64, each in [0, count).
            count: Levels to a piece.
            out: `(rows, *shape)` float32. Is overwritten and returned.
        """
        own = torch.from_numpy(_own_offsets(math.prod(level.shape[1:]), count)).to(level.device)
        offset = (shared[:, None] + own).remainder_(count).to(torch.float32)
        cut = out.copy_(offset.view(level.shape)).add_(0.5)
        low = level.sub_(cut).div_(count).floor_().mul_(count).add_(cut).div_(self.levels)
        return middle(low, count / self.levels, 1, out)


def levels_to_a_piece(half_width: float, levels: int) -> int:
    """`2 half_width levels`, a whole number.

    Raises:
        ValueError: If it is none.
    """
    exact = 2 * half_width * levels
    whole = max(round(exact), 1)
    if abs(exact - whole) > 1e-9 * whole:
        raise ValueError(
            f"half_width must be a multiple of 1/{2 * levels} with levels={levels}, "
            f"got {half_width!r}; take {whole / (2 * levels)!r}"
        )
    return whole


def middle(low: Tensor, width: float, top: float, out: Tensor) -> Tensor:
    """The middle of what of `[low, low + width)` lies within [0, top]; overwrites both tensors."""
    torch.add(low, width, out=out).clamp_(max=top)
    return out.add_(low.clamp_(min=0)).mul_(0.5)


@lru_cache(maxsize=16)
def _own_offsets(dim: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`(dim,)` constants in [0, count), the same on every machine: any choice is sound."""
    hashed = hashlib.shake_128(b"radii/splitting/1").digest(8 * dim)
    return (np.frombuffer(hashed, dtype="<u8") % np.uint64(count)).astype(np.int64)
