"""What an architecture is: input shape and class count in, an untrained base classifier out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from radii.registry import Registry


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation, channel by channel.

    It is the first layer of a base classifier, so that noise, which is added to what the caller
    passes, is measured in the caller's units and not in normalised ones.

    Args:
        mean: One number for all channels, or one number a channel.
        std: The same for the standard deviation; positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        if not mean or not all(math.isfinite(value) for value in mean):
            raise ValueError(f"mean must be one or more finite numbers, got {mean!r}")
        if not std or not all(math.isfinite(value) and value > 0 for value in std):
            raise ValueError(f"std must be one or more positive numbers, got {std!r}")
        self.register_buffer("mean", torch.tensor(tuple(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(tuple(std), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, ...)`, normalised."""
        ones = (1,) * (x.ndim - 2)
        return (x - self.mean.view(-1, *ones)) / self.std.view(-1, *ones)


class Normalized(nn.Module):
    """A base classifier that normalises its own inputs.

    Attributes:
        normalize: The first layer.
        body: The network; its state dict has the names of the published checkpoints.
    """

    def __init__(self, normalize: Normalize, body: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)` of the inputs `(batch, *input_shape)`."""
        return cast(Tensor, self.body(self.normalize(x)))


@dataclass(frozen=True)
class Architecture(ABC):
    """The shape of a network: a frozen dataclass that builds it with untrained weights.

    Attributes:
        examples: Fields of valid members, read by the listings and the conformance tests.
        example_input_shape: An input shape that it accepts, small enough for a test.
    """

    examples: ClassVar[tuple[dict[str, object], ...]] = ({},)
    example_input_shape: ClassVar[tuple[int, ...]] = (3, 32, 32)

    def build(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> Normalized:
        """An untrained base classifier, in training mode, as every new module is.

        The weights come from torch's global generator; `initialise` takes a seed instead.

        Args:
            input_shape: Shape of one input, channels first.
            num_classes: How many scores it gives, at least 2.
            mean: What is subtracted from the inputs; one number, or one a channel.
            std: What they are then divided by; one number, or one a channel.

        Raises:
            ValueError: If the architecture cannot take such inputs.
        """
        if not input_shape or any(size < 1 for size in input_shape):
            raise ValueError(f"input_shape must be one or more positive sizes, got {input_shape!r}")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes!r}")
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, input_shape[0]):
                raise ValueError(
                    f"{name} must be one number or one a channel (here {input_shape[0]}), "
                    f"got {len(values)} numbers"
                )
        return Normalized(Normalize(mean, std), self.body(tuple(input_shape), num_classes))

    @abstractmethod
    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The network behind the normalisation; refuses shapes that it cannot take."""


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "radii.models", Architecture)


def initialise(
    architecture: Architecture,
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    seed: int,
) -> Normalized:
    """`architecture.build` with weights that depend on the seed alone.

    torch's initialisers draw from the global generator, so it is set aside here and put back. The
    weights are made on the CPU whatever the default device: a seed means the same weights on every
    machine.

    Example:
        >>> from radii.models import LeNet
        >>> base = initialise(LeNet(), (1, 28, 28), 10, seed=0)
        >>> base(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return architecture.build(input_shape, num_classes, mean=mean, std=std)


def image_channels(name: str, input_shape: tuple[int, ...], *, least: int) -> int:
    """The channels of an image shape.

    Raises:
        ValueError: If it is not `(channels, height, width)` with sides of at least `least`.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < least:
        raise ValueError(
            f"{name} needs inputs of shape (channels, height, width) with height and width "
            f"of at least {least}, got {input_shape}; use mlp for inputs of another shape"
        )
    return input_shape[0]
