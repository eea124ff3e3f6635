"""The gradient of a model in its input and in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from radii.errors import BaseClassifierError
from radii.smoothing._cores import on_cores

NO_GRADIENTS = "the attacks stein and boundary need no gradients."


class InTheInput(torch.autograd.Function):
    """Functions of parts of a tensor; what else they depend on, parameters too, gets no gradient.

    The parts are computed side by side on the cores, on both ways. What the functions keep for
    their gradient is let go on the first way back. Another one through the same output calls them
    again.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, functions: Sequence[Callable[[Tensor], Tensor]], size: int
    ) -> Tensor:
        """The answers to the parts of `x` along its first axis, of that size but for the last."""
        leaves = [part.detach().requires_grad_() for part in torch.split(x, size)]
        ctx.again = [partial(_answer, *each) for each in zip(functions, leaves, strict=True)]
        ctx.leaves, ctx.outputs = leaves, on_cores(ctx.again)
        return torch.cat([each.detach() for each in ctx.outputs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient in `x`."""
        outputs, ctx.outputs = ctx.outputs, None
        if outputs is None:
            outputs = on_cores(ctx.again)
        parts = torch.split(gradient, len(ctx.leaves[0]))
        found = on_cores(
            [
                partial(torch.autograd.grad, output, [leaf], part, allow_unused=True)
                for output, leaf, part in zip(outputs, ctx.leaves, parts, strict=True)
            ]
        )
        if any(each is None for (each,) in found):
            raise not_differentiable()
        return torch.cat([each for (each,) in found]), None, None


def _answer(function: Callable[[Tensor], Tensor], leaf: Tensor) -> Tensor:
    with torch.enable_grad():
        return function(leaf)


def not_differentiable() -> BaseClassifierError:
    """What is raised where the scores of a base classifier do not lead to its input."""
    return BaseClassifierError(
        f"the scores of the base classifier must be differentiable in its input, got scores "
        f"without a gradient; compute them in torch, without detach and no_grad, or take another "
        f"attack: {NO_GRADIENTS}"
    )
