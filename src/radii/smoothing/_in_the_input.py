"""The gradient of a model in its input and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from radii.errors import BaseClassifierError

NO_GRADIENTS = "the attacks stein and boundary need no gradients."


class InTheInput(torch.autograd.Function):
    """A function of one tensor; whatever else it depends on, parameters too, gets no gradient.

    What the function keeps for its gradient is let go on the first way back. Another one through
    the same output calls the function again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """`function(x)`."""
        ctx.leaf = x.detach().requires_grad_()
        ctx.function = function
        with torch.enable_grad():
            ctx.outputs = function(ctx.leaf)
        found: Tensor = ctx.outputs.detach()
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient in `x`."""
        outputs, ctx.outputs = ctx.outputs, None
        if outputs is None:
            with torch.enable_grad():
                outputs = ctx.function(ctx.leaf)
        (found,) = torch.autograd.grad(outputs, [ctx.leaf], gradient, allow_unused=True)
        if found is None:
            raise not_differentiable()
        return found, None


def not_differentiable() -> BaseClassifierError:
    """What is raised where the scores of a base classifier do not lead to its input."""
    return BaseClassifierError(
        f"the scores of the base classifier must be differentiable in its input, got scores "
        f"without a gradient; compute them in torch, without detach and no_grad, or take another "
        f"attack: {NO_GRADIENTS}"
    )
