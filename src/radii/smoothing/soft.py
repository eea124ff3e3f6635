"""The smoothed classifier as a differentiable module: an average of scores over fixed noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, log_softmax, nll_loss

Estimator = Literal["plug_in", "expectation"]


class SoftClassifier(nn.Module):
    """Log-probabilities of a batch of inputs, averaged over noise that does not change.

    Because the noise is fixed, equal inputs give equal answers, and an attack can follow the
    gradient.

    With "plug_in" the answer is the log of the mean probability, `log mean_i F(x + delta_i)`, where
    F is the softmax of the base classifier's scores. It is too low on average, and right as draws
    grow. With "expectation" it is the mean log, `mean_i log F(x + delta_i)`, the objective of
    expectation over transformation; it is never above the other, and its classes do not add up to
    one: minus the output of a class is its loss, as `attack_loss` tells attacks.

    Args:
        base: From `(rows, *shape)` to scores `(rows, num_classes)`; each row by itself, so a module
            with batch normalisation should be in evaluation mode. It is used as it is.
        delta: `(draws, batch, *shape)`. Noise, each input's own.
        estimator: What is averaged.

    Reference:
        Salman et al. 2019, arXiv:1906.04584 (plug-in); Athalye et al. 2018, arXiv:1707.07397
        (expectation over transformation).

    Example:
        >>> delta = torch.tensor([[[-1.0]], [[1.0]]])
        >>> soft = SoftClassifier(lambda x: torch.cat([x, -x], dim=1), delta)
        >>> soft(torch.zeros(1, 1)).exp()
        tensor([[0.5000, 0.5000]])
    """

    delta: Tensor

    def __init__(
        self, base: Callable[[Tensor], Any], delta: Tensor, estimator: Estimator = "plug_in"
    ) -> None:
        super().__init__()
        if estimator not in get_args(Estimator):
            raise ValueError(f"estimator must be plug_in or expectation, got {estimator!r}")
        if delta.ndim < 3 or not len(delta):
            raise ValueError(
                f"delta must have shape (draws, batch, *shape), got {tuple(delta.shape)}"
            )
        self.base = base
        self.register_buffer("delta", delta, persistent=False)
        self.estimator = estimator
        self.training = isinstance(base, nn.Module) and base.training
        self._eager = isinstance(base, nn.Module) and not any(map(_compiled, base.modules()))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, num_classes)`, float32 or float64; one pass of the base."""
        if x.shape != self.delta.shape[1:]:
            raise ValueError(
                f"x must have shape {tuple(self.delta.shape[1:])}, as the noise has, "
                f"got {tuple(x.shape)}"
            )
        rows = (x + self.delta).flatten(0, 1)
        if self._eager and len(self.delta) > 1 and rows.requires_grad:
            rows = _copies(rows, x)
        scores: Tensor = self.base(rows)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        each = log_softmax(scores, dim=1).reshape(*self.delta.shape[:2], -1)
        if self.estimator == "expectation":
            return each.mean(0)
        return each.logsumexp(0) - math.log(len(self.delta))

    def attack_loss(self, scores: Tensor, y: Tensor) -> Tensor:
        """What attacks raise: `(batch, num_classes)` outputs and labels to `(batch,)` losses."""
        return nll_loss(scores, y, reduction="none")


class _Copies(Tensor):
    """Noisy copies of inputs that know these, for a gradient through the first layer at less cost.

    The gradient of an affine layer with respect to an input is one linear map of the sum over the
    input's copies. So it is applied to one row an input and not to one row a copy; in a small
    convolutional network it is the most expensive step of all. Values stay as they are, and to
    every other function these rows are just `x + delta`.
    """

    inputs: Tensor  # `(batch, *shape)`
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
                return _copies(func(rows, *others, **kwargs), func(rows.inputs, *others, **kwargs))
            fixed = [_detached(each) for each in others]
            fixed_by_name = {key: _detached(each) for key, each in kwargs.items()}
            once = func(rows.inputs, *fixed, **fixed_by_name)
            return _SumOverCopies.apply(  # type: ignore[no-untyped-call]
                once, func(rows.detach(), *others, **kwargs)
            )


class _SumOverCopies(torch.autograd.Function):
    """The rows as they are; the gradient of each goes to what it is a copy of, too."""

    @staticmethod
    def forward(ctx: Any, once: Tensor, rows: Tensor) -> Tensor:
        ctx.batch = len(once)
        ctx.mark_dirty(rows)
        return rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient.reshape(-1, ctx.batch, *gradient.shape[1:]).sum(0), gradient


_ELEMENTWISE = frozenset({Tensor.add, Tensor.sub, Tensor.mul, Tensor.div, Tensor.to})
_LAYERS = frozenset({torch.conv1d, torch.conv2d, torch.conv3d, linear})


def _copies(rows: Tensor, inputs: Tensor) -> _Copies:
    version = rows._version
    copies = rows.as_subclass(_Copies)
    copies.inputs, copies.version = inputs, version
    return copies


def _is_affine(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call maps each row of copies alike, and is affine in it."""
    if func not in _ELEMENTWISE and func not in _LAYERS:
        return False
    rows, *others = args
    if not isinstance(rows, _Copies) or rows._version != rows.version:
        return False
    tensors = [each for each in (*others, *kwargs.values()) if isinstance(each, Tensor)]
    if any(isinstance(each, _Copies) for each in tensors):
        return False
    if func in _ELEMENTWISE:  # with constants that are the same for each row
        return not any(
            each.requires_grad or (each.ndim >= rows.ndim and len(each) > 1) for each in tensors
        )
    # A convolution also takes one input, without a batch; then rows would be its channels.
    return bool(tensors) and rows.ndim == (2 if func is linear else tensors[0].ndim)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _compiled(module: nn.Module) -> bool:
    """Whether a tracer has taken a module's place; it would not know copies from other tensors."""
    traced = isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")
    return traced or module._compiled_call_impl is not None
