"""Batch norm folded into the convolutions before it, for gradients in the input at less cost."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}  # of other types weights are left alone


@torch.no_grad()
def folded(module: nn.Module, x: Tensor) -> nn.Module:
    """A copy in which a convolution does the work of the batch norm that follows it.

    In evaluation mode both are affine, so scores and gradients in the input stay what they are, up
    to rounding. Which belong together is seen in a forward pass. The copy is compared with the
    module, so one that does something else with the convolution's output stays as it is.

    Args:
        module: In evaluation mode; it is left alone. Weights that change later are not noticed.
        x: `(rows, *shape)`. Inputs to try it on, on the device of the module.

    Returns:
        The copy; or the module itself where there is nothing to fold, where it cannot be copied or
        folded, or where the copy's scores are others.
    """
    if module.training or not any(isinstance(part, _NORMS) for part in module.modules()):
        return module
    expected = module(x)
    try:
        twin = copy.deepcopy(module)
        for conv, norm in _pairs(twin, x):
            layout = _layout(conv)
            whole = fuse_conv_bn_eval(cast(Any, conv), cast(Any, norm))
            _replace(twin, conv, whole.to(memory_format=layout))
            _replace(twin, norm, nn.Identity())
        scores = twin(x)
    except Exception:  # parametrized weights, a forward that reads the norm, and what else there is
        return module
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        return module
    parameter = next(twin.parameters(), scores)
    limit = _ROUNDING.get(parameter.dtype, 0.0) * float(expected.abs().max().clamp(min=1))
    same = scores.shape == expected.shape and float((scores - expected).abs().max()) <= limit
    return twin.eval() if same else module


def _pairs(module: nn.Module, x: Tensor) -> list[tuple[nn.Module, nn.Module]]:
    """Convolutions and the batch norms that take their output, each called once."""
    outputs: list[tuple[Tensor, nn.Module]] = []  # kept, so that no two are the same object
    found: list[tuple[nn.Module, nn.Module]] = []
    calls: dict[nn.Module, int] = {}

    def after(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[part] = calls.get(part, 0) + 1
        if isinstance(part, _CONVOLUTIONS):
            outputs.append((output, part))
        else:
            found.extend((conv, part) for given, conv in outputs if given is inputs[0])

    parts = [part for part in module.modules() if isinstance(part, _CONVOLUTIONS + _NORMS)]
    hooks = [part.register_forward_hook(after) for part in parts]
    try:
        module(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        (conv, norm)
        for conv, norm in found
        if calls[conv] == calls[norm] == 1 and getattr(norm, "running_mean", None) is not None
    ]


def _layout(conv: nn.Module) -> torch.memory_format:
    weight = cast(Tensor, conv.weight)
    wide = weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if wide else torch.contiguous_format


def _replace(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if child is old:
                setattr(part, name, new)
