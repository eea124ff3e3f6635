"""The smoothed classifier as an estimator of the Adversarial Robustness Toolbox."""

from __future__ import annotations

from typing import Any

import torch

from radii.extras import imported
from radii.interop.torch_module import to_torch
from radii.smoothing import SmoothedClassifier


def to_art(
    smoothed: SmoothedClassifier,
    *,
    clip_values: tuple[float, float] | None = None,
    logits: bool = False,
    draws: int = 64,
    generator: torch.Generator | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Any:
    """A classifier of ART with gradients of the loss and of the classes, for its attacks.

    It answers the mean probabilities over draws that all inputs share, and its gradients are those
    of this mean and its cross entropy: the smoothed gradient, not the base classifier's. What an
    attack calls a success is about that mean; ask `SmoothedClassifier.predict` whether the smoothed
    classifier is fooled.

    Args:
        smoothed: See `to_torch`.
        clip_values: The smallest and the largest value of a coordinate of an input.
        logits: Whether it answers logs of these means, which some attacks ask for, as
            `AutoProjectedGradientDescent` does.
        draws: See `to_torch`.
        generator: See `to_torch`.
        input_shape: See `to_torch`.

    Raises:
        RadiiError: If the extra `art` is not installed.
        ValueError: See `to_torch`.
        BaseClassifierError: If the base classifier is in training mode.
    """
    imported("art", "art")
    from radii.interop._art import SmoothedArtClassifier

    module = to_torch(smoothed, draws=draws, generator=generator, input_shape=input_shape)
    return SmoothedArtClassifier(module, clip_values, logits)
