"""What the layers of a network do to an interval.

Each rule for an affine function charges its rounding as Higham 2002, section 3.1, bounds it: a sum
of n products, taken in any order, errs by less than `n * epsilon` times the sum of their absolute
values, with `epsilon` the distance from 1 to the next number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from radii.errors import BaseClassifierError
from radii.objectives._interval import Interval, no_rule, rule
from radii.objectives.copies import at_least_float32

_FEW = 8  # roundings of an affine function besides those of its sum


@rule("linear")
def _linear(x: Interval, weight: Tensor, bias: Tensor | None = None) -> Interval:
    out = _affine(x, weight, bias, functional.linear)
    return Interval(out.low, out.high, out.roundoff, (x, weight, bias))


@rule("conv2d")
def _conv2d(
    x: Interval, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Interval:
    def apply(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.conv2d(input, weight, bias, *args, **kwargs)

    return _affine(x, weight, bias, apply)


def _affine(
    x: Interval,
    weight: Tensor,
    bias: Tensor | None,
    apply: Callable[[Tensor, Tensor, Tensor | None], Tensor],
) -> Interval:
    """Centre and reach through the layer: Gowal et al. 2018, arXiv:1810.12715, section 3."""
    weight = x.cast(weight)
    bias = None if bias is None else x.cast(bias)
    centre = at_least_float32(apply(x.centre, weight, bias))
    reach = at_least_float32(apply(x.reach, weight.abs(), None))
    out = Interval(centre - reach, centre + reach, x.roundoff)
    if not x.roundoff:
        return out
    size = apply(x.centre.abs() + x.reach, weight.abs(), None if bias is None else bias.abs())
    return out.widened(size, weight[0].numel() + _FEW)


@rule("batch_norm")
def _batch_norm(
    x: Interval,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Interval:
    if training or running_mean is None or running_var is None:
        raise _in_training_mode("batch norm")
    axes = (1,) * (x.ndim - 2)
    mean = x.cast(running_mean).view(-1, *axes)
    scale = (x.cast(running_var) + eps).rsqrt()
    scale = (scale if weight is None else scale * x.cast(weight)).view(-1, *axes)
    shift = torch.zeros_like(mean) if bias is None else x.cast(bias).view(-1, *axes)
    centre, reach = (x.centre - mean) * scale + shift, x.reach * scale.abs()
    out = Interval(centre - reach, centre + reach, x.roundoff)
    if not x.roundoff:
        return out
    return out.widened((x.largest + mean.abs()) * scale.abs() + shift.abs(), 2 * _FEW)


@rule("dropout")
def _dropout(x: Interval, p: float = 0.5, training: bool = True, inplace: bool = False) -> Interval:
    if training and p > 0:
        raise _in_training_mode("dropout")
    return x


@rule("relu")
def _relu(x: Interval, inplace: bool = False) -> Interval:
    return x.each(functional.relu)


@rule("max_pool2d")
def _max_pool2d(x: Interval, *args: Any, **kwargs: Any) -> Interval:
    return x.each(lambda bound: functional.max_pool2d(bound, *args, **kwargs))


@rule("avg_pool2d")
def _avg_pool2d(x: Interval, kernel_size: Any, *args: Any, **kwargs: Any) -> Interval:
    sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size

    def pool(bound: Tensor) -> Tensor:
        return functional.avg_pool2d(bound, kernel_size, *args, **kwargs)

    return _mean(x, pool, math.prod(sides))


@rule("adaptive_avg_pool2d")
def _adaptive_avg_pool2d(x: Interval, output_size: Any) -> Interval:
    pool = partial(functional.adaptive_avg_pool2d, output_size=output_size)
    return _mean(x, pool, math.prod(x.shape[-2:]))


def _mean(x: Interval, pool: Callable[[Tensor], Tensor], terms: int) -> Interval:
    """Means of at most so many numbers."""
    out = x.each(pool)
    return out.widened(pool(x.largest), terms + _FEW) if x.roundoff else out


rule("flatten")(Interval.flatten)


@rule("add")
def _add(constant: Tensor, x: Interval) -> Interval:
    return x + constant  # an interval in front adds up by itself


@rule("cat")
def _cat(tensors: Sequence[Interval], dim: int = 0) -> Interval:
    if not all(isinstance(each, Interval) for each in tensors):
        raise no_rule("cat with a constant")
    low = torch.cat([each.low for each in tensors], dim)
    return Interval(low, torch.cat([each.high for each in tensors], dim), tensors[0].roundoff)


def propagated(module: Callable[[Any], Any], box: Interval) -> Interval:
    """The scores of a module over a box.

    Raises:
        BaseClassifierError: If the module does something that there is no rule for.
    """
    scores = module(box)
    if not isinstance(scores, Interval):
        raise BaseClassifierError(
            f"interval bounds need scores that depend on the input, got {type(scores).__name__}."
        )
    return scores


def worst_differences(scores: Interval, y: Tensor) -> Tensor:
    """The most by which the score of each class can exceed that of the label; 0 at the label.

    If the scores are the output of a linear layer, its rows are subtracted from each other before
    they are bounded, which is never worse than to subtract the bounds, and mostly better.

    Args:
        scores: `(batch, num_classes)`.
        y: `(batch,)` int64. Labels.

    Returns:
        `(batch, num_classes)`, float32 or float64.
    """
    own = y[:, None]
    if scores.layer is None:
        worst = scores.high - scores.low.gather(1, own)
        size, terms = scores.largest, 0
    else:
        x, weight, bias = scores.layer
        weight = x.cast(weight)
        bias = weight.new_zeros(len(weight)) if bias is None else x.cast(bias)
        less = weight - weight[y][:, None]
        worst = torch.einsum("bcf,bf->bc", less, x.centre) + bias - bias[own]
        worst = worst + torch.einsum("bcf,bf->bc", less.abs(), x.reach)
        size = functional.linear(x.centre.abs() + x.reach, weight.abs(), bias.abs())
        terms = weight.shape[1]
    if scores.roundoff:
        worst = worst + (terms + _FEW) * scores.roundoff * (size + size.gather(1, own))
    return at_least_float32(worst).scatter(1, own, 0.0)


def _in_training_mode(name: str) -> BaseClassifierError:
    return BaseClassifierError(
        f"interval bounds need {name} in evaluation mode, got training mode; "
        f"call base.eval() first."
    )
