"""The weights that training starts with: random ones, or those of a base classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from radii.data import Dataset
from radii.errors import TrainingError
from radii.models import (
    ARCHITECTURES,
    Architecture,
    Denoised,
    FromPython,
    initialise,
    load_denoiser,
)
from radii.models.checkpoint import read_base
from radii.models.denoised import parts_of, put_behind
from radii.models.weights import load_strictly
from radii.training.from_disk import inputs_at

_EXAMPLES_TO_NORMALISE, _LEAST_TO_NORMALISE = 10_000, 100
_NUMBERS_TO_NORMALISE = 150_000_000
_NUMBERS_AT_ONCE = 40_000_000  # 320 MB


@dataclass(frozen=True, eq=False)
class Start:
    """An untrained base classifier, or one that was trained before.

    Attributes:
        module: In training mode, on the CPU.
        mean: What it subtracts from its inputs, by channel.
        std: What it then divides by, by channel.
        sha256: Of the weights, if they were trained before.
        frozen: SHA-256 of the classifier behind a denoiser, if there is one.
    """

    module: nn.Module
    mean: list[float]
    std: list[float]
    sha256: str | None = None
    frozen: str | None = None

    @classmethod
    def random(
        cls, architecture: Architecture, dataset: Dataset, seed: int, *, normalized: bool = True
    ) -> Start:
        """Weights that depend on the seed alone, and the normalisation of the data, or none."""
        mean, std = moments(dataset) if normalized else ([0.0], [1.0])
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
        if (misfit := _misfit(here, there, description, dataset)) is not None:
            raise TrainingError(
                f"the base classifier to start from must have {misfit[0]}, but "
                f"{str(directory)!r} has {misfit[1]}; start from another, or without --init."
            )
        return cls(module.train(), description["mean"], description["std"], sha256)

    @classmethod
    def before(
        cls,
        frozen: Path,
        architecture: Denoised,
        dataset: Dataset,
        seed: int,
        init: Path | None = None,
    ) -> Start:
        """A denoiser before a classifier that was trained already.

        Args:
            frozen: The directory of the classifier.
            architecture: Of both.
            dataset: What the denoiser is trained on.
            seed: Of the denoiser's weights.
            init: Directory of a denoised classifier, whose denoiser is taken in place of these.

        Raises:
            TrainingError: If a directory holds something else than the architecture says.
            BaseClassifierError: If a directory cannot be read.
        """
        behind, description, sha256 = read_base(frozen)
        here = ARCHITECTURES.spec_of(architecture.base)
        there = ARCHITECTURES.spec_of(ARCHITECTURES.build(description["architecture"]))
        if (misfit := _misfit(here, there, description, dataset)) is not None:
            raise TrainingError(
                f"the classifier behind the denoiser must have {misfit[0]}, but "
                f"{str(frozen)!r} has {misfit[1]}; give another as --base."
            )
        module = initialise(architecture, dataset.input_shape, dataset.num_classes, seed=seed)
        put_behind(module, behind)
        earlier = None
        if init is not None:
            _, of_init, earlier = read_base(init)
            found = ARCHITECTURES.build(of_init["architecture"])
            if not isinstance(found, Denoised) or found.denoiser != architecture.denoiser:
                raise TrainingError(
                    f"the denoiser to start from must be {architecture.denoiser!r}, but "
                    f"{str(init)!r} has {of_init['architecture']!r}; start from another, or "
                    f"without --init."
                )
            load_strictly(parts_of(module).denoiser, load_denoiser(init).state_dict())
        return cls(module, [0.0], [1.0], earlier, sha256)

    def on(self, device: torch.device) -> nn.Module:
        """The module on a device, in the memory layout in which convolutions are fast."""
        module = self.module.to(device)
        if any(isinstance(layer, nn.Conv2d) for layer in module.modules()):
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module


def _misfit(
    here: str, there: str, description: dict[str, Any], dataset: Dataset
) -> tuple[str, object] | None:
    """The first thing in which a trained classifier does not fit: what is wanted, and found."""
    for what, wanted, got in (
        ("the architecture", here, there),
        ("inputs of shape", list(dataset.input_shape), list(description["input_shape"])),
        ("the number of classes", dataset.num_classes, description["num_classes"]),
    ):
        if wanted != got:
            return f"{what} {wanted}", got
    return None


def moments(dataset: Dataset) -> tuple[list[float], list[float]]:
    """Mean and standard deviation to normalise each channel with.

    The noise is as large in every channel, so a channel that hardly varies is not scaled up by
    much: the least to divide by is a tenth of the standard deviation within channels. Where inputs
    are no pictures `(channels, height, width)`, but vectors for example, all features are divided
    by that deviation itself.

    Over at most 10,000 examples, spread over the data set, and fewer where inputs are larger than
    100 x 100 in colour: about 1,000 of imagenet.
    """
    size = math.prod(dataset.input_shape)
    most = max(_LEAST_TO_NORMALISE, _NUMBERS_TO_NORMALISE // size)
    few = min(len(dataset), _EXAMPLES_TO_NORMALISE, most)
    chosen = torch.linspace(0, len(dataset) - 1, few).long()
    counts, means, variances = [], [], []
    for part in torch.split(chosen, max(1, _NUMBERS_AT_ONCE // size)):
        x = inputs_at(dataset, part.tolist()).double().transpose(0, 1).flatten(1)
        counts.append(x.shape[1])
        means.append(x.mean(1))
        variances.append(x.var(1, correction=0))
    weights = torch.tensor(counts, dtype=torch.float64)[:, None]
    mean = (weights * torch.stack(means)).sum(0) / weights.sum()
    squares = torch.stack(variances) + (torch.stack(means) - mean) ** 2
    variance = (weights * squares).sum(0) / (weights.sum() - 1)
    common = variance.mean().sqrt()
    std = variance.sqrt() if len(dataset.input_shape) == 3 else common.expand_as(variance)
    return mean.tolist(), std.clamp(min=max(1e-3, 0.1 * float(common))).tolist()
