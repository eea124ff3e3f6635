"""Easy draws where the classifier is unsure, adversarial ones where it is sure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from radii.attacks.base import check_numbers, check_steps, into_l2_ball, normalised
from radii.objectives._ascent import additive, check_strength, searching
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32, check_draws
from radii.smoothing import SmoothedClassifier

Target = Literal["label", "prediction"]


@OBJECTIVES.register("catrs")
@dataclass(frozen=True)
class CATRS(Objective):
    """Confidence-aware training: only as many noisy copies as the classifier may get right.

    With `phat` the share of the `draws` noisy copies of an input that get the label, and
    `K ~ Bin(draws, phat)`, at least 1, the loss is the sum of the K smallest of its cross entropies
    over `draws`. An input with `K = draws` adds `strength * max_i KL(p || F(x + e_i))`, `F` being
    the softmax of the base classifier. `e_i` starts at the noise `delta_i` and takes `steps` steps
    of length `2 epsilon / steps` up that divergence. After each it is brought into the l2 ball of
    radius `epsilon` around `delta_i`, and then its coordinates are shifted and scaled to the mean
    and standard deviation of those of `delta_i`, so that it stays as probable; this may leave the
    ball a little, and with fewer than 3 coordinates nothing is left to search. The mean is over all
    inputs of the batch. Needs additive noise.

    Where there is a choice, this is what the authors' code does: K is at least 1, as otherwise an
    untrained classifier would learn nothing; `phat` counts labels, it is not a mean softmax; the
    divergence has `p` first, so zeros in `p` do no harm; the search runs in evaluation mode.

    Three things differ. There `p` is the vote shares of another classifier, trained with Gaussian
    noise of sigma 0.25, in 10,000 draws, prepared for each training example beforehand; here it is
    what `target` says. On data which that classifier nearly always gets right, as MNIST, its shares
    are close to the label. The scaling there is by the root mean square, which does not quite
    restore it. And inputs with `K < draws` are not attacked here, as nothing of it would count.

    Attributes:
        draws: The paper's M, noisy copies of each input.
        strength: The paper's lambda.
        epsilon: The largest l2 distance from the noise that was drawn, in units of the input.
        steps: Of the search, each with one pass forwards and one backwards.
        target: What `p` is: "label" puts all of it on the label, so the divergence is the cross
            entropy; "prediction" takes the mean softmax over the noisy copies, without a gradient.

    Reference:
        Jeong, Kim and Shin 2023, arXiv:2212.09000.
    """

    draws: int = 4
    strength: float = 1.0
    epsilon: float = 1.0
    steps: int = 4
    target: Target = "label"
    examples = (
        {"epsilon": 0.25, "steps": 2},
        {"draws": 2, "strength": 0.5, "epsilon": 0.5, "steps": 3, "target": "prediction"},
    )

    def __post_init__(self) -> None:
        check_draws(self.draws, least=2)
        check_strength(self.strength)
        check_numbers(epsilon=self.epsilon)
        check_steps(self.steps)
        if self.target not in get_args(Target):
            raise ValueError(f"target must be label or prediction, got {self.target!r}")

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`.

        Raises:
            TrainingError: If the noise is not additive.
        """
        noise = additive(smoothed.noise, "catrs")
        delta = noise.draw((self.draws * len(x), *x.shape[1:]), generator=generator)
        delta = delta.reshape(self.draws, *x.shape)
        scores = _scores(smoothed.base, x, delta)
        each = cross_entropy(scores.flatten(0, 1), y.repeat(self.draws), reduction="none")
        each = each.reshape(self.draws, len(x))
        share = (scores.argmax(-1) == y).float().mean(0)
        uniform = torch.rand(each.shape, generator=generator, device=x.device)
        kept = (uniform < share).sum(0).clamp(min=1)
        rank = torch.arange(self.draws, device=x.device)[:, None]
        low = torch.where(rank < kept, each.sort(dim=0).values, 0.0).mean()
        if self.strength == 0:
            return low
        if self.target == "label":
            p = one_hot(y, scores.shape[-1]).to(scores.dtype)
        else:
            p = scores.detach().softmax(dim=-1).mean(0)
        sure = kept == self.draws
        chosen = sure.nonzero()[:, 0]
        if len(chosen):
            found = self._worst(smoothed.base, x[chosen].detach(), delta[:, chosen], p[chosen])
            delta[:, chosen] = found
        log_q = log_softmax(_scores(smoothed.base, x, delta), dim=-1)
        divergence = (torch.xlogy(p, p) - p * log_q).sum(-1).max(dim=0).values
        return low + self.strength * torch.where(sure, divergence, 0.0).mean()

    def _worst(self, base: Callable[[Tensor], Any], x: Tensor, delta: Tensor, p: Tensor) -> Tensor:
        """The `e_i` of inputs `(batch, *shape)` with noise `(draws, batch, *shape)`, detached."""
        drawn = delta.flatten(0, 1)
        found = drawn
        with searching(base, x):
            for _ in range(self.steps):
                leaf = found.reshape(delta.shape).requires_grad_()
                log_q = log_softmax(_scores(base, x, leaf), dim=-1)
                (gradient,) = torch.autograd.grad(-(p * log_q).sum(), [leaf])
                ascent = normalised(gradient.flatten(0, 1))
                moved = found + 2 * self.epsilon / self.steps * ascent - drawn
                found = _as_probable(drawn + into_l2_ball(moved, self.epsilon), drawn)
        return found.reshape(delta.shape)


def _scores(base: Callable[[Tensor], Any], x: Tensor, delta: Tensor) -> Tensor:
    """`(draws, batch, num_classes)` scores of `x + delta`, float32 or float64."""
    scores = at_least_float32(base((x + delta).flatten(0, 1)))
    return scores.reshape(*delta.shape[:2], -1)


def _as_probable(z: Tensor, drawn: Tensor) -> Tensor:
    """`z` with the mean and the standard deviation of `drawn`, row by row."""
    (mean, std), (mean_drawn, std_drawn) = _moments(z), _moments(drawn)
    return mean_drawn + (z - mean) * (std_drawn / torch.where(std > 0, std, 1.0))


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each row's coordinates, `(rows, 1, ..., 1)`."""
    rest = tuple(range(1, z.ndim))
    return z.mean(dim=rest, keepdim=True), z.std(dim=rest, correction=0, keepdim=True)
