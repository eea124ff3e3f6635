"""Networks that the user's own Python code makes."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from radii.models.base import ARCHITECTURES, Architecture
from radii.models.source import found_in_python, names_python


@ARCHITECTURES.register("python")
@dataclass(frozen=True)
class FromPython(Architecture):
    """A network of the user's: a class or function that makes it, or a module.

    What is called gets `input_shape` and `num_classes` if it has parameters of these names. Weights
    that it draws from torch's global generator depend on the seed of training alone. A module is
    copied, with the weights that it has; one in a file is made anew, with weights of the seed, for
    the file is run again. Inputs of the network are normalised already.

    Attributes:
        reference: `FILE.py:name` or `package.module:name`. Its code runs.
    """

    reference: str
    positional: ClassVar[str] = "reference"
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"reference": "radii.models.python:example_network"},
    )

    def __post_init__(self) -> None:
        if not names_python(self.reference):
            raise ValueError(
                f"reference must be FILE.py:name or package.module:name, got {self.reference!r}"
            )

    def body(self, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
        """The network; see `Architecture.body`.

        Raises:
            BaseClassifierError: If the reference leads nowhere.
            ValueError: If it names neither a network nor what makes one.
        """
        found, _ = found_in_python(self.reference)
        if isinstance(found, nn.Module):
            return copy.deepcopy(found)
        made = found
        if callable(found):
            given = {"input_shape": input_shape, "num_classes": num_classes}
            known = inspect.signature(found).parameters
            try:
                made = found(**{name: value for name, value in given.items() if name in known})
            except TypeError as error:
                raise ValueError(
                    f"{self.reference!r} must be callable with input_shape and num_classes, or "
                    f"without arguments: {error}"
                ) from error
        if not isinstance(made, nn.Module):
            raise ValueError(
                f"{self.reference!r} must be an nn.Module or make one, got {type(made).__name__}"
            )
        return made


def example_network(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A small network, made as `FromPython` wants it."""
    channels = input_shape[0]
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, num_classes),
    )
