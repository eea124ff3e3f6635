"""What a noise is: a random perturbation of an input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from radii.registry import Registry


class Noise(ABC):
    """A random perturbation, configured by the fields of a frozen dataclass.

    Attributes:
        examples: Parameters that documentation, command line and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()

    @abstractmethod
    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        """Inputs under noise, each row under noise of its own.

        Args:
            x: `(rows, *shape)` float32 on the generator's device; for noisy copies of one input,
                that input expanded to as many rows, which takes no memory.
            generator: Where the randomness comes from.
            out: `(rows, *shape)` float32, contiguous. Is overwritten and returned if given.

        Returns:
            `(rows, *shape)` float32.
        """


class AdditiveNoise(Noise):
    """A perturbation that adds a random vector with a known density."""

    @abstractmethod
    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        """Independent noise vectors.

        Args:
            shape: `(draws, *shape)`. The first axis counts vectors, the others make up one.
            generator: Where the randomness comes from; its device is the result's.
            out: `(draws, *shape)` float32, contiguous. Is overwritten and returned if given.

        Returns:
            `(draws, *shape)` float32.
        """

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Log density of noise vectors.

        Args:
            z: `(draws, *shape)` floating point.

        Returns:
            `(draws,)`, of the dtype of `z`.
        """

    @abstractmethod
    def energy(self, dim: int) -> float:
        """`E ||z||_2^2 / dim` for noise on `dim` coordinates; infinite without a second moment.

        Families of noise are compared at equal energy.
        """

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        """`x + delta`, with an independent `delta` for each row; see `Noise.apply`."""
        return self.draw(x.shape, generator=generator, out=out).add_(x)


NOISES: Registry[Noise] = Registry("noise", "radii.noise")
