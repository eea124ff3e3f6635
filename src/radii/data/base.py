"""What a data set is: inputs in the units in which `sigma` is measured, labels, a fingerprint."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.registry import Registry

IntArray = npt.NDArray[np.int64]


class Dataset(ABC):
    """Labelled inputs, in a fixed order.

    Images are float32 in [0, 1], channels first; the noise is added in these units, before any
    normalisation.

    Attributes:
        reference: What the user wrote to get it, split included: `mnist5k@test`.
        labels: `(examples,)` int64, each in [0, num_classes).
        class_names: One name a class, in the order of the labels.
        input_shape: Shape of one input, channels first.
    """

    reference: str
    labels: IntArray
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]

    @property
    def num_classes(self) -> int:
        """How many classes the labels range over."""
        return len(self.class_names)

    @property
    def in_memory_bytes(self) -> int:
        """What all inputs would take as float32; known without reading one of them."""
        return 4 * len(self) * math.prod(self.input_shape)

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Input `index` as a float32 tensor of `input_shape`, and its label."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of every input and label.

        Arrays give the same fingerprint however their file is packed; image files count as bytes.
        Data sets whose files take hours to read say what stands for them.
        """

    @abstractmethod
    def tensors(self) -> tuple[Tensor, Tensor]:
        """All inputs `(examples, *input_shape)` and labels `(examples,)` in memory.

        Inputs are float32, or uint8 to be divided by 255 where they are used.
        """


class Reader(ABC):
    """Where the inputs of a data set come from: a frozen dataclass that reads.

    Attributes:
        takes_path: Whether a reference carries a path, as in `npz:PATH`; the reader then has a
            field `path: str`.
        splits: The splits that it can read; the first of them is the default.
    """

    takes_path: ClassVar[bool] = False
    splits: ClassVar[tuple[str, ...]] = ("test", "train")

    @abstractmethod
    def read(self, split: str, root: Path | None, reference: str) -> Dataset:
        """The data set of that split.

        Args:
            split: One of `splits`.
            root: The folder of published data sets, if one is known.
            reference: What the data set calls itself, in errors and ledgers.

        Raises:
            DataError: If a file is missing or is not what it should be.
        """


DATASETS: Registry[Reader] = Registry("dataset", "radii.data")


def unit_interval(inputs: Tensor) -> Tensor:
    """Float32 inputs: uint8 divided by 255, floats unchanged."""
    return inputs.to(torch.float32).div_(255) if inputs.dtype == torch.uint8 else inputs
