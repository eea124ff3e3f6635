"""How scores under noise become those of a smoothed classifier, and what attacks then raise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

Estimator = Literal["plug_in", "expectation", "logits", "margin"]

_LEAST_LOG = -1e30  # of a probability; the square of its normal quantile fits into a float32
_NEWTON_STEPS = 5  # to 1e-14 from the bound where they start
_ROOT_TWO = math.sqrt(2)


@dataclass(frozen=True)
class Average:
    """An average over draws.

    Attributes:
        of: From scores `(draws, batch, num_classes)` to outputs `(batch, num_classes)`.
        loss: From these and labels `(batch,)` to `(batch,)` losses, which attacks raise.
    """

    of: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]


def normal_quantile(log_p: Tensor) -> Tensor:
    """The normal quantile of a probability of at most 1/2, from its log.

    Differentiable, with a gradient that does not vanish where the probability underflows: that of
    the quantile in the log is Mills' ratio, about `1/|z|` at a quantile z far from 0.

    Args:
        log_p: Float32 or float64, from -1e30 to log(1/2).

    Returns:
        Of the shape of `log_p`, at most 0 up to rounding; the relative error is that of the type.
    """
    found: Tensor = _NormalQuantile.apply(log_p)  # type: ignore[no-untyped-call]
    return found


class _NormalQuantile(torch.autograd.Function):
    """Newton's method on the log of the normal distribution function, from below.

    That function is concave and `Phi(-t) <= exp(-t^2 / 2)`, so no step goes too far.
    """

    @staticmethod
    def forward(ctx: Any, log_p: Tensor) -> Tensor:
        z = -(-2 * log_p).sqrt()
        for _ in range(_NEWTON_STEPS):
            z = z - (torch.special.log_ndtr(z) - log_p) * _mills_ratio(z)
        ctx.save_for_backward(z)
        return z

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return gradient * _mills_ratio(z)


def _mills_ratio(z: Tensor) -> Tensor:
    """`Phi(z) / phi(z)`, the distribution function over the density."""
    ratio: Tensor = math.sqrt(math.pi / 2) * torch.special.erfcx(-z / _ROOT_TWO)
    return ratio


def _log_mean(log_p: Tensor) -> Tensor:
    return log_p.logsumexp(0) - math.log(len(log_p))


def _plug_in(scores: Tensor) -> Tensor:
    return _log_mean(log_softmax(scores, dim=2))


def _expectation(scores: Tensor) -> Tensor:
    return log_softmax(scores, dim=2).mean(0)


def _logits(scores: Tensor) -> Tensor:
    return scores.mean(0)


def _margin(scores: Tensor) -> Tensor:
    """Where a class has more than half, the quantile of the others' sum, with the sign changed."""
    log_p = _log_mean(log_softmax(scores, dim=2).clamp(min=_LEAST_LOG)).clamp(max=0)
    top = log_p.argmax(1, keepdim=True)
    others = log_p.scatter(1, top, -math.inf).logsumexp(1, keepdim=True)
    above_half = log_p > others  # of no class but the top one: the others are at least as likely
    z = normal_quantile(torch.where(above_half, others, log_p))
    return torch.where(above_half, -z, z)


def _log_loss(log_p: Tensor, y: Tensor) -> Tensor:
    return nll_loss(log_p, y, reduction="none")


def _cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(scores, y, reduction="none")


def _minus_margin(z: Tensor, y: Tensor) -> Tensor:
    label = y[:, None]
    others = z.scatter(1, label, -math.inf).amax(1)
    return others - z.gather(1, label)[:, 0]


AVERAGES: Mapping[Estimator, Average] = {
    "plug_in": Average(_plug_in, _log_loss),
    "expectation": Average(_expectation, _log_loss),
    "logits": Average(_logits, _cross_entropy),
    "margin": Average(_margin, _minus_margin),
}
