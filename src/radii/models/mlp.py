"""A multilayer perceptron, for inputs of any shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from radii.models.base import ARCHITECTURES, Architecture


@ARCHITECTURES.register("mlp")
@dataclass(frozen=True)
class MLP(Architecture):
    """`depth` hidden layers of `hidden` ReLU units each; the input is flattened first.

    Reference:
        Rumelhart, Hinton and Williams 1986, Nature 323.
    """

    hidden: int = 256
    depth: int = 2
    examples: ClassVar[tuple[dict[str, object], ...]] = ({}, {"hidden": 16, "depth": 1})
    example_input_shape: ClassVar[tuple[int, ...]] = (5,)

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden must be at least 1, got {self.hidden!r}")
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth!r}")
        if self.depth > 1000:
            raise ValueError(f"depth must be at most 1000, got {self.depth!r}")

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """Linear layers with ReLU between them."""
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(input_shape)
        for _ in range(self.depth):
            layers += [nn.Linear(width, self.hidden), nn.ReLU()]
            width = self.hidden
        return nn.Sequential(*layers, nn.Linear(width, num_classes))
