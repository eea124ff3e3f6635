"""Splitting noise for inputs on a grid, its offsets drawn as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.noise._grid import check_levels
from radii.noise.base import NOISES
from radii.noise.grid_uniform import GridUniform
from radii.noise.splitting import Splitting, levels_to_a_piece, middle

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.streams import Generators, Stream


@NOISES.register("grid_splitting")
@dataclass(frozen=True)
class GridSplitting(Splitting):
    """The line is cut every `2 half_width`, halfway between multiples of `1/levels`.

    Each coordinate has an offset of its own, one of `c = 2 half_width levels` that are equally
    likely, and becomes the middle of what of its piece lies within [0, 1]. A piece holds c levels,
    a whole number. The place of a coordinate in its piece is uniform among c, and a step of m
    levels leads out of the piece from `min(|m|, c)` of them. So it does with a probability of
    exactly `min(1, |delta| / (2 half_width))`, independently of the other coordinates: each
    certificate of random splitting noise applies as it is, at points on the grid.

    What is shown follows from whole numbers alone, and is rounded once. The offset is `Z mod c`,
    where Z is a uniform number in `[-c/2, c/2]`, rounded, as `grid_uniform` draws it: if c is even
    the outermost two are half as likely as the others, and one offset. What is drawn is off by a
    total variation of at most `(c + 2) 2^-65` a coordinate.

    Reference:
        Levine and Feizi 2021, arXiv:2103.10834, Theorem 2 and section 4.

    Example:
        >>> noise = GridSplitting(half_width=0.1)
        >>> generator = torch.Generator().manual_seed(0)
        >>> noise.apply(torch.full((5, 1), 0.2), generator=generator).mul(510).round().int().mT
        tensor([[108, 124, 114, 108,  96]], dtype=torch.int32)
    """

    # One without a choice: it is no parameter, and no field.
    deterministic: ClassVar[bool] = False  # type: ignore[misc]
    from_words: ClassVar[bool] = True
    exact_name: ClassVar[str | None] = None
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"half_width": 0.3},
        {"half_width": 1.2},
    )

    def __post_init__(self) -> None:
        check_levels(self, "half_width", 1 - 1e-9, 16_384 + 1e-5)
        levels_to_a_piece(self.half_width, self.levels)

    @property
    def width(self) -> float:
        """Of a piece; see `Splitting.width`."""
        return self._count / self.levels

    @property
    def domain(self) -> str:
        """The grid; see `Noise.domain`."""
        return self._grid.domain

    def objection(self, x: Tensor) -> str | None:
        """Refuses inputs off the grid; see `Noise.objection`."""
        return self._grid.objection(x)

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        """Inputs rounded to the grid, each row under offsets of its own; see `Noise.apply`."""
        return self._shown(x, self._offsets.apply(_zeros(x), generator=generator, out=out))

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """Offsets by compiled code where there is some; see `Noise.at`."""
        wide = None if out is None or out.dtype != torch.float32 else out
        shown = self._shown(x, self._offsets.at(_zeros(x), stream, generators, out=wide))
        return shown if out is wide or out is None else out.copy_(shown)

    def generator_name(self, generators: Generators) -> str:
        """See `Noise.generator_name`; with the same generator all machines draw the same."""
        return self._offsets.generator_name(generators)

    @property
    def _count(self) -> int:
        return levels_to_a_piece(self.half_width, self.levels)

    @property
    def _offsets(self) -> GridUniform:
        """The law of Z, around an input of 0 on a grid of whole numbers."""
        return GridUniform(self._count / 2, levels=1)

    @property
    def _grid(self) -> GridUniform:
        """Any noise on the grid of the inputs: it says which these are."""
        return GridUniform(8 / self.levels, self.levels)

    def _shown(self, x: Tensor, offset: Tensor) -> Tensor:
        """The middle of the piece that holds each coordinate, where cuts lie above the offset.

        All numbers but the quotient are multiples of 1/4 below 2^22, which float32 holds.

        Args:
            x: `(rows, *shape)` float32.
            offset: `(rows, *shape)` float32, whole numbers in `[-c/2, c/2]`. Is overwritten and
                returned.
        """
        count, half = self._count, self._count // 2
        level = (x[:1] if x.stride(0) == 0 else x).mul(self.levels).round_().long()
        # The place of a level in its piece is `level - 1 - offset`, modulo the count.
        place = (level + (half - 1)).remainder_(count)
        offset.add_(half)
        low = (offset > place).to(torch.float32).mul_(-count)
        low.add_(offset).add_((level - place).to(torch.float32).sub_(0.5))
        # By a tensor on the device: a number in its place would be multiplied by its inverse.
        divisor = torch.full((), self.levels, dtype=torch.float32, device=x.device)
        return middle(low, count, self.levels, offset).div_(divisor)


def _zeros(x: Tensor) -> Tensor:
    """As many as x has numbers, in the memory of one."""
    return torch.zeros(1, dtype=torch.float32, device=x.device).expand(x.shape)
