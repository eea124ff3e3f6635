"""Whether layers are compiled for training."""

from __future__ import annotations

import os
import shutil

from torch import nn

from radii.errors import TrainingError
from radii.models import DenoisedClassifier, worth_compiling
from radii.training.plan import TrainingPlan
from radii.training.validation import in_evaluation

_PASSES = 3  # the backward pass costs about two forward ones


def compile_if_wanted(
    module: nn.Module, plan: TrainingPlan, shape: tuple[int, ...], examples: int
) -> None:
    """Lets calls of the module run compiled code; its weights, names and layers stay what they are.

    Args:
        module: On its device.
        plan: Says whether.
        shape: Of one input.
        examples: Of an epoch.

    Raises:
        TrainingError: If the compiler that torch would call is missing.
    """
    device = next(module.parameters()).device
    compiled = plan.compile == "on"
    if plan.compile == "auto" and device.type == "cuda":
        draws = _PASSES * plan.epochs * examples
        compiled = worth_compiling(in_evaluation(module), shape, draws)
    if not compiled:
        return
    if device.type == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise TrainingError(
            "compilation for the CPU needs a C++ compiler, and g++ is not installed; "
            "install it, or train with --compile off."
        )
    for part in _called(module):
        part.compile()  # static for the first batch, dynamic for batches of other sizes


def _called(module: nn.Module) -> list[nn.Module]:
    """What objectives call: the module, or both parts of a denoised classifier."""
    denoised = [part for part in module.modules() if isinstance(part, DenoisedClassifier)]
    return [part for each in denoised for part in (each.denoiser, each.base)] or [module]
