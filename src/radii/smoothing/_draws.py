"""Noise for copies of a batch of inputs, as often as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from radii.noise.base import NOISES, AdditiveNoise, Noise


@dataclass(frozen=True, eq=False)
class Draws:
    """Makes `(draws, batch, *shape)` noise at each call, other noise each time.

    Attributes:
        noise: Its law.
        shape: Of what it makes.
        generator: Where the randomness comes from.
    """

    noise: AdditiveNoise
    shape: tuple[int, ...]
    generator: torch.Generator

    @classmethod
    def of(
        cls,
        noise: Noise,
        shape: tuple[int, ...],
        generator: torch.Generator | None,
        device: torch.device,
    ) -> Self:
        """The draws of a noise; without a generator, of one that the operating system seeds.

        Raises:
            ValueError: If the noise is not additive, there are no draws, or the generator is on
                another device.
        """
        if not isinstance(noise, AdditiveNoise):
            names = [name for name in NOISES.names() if issubclass(NOISES[name], AdditiveNoise)]
            raise ValueError(
                f"noise must be additive to be differentiated through, got {noise!r}; "
                f"additive noises: {', '.join(names)}."
            )
        if shape[0] < 1:
            raise ValueError(f"draws must be at least 1, got {shape[0]!r}")
        if generator is None:
            generator = torch.Generator(device)
            generator.seed()
        wanted, given = (torch.empty(0, device=each).device for each in (device, generator.device))
        if given != wanted:
            raise ValueError(
                f"generator must be on {wanted}, where noise is drawn, got one on {given}; "
                f"make it by torch.Generator({str(wanted)!r})"
            )
        return cls(noise, shape, generator)

    def __call__(self) -> Tensor:
        """`(draws, batch, *shape)` float32 on the device of the generator."""
        draws, batch, *shape = self.shape
        rows = self.noise.draw((draws * batch, *shape), generator=self.generator)
        return rows.reshape(self.shape)
