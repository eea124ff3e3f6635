"""The smoothed classifier as a model of foolbox."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from radii.extras import imported
from radii.interop.torch_module import to_torch
from radii.smoothing import SmoothedClassifier


def to_foolbox(
    smoothed: SmoothedClassifier,
    *,
    bounds: tuple[float, float],
    draws: int = 64,
    generator: torch.Generator | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Any:
    """A `foolbox.PyTorchModel` of the smoothed classifier, for the attacks of foolbox.

    Its scores are logs of the mean probabilities over draws that all inputs share, and attacks
    follow the gradient of these: the smoothed gradient. What an attack calls a success is about
    that average; ask `SmoothedClassifier.predict` whether the smoothed classifier is fooled.

    Args:
        smoothed: See `to_torch`.
        bounds: The smallest and the largest value of a coordinate of an input.
        draws: See `to_torch`.
        generator: See `to_torch`.
        input_shape: See `to_torch`.

    Raises:
        RadiiError: If the extra `attacks` is not installed.
        ValueError: See `to_torch`.
        BaseClassifierError: If the base classifier is in training mode.
    """
    with warnings.catch_warnings():  # foolbox imports what scipy has renamed
        warnings.simplefilter("ignore", DeprecationWarning)
        foolbox = imported("foolbox", "attacks")
    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must be a smaller and a larger number, got {bounds!r}")
    module = to_torch(smoothed, draws=draws, generator=generator, input_shape=input_shape)
    return foolbox.PyTorchModel(module, bounds=bounds, device=smoothed.resolve_device())
