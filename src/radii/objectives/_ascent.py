"""What objectives with an inner search over noisy copies have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn

from radii.errors import TrainingError
from radii.models import norms_folded
from radii.noise import AdditiveNoise, Noise


@contextmanager
def searching(base: Callable[..., Any], x: Tensor) -> Iterator[None]:
    """A module in evaluation mode and with constant parameters, and afterwards as it was.

    So a search leaves the statistics of batch norm alone, sees each row by itself, and nobody
    computes gradients of parameters on its way to the input, compiled code and others' layers
    included. Batch norm is folded into the convolutions before it, where it can be.

    Args:
        base: Modules are changed; anything else is left alone.
        x: `(batch, *shape)`. The inputs where the search begins.
    """
    parameters = base.parameters() if isinstance(base, nn.Module) else ()
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    with in_evaluation(base):
        for parameter in trained:
            parameter.requires_grad_(False)
        try:
            with norms_folded(base, x[:1]) if isinstance(base, nn.Module) else nullcontext():
                yield
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)


@contextmanager
def in_evaluation(base: Callable[..., Any]) -> Iterator[None]:
    """Every part of a module in evaluation mode, and afterwards in the mode it was in.

    So it treats each row by itself, and leaves the statistics of batch norm alone.
    """
    modules = base.modules() if isinstance(base, nn.Module) else ()
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def additive(noise: Noise, objective: str) -> AdditiveNoise:
    """The noise, refused if it cannot be drawn without the input that it is added to.

    Raises:
        TrainingError: If the noise is not additive.
    """
    if not isinstance(noise, AdditiveNoise):
        raise TrainingError(
            f"the noise of {objective} must be additive, got {noise!r}; "
            f"train with --noise gaussian:sigma=..., or with another objective."
        )
    return noise


def check_strength(strength: float) -> None:
    """Refuses a weight that is negative or not finite."""
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength must be at least 0, got {strength!r}")
