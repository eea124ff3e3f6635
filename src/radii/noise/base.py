"""What a noise is: a random perturbation of an input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from radii._torch import torch
from radii.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.streams import Generators, Stream


class Noise(ABC):
    """A random perturbation, configured by the fields of a frozen dataclass.

    Attributes:
        examples: Parameters that documentation, command line and conformance tests use.
        from_words: Whether `at` can be made of random words alone, as `rng="chacha"` wants it.
        exact_name: Under which a noise with the same parameters is drawn exactly, on a grid.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()
    from_words: ClassVar[bool] = False
    exact_name: ClassVar[str | None] = None

    @property
    def domain(self) -> str | None:
        """Which inputs the noise stands for, in words; None where it is all of them.

        Certificates say no more about other points of the ball.
        """
        return None

    def objection(self, x: Tensor) -> str | None:
        """Why an input cannot be smoothed by this noise, and what to do; None where it can.

        Args:
            x: `(*shape)` float32.

        Returns:
            The end of a sentence that begins with the input.
        """
        return None

    @property
    def num_outcomes(self) -> int | None:
        """How many equally likely outcomes there are, if they are to be enumerated and not drawn.

        Then class probabilities are known exactly, and alpha is 0.
        """
        return None

    def outcomes(self, x: Tensor, first: int, *, out: Tensor | None = None) -> Tensor:
        """Inputs under successive outcomes of a noise that is enumerated.

        Args:
            x: `(rows, *shape)` float32.
            first: Number of the outcome that the first row meets; the next row meets the next.
            out: `(rows, *shape)` float32, contiguous. Is overwritten and returned if given.

        Returns:
            `(rows, *shape)` float32.

        Raises:
            ValueError: If the noise does not stand for all of its outcomes at such inputs.
        """
        raise NotImplementedError(f"{self!r} has outcomes without number")

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

    def at(
        self, x: Tensor, stream: Stream, generators: Generators, *, out: Tensor | None = None
    ) -> Tensor:
        """Inputs under the noise of a named stream: what the sampling engine calls.

        Args:
            x: `(rows, *shape)` float32 on the device of the generators.
            stream: The name.
            generators: Make the generator of any name.
            out: `(rows, *shape)`, contiguous. Is overwritten and returned if given. Float32, or
                bfloat16: the noise is drawn and added in float32 all the same, and the sum rounded.

        Returns:
            `(rows, *shape)` of the type of `out`, or float32.

        Raises:
            ValueError: If the generators are no torch generators and the noise needs one.
        """
        if out is not None and out.dtype != torch.float32:
            return out.copy_(self.apply(x, generator=generators(stream)))
        return self.apply(x, generator=generators(stream), out=out)

    def copies(
        self, x: Tensor, streams: Sequence[Stream], block: int, generators: Generators, out: Tensor
    ) -> Tensor:
        """Copies of one input under the noise of streams in a row, by `at`.

        Args:
            x: `(*shape)` float32 on the device of the generators.
            streams: The names: the first of the first `block` rows, and so on.
            block: Rows of each stream; the last may have fewer.
            generators: Make the generator of any name.
            out: `(rows, *shape)`, contiguous, float32 or bfloat16. Is overwritten.

        Returns:
            `out`.
        """
        for stream, part in zip(streams, torch.split(out, block), strict=True):
            self.at(x.expand(len(part), *x.shape), stream, generators, out=part)
        return out

    def generator_name(self, generators: Generators) -> str:
        """What `at` draws from, as a ledger records it."""
        return generators.name if self.num_outcomes is None else "none"


class AdditiveNoise(Noise):
    """A perturbation that adds a random vector with a known density."""

    def marginal(self, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """The law of one coordinate around an input of 0, as `at` draws it.

        Args:
            z: `(numbers,)` float64.

        Returns:
            Twice `(numbers,)` float64: the probabilities of less than z, and of at most z. None
            where no formula is known here.
        """
        return None

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
