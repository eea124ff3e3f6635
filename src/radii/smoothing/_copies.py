"""Noisy copies of inputs that know what they are copies of, for a cheaper gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Copies(Tensor):
    """Noisy copies of inputs that know these, for a gradient through the first layer at less cost.

    The gradient of an affine layer with respect to an input is one linear map of the sum over the
    input's copies. So it is applied to one row an input and not to one row a copy; in a small
    convolutional network it is the most expensive step of all. Values stay as they are, and to
    every other function these rows are just `x + delta`.
    """

    inputs: Tensor  # `(batch, *shape)`
    frozen: bool  # whether parameters of the layer need no gradient, so that rows need not be kept
    version: int  # tells whether these rows were changed in place

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if not _is_affine(func, args, kwargs):
                return func(*args, **kwargs)
            rows, *others = args
            if func in _ELEMENTWISE:
                inputs = func(rows.inputs, *others, **kwargs)
                return copies_of(func(rows, *others, **kwargs), inputs, frozen=rows.frozen)
            with torch.set_grad_enabled(not rows.frozen):
                each = func(rows.detach(), *others, **kwargs)
            if func is torch.conv2d and _is_plain(rows.inputs, *others, **kwargs):
                weight = others[0] if others else kwargs["weight"]
                return _PlainConvolution.apply(rows.inputs, each, weight.detach())  # type: ignore[no-untyped-call]
            fixed = [_detached(each) for each in others]
            fixed_by_name = {key: _detached(each) for key, each in kwargs.items()}
            once = func(rows.inputs, *fixed, **fixed_by_name)
            return _SumOverCopies.apply(once, each)  # type: ignore[no-untyped-call]


class _SumOverCopies(torch.autograd.Function):
    """The rows as they are; the gradient of each goes to what it is a copy of, too."""

    @staticmethod
    def forward(ctx: Any, once: Tensor, rows: Tensor) -> Tensor:
        ctx.batch = len(once)
        ctx.mark_dirty(rows)
        return rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return _over_copies(gradient, ctx.batch), gradient


class _PlainConvolution(torch.autograd.Function):
    """The same for a convolution of stride 1 without padding, whose gradient is computed here.

    The library's takes several times as long where there are few channels: it fills them up to
    eight.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.batch = len(inputs)
        ctx.save_for_backward(weight)
        ctx.mark_dirty(rows)
        return rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (weight,) = ctx.saved_tensors
        total = _over_copies(gradient, ctx.batch)
        return _through_convolution(total, weight), gradient, None


def _over_copies(gradient: Tensor, batch: int) -> Tensor:
    """The sum over an input's copies, in the order that numbers have in memory."""
    last = gradient.ndim == 4 and gradient.is_contiguous(memory_format=torch.channels_last)
    rows = gradient.movedim(1, -1) if last else gradient
    total = rows.reshape(-1, batch, *rows.shape[1:]).sum(0)
    return total.movedim(-1, 1) if last else total


def _through_convolution(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the input: what each tap of the kernel adds to a shifted image."""
    outside, inside, height, width = weight.shape
    batch, _, below, beside = gradient.shape
    taps = weight.permute(2, 3, 1, 0).reshape(-1, outside) @ gradient.movedim(1, 0).flatten(1)
    taps = taps.view(height, width, inside, batch, below, beside)
    columns = taps.new_zeros((height, inside, batch, below, beside + width - 1))
    for j in range(width):
        columns[..., j : j + beside] += taps[:, j]
    image = taps.new_zeros((inside, batch, below + height - 1, beside + width - 1))
    for i in range(height):
        image[:, :, i : i + below] += columns[i]
    return image.movedim(0, 1)


_ELEMENTWISE = frozenset({Tensor.add, Tensor.sub, Tensor.mul, Tensor.div, Tensor.to})
_FEW = 3  # channels
_LAYERS = frozenset({torch.conv1d, torch.conv2d, torch.conv3d, linear})


def copies_of(rows: Tensor, inputs: Tensor, *, frozen: bool) -> Copies:
    """Rows `(draws * batch, *shape)`, the draws outermost, told that they are copies of inputs."""
    version = rows._version
    copies = rows.as_subclass(Copies)
    copies.inputs, copies.version, copies.frozen = inputs, version, frozen
    return copies


def _is_affine(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call maps each row of copies alike, and is affine in it."""
    if not args or (func not in _ELEMENTWISE and func not in _LAYERS):
        return False
    rows, *others = args
    if not isinstance(rows, Copies) or rows._version != rows.version:
        return False
    tensors = [each for each in (*others, *kwargs.values()) if isinstance(each, Tensor)]
    if any(isinstance(each, Copies) for each in tensors):
        return False
    if func in _ELEMENTWISE:  # with constants that are the same for each row
        return not any(
            each.requires_grad or (each.ndim >= rows.ndim and len(each) > 1) for each in tensors
        )
    # A convolution also takes one input, without a batch; then rows would be its channels.
    return bool(tensors) and rows.ndim == (2 if func is linear else tensors[0].ndim)


def _is_plain(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    """Whether `_through_convolution` gives the gradient of a convolution, and sooner."""
    return (
        inputs.device.type == "cpu"
        and weight.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and weight.shape[1] <= _FEW
        and groups == 1
        and {*_pair(stride), *_pair(dilation)} == {1}
        and {*_pair(padding)} == {0}
    )


def _pair(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def is_traced(module: nn.Module) -> bool:
    """Whether a tracer has taken a module's place; it would not know copies from other tensors."""
    traced = isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")
    return traced or module._compiled_call_impl is not None
