"""The weights that training starts with: random ones, or those of a base classifier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from radii.data import Dataset
from radii.errors import TrainingError
from radii.models import ARCHITECTURES, Architecture, FromPython, initialise
from radii.models.checkpoint import read_base

_EXAMPLES_TO_NORMALISE = 10_000


@dataclass(frozen=True, eq=False)
class Start:
    """An untrained base classifier, or one that was trained before.

    Attributes:
        module: In training mode, on the CPU.
        mean: What it subtracts from its inputs, by channel.
        std: What it then divides by, by channel.
        sha256: Of the weights, if they were trained before.
    """

    module: nn.Module
    mean: list[float]
    std: list[float]
    sha256: str | None = None

    @classmethod
    def random(cls, architecture: Architecture, dataset: Dataset, seed: int) -> Start:
        """Weights that depend on the seed alone, and the normalisation of the data."""
        mean, std = moments(dataset)
        shape, classes = dataset.input_shape, dataset.num_classes
        module = initialise(architecture, shape, classes, mean=mean, std=std, seed=seed)
        return cls(module, mean, std)

    @classmethod
    def trained(cls, directory: Path, architecture: Architecture, dataset: Dataset) -> Start:
        """The weights and the normalisation of a base classifier's directory.

        Raises:
            TrainingError: If it has another architecture, input shape or number of classes.
            BaseClassifierError: If the directory cannot be read.
        """
        module, description, sha256 = read_base(
            directory, architecture if isinstance(architecture, FromPython) else None
        )
        here = ARCHITECTURES.spec_of(architecture)
        there = ARCHITECTURES.spec_of(ARCHITECTURES.build(description["architecture"]))
        for what, wanted, got in (
            ("the architecture", here, there),
            ("inputs of shape", list(dataset.input_shape), list(description["input_shape"])),
            ("the number of classes", dataset.num_classes, description["num_classes"]),
        ):
            if wanted != got:
                raise TrainingError(
                    f"the base classifier to start from must have {what} {wanted}, but "
                    f"{str(directory)!r} has {got}; start from another, or without --init."
                )
        return cls(module.train(), description["mean"], description["std"], sha256)

    def on(self, device: torch.device) -> nn.Module:
        """The module on a device, in the memory layout in which convolutions are fast."""
        module = self.module.to(device)
        if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module


def moments(dataset: Dataset) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, over at most 10,000 examples."""
    few = min(len(dataset), _EXAMPLES_TO_NORMALISE)
    chosen = torch.linspace(0, len(dataset) - 1, few).long().tolist()
    x = torch.stack([dataset[index][0] for index in chosen]).double()
    x = x.transpose(0, 1).flatten(1)
    return x.mean(1).tolist(), x.std(1).clamp(min=1e-3).tolist()
