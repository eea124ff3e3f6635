"""The smoothed classifier as a differentiable module: an average of scores over noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from radii._allocator import keep_freed_memory
from radii.errors import BaseClassifierError
from radii.smoothing._copies import copies_of, is_traced
from radii.smoothing._in_the_input import NO_GRADIENTS, InTheInput, not_differentiable
from radii.smoothing.estimators import AVERAGES, Estimator

ROWS_APART = 64  # that are worth a pass of their own
NUMBERS_AT_ONCE = 1 << 21  # in the noisy inputs of one pass of the base, unless one row has more


class SoftClassifier(nn.Module):
    """Scores of a batch of inputs, averaged over noise.

    While the noise is fixed, equal inputs give equal answers, and an attack can follow the
    gradient. F is the softmax of the base classifier's scores, `pA_hat = mean_i F(x + delta_i)` its
    mean for each class. The estimators and what attacks raise (`attack_loss`), with `y` the label:

    - "plug_in": `log pA_hat`, and minus its entry for `y`. It is too low on average, and right as
      draws grow.
    - "expectation": `mean_i log F(x + delta_i)`, and minus its entry for `y`; expectation over
      transformation. It is never above "plug_in", and its classes do not add up to one.
    - "logits": the mean of the scores themselves, and its cross entropy.
    - "margin": the normal quantile `Phi^-1(pA_hat)`, and its largest entry of another class minus
      that of `y`. In expectation over Gaussian noise each entry, times sigma, is 1-Lipschitz in l2,
      so this loss grows by at most `2 epsilon / sigma` within a ball of radius epsilon. It is
      computed from logs of probabilities: finite, with a gradient, where these round to 0 or 1.

    Args:
        base: From `(rows, *shape)` to scores `(rows, num_classes)`; each row by itself, so a module
            with batch normalisation should be in evaluation mode. It is used as it is.
        delta: `(draws, batch, *shape)`. Noise, each input's own.
        estimator: What is averaged.
        chunk: Rows of the base in one pass, at most; None takes all of them at once. With several
            passes the gradient is the same, but each pass is done again on the way back, which
            keeps the activations of one in memory at a time.
        fresh: Makes other noise of the same shape, for each forward pass; None keeps `delta`.
        frozen: Whether parameters count as constants, so that nobody's `backward` computes their
            gradients or leaves these behind; the first derivative in the input is all there is.

    Reference:
        Salman et al. 2019, arXiv:1906.04584 (plug-in; Lemma 2 for the margin); Athalye et al. 2018,
        arXiv:1707.07397 (expectation over transformation).

    Example:
        >>> delta = torch.tensor([[[-1.0]], [[1.0]]])
        >>> soft = SoftClassifier(lambda x: torch.cat([x, -x], dim=1), delta)
        >>> soft(torch.zeros(1, 1)).exp()
        tensor([[0.5000, 0.5000]])
    """

    delta: Tensor

    def __init__(
        self,
        base: Callable[[Tensor], Any],
        delta: Tensor,
        estimator: Estimator = "plug_in",
        *,
        chunk: int | None = None,
        fresh: Callable[[], Tensor] | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        keep_freed_memory()
        if estimator not in AVERAGES:
            raise ValueError(f"estimator must be one of {', '.join(AVERAGES)}, got {estimator!r}")
        if delta.ndim < 3 or not len(delta):
            raise ValueError(
                f"delta must have shape (draws, batch, *shape), got {tuple(delta.shape)}"
            )
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk!r}")
        self.base = base
        self.register_buffer("delta", delta, persistent=False)
        self.estimator: Estimator = estimator
        self.chunk = chunk
        self.fresh = fresh
        self.training = isinstance(base, nn.Module) and base.training
        self._eager = isinstance(base, nn.Module) and not any(map(is_traced, base.modules()))
        self.frozen = frozen

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, num_classes)`, float32 or float64.

        Raises:
            BaseClassifierError: If the base classifier answers labels, or scores without a gradient
                where one is asked for.
        """
        if x.shape != self.delta.shape[1:]:
            raise ValueError(
                f"x must have shape {tuple(self.delta.shape[1:])}, as the noise has, "
                f"got {tuple(x.shape)}"
            )
        if self.fresh is not None:
            self.delta = self.fresh().to(self.delta)
        if self.frozen and x.requires_grad and torch.is_grad_enabled():
            size = self._inputs_apart(x)
            parts = torch.split(self.delta, size, dim=1)
            outputs: Tensor = InTheInput.apply(  # type: ignore[no-untyped-call]
                x, [partial(self._outputs, delta=part) for part in parts], size
            )
            return outputs
        return self._outputs(x, self.delta)

    def attack_loss(self, scores: Tensor, y: Tensor) -> Tensor:
        """What attacks raise: `(batch, num_classes)` outputs and labels to `(batch,)` losses."""
        return AVERAGES[self.estimator].loss(scores, y)

    def _inputs_apart(self, x: Tensor) -> int:
        """How many inputs have a pass of their own, on a core of their own.

        All of them together where a pass may not see only some of the rows, or must run in this
        thread. It follows from the number of draws alone, so answers do not depend on the cores.
        """
        apart = (
            x.device.type == "cpu"
            and self._eager
            and isinstance(self.base, nn.Module)
            and not any(module.training for module in self.base.modules())
            and not torch.is_autocast_enabled("cpu")
        )
        return max(1, ROWS_APART // len(self.delta)) if apart else len(x)

    def _outputs(self, x: Tensor, delta: Tensor) -> Tensor:
        draws, batch = delta.shape[:2]
        average = AVERAGES[self.estimator].of
        if self.chunk is None or self.chunk >= draws * batch:
            return average(self._scores(x, delta))
        inputs = max(1, self.chunk // draws)  # in a pass; one, with some of its draws, if need be
        parts = zip(torch.split(x, inputs), torch.split(delta, inputs, dim=1), strict=True)
        return torch.cat([average(self._in_passes(*part, self.chunk // inputs)) for part in parts])

    def _in_passes(self, x: Tensor, delta: Tensor, draws: int) -> Tensor:
        """Scores of so many draws in a pass, each of which is done again for a gradient."""
        return torch.cat(
            [
                checkpoint(self._scores, x, part, use_reentrant=False)
                for part in torch.split(delta, draws)
            ]
        )

    def _scores(self, x: Tensor, delta: Tensor) -> Tensor:
        """`(draws, batch, num_classes)`, float32 or float64; one pass of the base."""
        rows = (x + delta).flatten(0, 1)
        if self._eager and len(delta) > 1 and rows.requires_grad:
            rows = copies_of(rows, x, frozen=self.frozen)
        scores = self._classify(rows)
        if rows.requires_grad and not scores.requires_grad:
            raise not_differentiable()
        return scores.reshape(*delta.shape[:2], -1)

    def _classify(self, rows: Tensor) -> Tensor:
        scores = torch.as_tensor(self.base(rows), device=rows.device)
        if scores.ndim != 2 or len(scores) != len(rows) or not scores.is_floating_point():
            raise BaseClassifierError(
                f"the base classifier must answer scores of shape ({len(rows)}, num_classes) to be "
                f"differentiable, got {scores.dtype} of shape {tuple(scores.shape)}; for one that "
                f"answers labels, {NO_GRADIENTS}"
            )
        return scores.to(torch.promote_types(scores.dtype, torch.float32))


def suitable_chunk(delta: Tensor) -> int | None:
    """Rows in one pass that bound the memory of the activations; None for all of them at once.

    A pass has at most 2,097,152 numbers of noisy inputs: 2,674 images of MNIST, 682 of CIFAR-10, 13
    of 3 x 224 x 224.
    """
    rows = max(1, NUMBERS_AT_ONCE // math.prod(delta.shape[2:]))
    return None if rows >= delta.shape[0] * delta.shape[1] else rows
