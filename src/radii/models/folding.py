"""Batch norm folded into the convolutions before it, for gradients in the input at less cost."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

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
    return twin.eval() if _same(scores, expected, module) else module


@contextmanager
def norms_folded(module: nn.Module, x: Tensor) -> Iterator[None]:
    """Inside, convolutions do the work of the batch norms after them; afterwards all is as before.

    Nothing is copied but the weights of these convolutions, so this is for a few passes of a module
    whose weights change between them. Whether scores stay what they are is tried first, as in
    `folded`; where they do not, and in compiled code, nothing is folded.

    Args:
        module: In evaluation mode. Gradients of its weights are not to be asked for inside.
        x: `(rows, *shape)`. Inputs to try it on, on the device of the module.
    """
    with ExitStack() as merged:
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            pairs = _pairs(module, x) if _may_fold(module, x) else []
            expected = module(x) if pairs else None
            for conv, norm in pairs:
                if _is_plain(conv) and "forward" not in vars(norm):
                    merged.enter_context(_merged(conv, norm))
            if expected is not None and not _same(module(x), expected, module):
                merged.close()
        yield


def _may_fold(module: nn.Module, x: Tensor) -> bool:
    """Whether there may be pairs, and no compiled code that would have to be compiled again."""
    parts = list(module.modules())
    return (
        len(x) > 0
        and not any(part.training for part in parts)
        and all(any(isinstance(part, kind) for part in parts) for kind in (_CONVOLUTIONS, _NORMS))
        and all(part._compiled_call_impl is None for part in parts)
        and not any(hasattr(part, "_orig_mod") for part in parts)
        and not any(isinstance(part, torch.jit.ScriptModule) for part in parts)
    )


def _is_plain(conv: nn.Module) -> bool:
    """Whether its weights are its own parameters, and not computed from others."""
    return {"weight", "bias"} <= conv._parameters.keys()


@contextmanager
def _merged(conv: nn.Module, norm: nn.Module) -> Iterator[None]:
    """A convolution with the weights of both, and a batch norm that does nothing."""
    own, mine, its = dict(conv._parameters), cast(Any, conv), cast(Any, norm)
    weight, bias = fuse_conv_bn_weights(
        *(mine.weight, mine.bias, its.running_mean, its.running_var),
        *(its.eps, its.weight, its.bias),
    )
    weight.requires_grad_(False)
    bias.requires_grad_(False)
    conv._parameters.update(weight=weight, bias=bias)
    vars(norm)["forward"] = _unchanged
    try:
        yield
    finally:
        conv._parameters.update(own)
        del vars(norm)["forward"]


def _unchanged(x: Tensor) -> Tensor:
    return x


def _same(scores: Any, expected: Tensor, module: nn.Module) -> bool:
    """Whether these are the scores of the module, up to the rounding of its type."""
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        return False
    parameter = next(module.parameters(), scores)
    limit = _ROUNDING.get(parameter.dtype, 0.0) * float(expected.abs().max().clamp(min=1))
    return scores.shape == expected.shape and float((scores - expected).abs().max()) <= limit


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
