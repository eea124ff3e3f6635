"""An attack on a smoothed classifier whose base classifier has no gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from radii.attacks.base import (
    ATTACKS,
    Attack,
    Found,
    Needs,
    check_bounds,
    check_inputs,
    check_numbers,
    check_share,
    check_steps,
    into_box,
    into_l2_ball,
    normalised,
    perturbed,
)
from radii.errors import BaseClassifierError
from radii.records import Norm

Base = Callable[[Tensor], Any]


@ATTACKS.register("stein")
@dataclass(frozen=True)
class Stein(Attack):
    """Projected gradient descent in l2 on a Gaussian average of scores, from scores alone.

    By Stein's lemma the gradient of the smoothed probability of the label,
    `p(x) = E F_y(x + delta)` with `delta ~ N(0, sigma^2 I)`, is `E[delta F_y(x + delta)] /
    sigma^2`, whatever F is. A mean over draws estimates it without bias; the attack steps against
    it. F is the softmax of the base classifier's scores or, where this gives whole-number labels,
    1 for the label and 0 else: then p is the probability that certification counts votes for.

    The variance grows with the dimension and is reported: `gradient_variance` is that of the mean
    at the last step, summed over coordinates and divided by the squared length of the mean. It is
    small where the direction is known well and near 1 where it is noise. `label_probability` is the
    estimate of p at the point found, from as many new draws as a step takes.

    Attributes:
        epsilon: Radius of the l2 ball.
        sigma: Standard deviation of the noise that the attacked classifier is smoothed with.
        draws: Noisy copies of each input in a step, each one query of the base classifier.
        steps: How many.
        step: The length of a step; None takes `2 epsilon / steps`.
        antithetic: Take noise in pairs of delta and -delta, so that what is alike on both sides
            cancels; `draws` must then be even.
        low: The smallest value of a coordinate, or None; see `Attack`.
        high: The largest value of a coordinate, or None; see `Attack`.
        chunk: The most rows in one pass of the base classifier; it moves results by rounding alone.

    Reference:
        Salman et al. 2019, arXiv:1906.04584, section 3 and appendix; Stein 1981,
        doi:10.1214/aos/1176345632, Lemma 1.

    Example:
        >>> def right_half(x):
        ...     return (x[:, 0] > 0).long()
        >>> x, y = torch.tensor([[0.2, 0.8]]), torch.tensor([1])
        >>> attack = Stein(epsilon=0.5, sigma=0.5, draws=2000)
        >>> found = attack.perturb(right_half, x, y, generator=torch.Generator().manual_seed(0))
        >>> found.round(decimals=1)
        tensor([[-0.3000,  0.8000]])
    """

    epsilon: float
    sigma: float
    draws: int = 1000
    steps: int = 20
    step: float | None = None
    antithetic: bool = True
    low: float | None = None
    high: float | None = None
    chunk: int = 4096
    norm: ClassVar[Norm] = "l2"
    needs: ClassVar[Needs] = "base"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"epsilon": 0.5, "sigma": 0.5},
        {"epsilon": 0.25, "sigma": 1.0, "draws": 3000, "steps": 10, "step": 0.1, "chunk": 500},
    )

    def __post_init__(self) -> None:
        check_numbers(epsilon=self.epsilon, sigma=self.sigma, step=self.step)
        check_steps(self.steps)
        check_bounds(self.low, self.high)
        if self.antithetic and (self.draws < 4 or self.draws % 2):
            raise ValueError(f"draws in pairs must be even and at least 4, got {self.draws!r}")
        if self.draws < 2:
            raise ValueError(f"draws must be at least 2, got {self.draws!r}")
        if self.chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {self.chunk!r}")

    @torch.no_grad()
    def search(self, model: Base, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The last point of the search; see `Attack.search`.

        Args:
            model: The base classifier, from `(rows, *shape)` to scores `(rows, num_classes)` or
                whole-number labels `(rows,)`.
            x: `(batch, *shape)` floating point.
            y: `(batch,)` int64.
            generator: Where the noise comes from; on the device of `x`.

        Raises:
            ValueError: If inputs are outside [`low`, `high`].
            BaseClassifierError: If the model gives neither scores nor labels.
        """
        check_inputs(x, y, self.low, self.high)
        x = x.detach()
        step = 2 * self.epsilon / self.steps if self.step is None else self.step
        delta = torch.zeros_like(x)
        variance = x.new_ones(len(x))
        for _ in range(self.steps):
            gradient, variance, _ = self.gradient(model, x + delta, y, generator=generator)
            moved = into_box(delta - step * normalised(gradient), x, self.low, self.high)
            delta = into_l2_ball(moved, self.epsilon)
        _, _, probability = self.gradient(model, x + delta, y, generator=generator)
        return Found(
            perturbed(x, delta, self.low, self.high),
            torch.full_like(y, (self.steps + 1) * self.draws),
            {"gradient_variance": variance, "label_probability": probability},
        )

    @torch.no_grad()
    def gradient(
        self, model: Base, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The estimated gradient of the smoothed probability of the label, and what it is worth.

        Returns:
            `(batch, *shape)` gradients, each unbiased; `(batch,)` variances relative to the squared
            length of the gradient, 1 where that is zero; `(batch,)` estimates of the probability.
        """
        wide = torch.promote_types(x.dtype, torch.float32)
        total = torch.zeros_like(x, dtype=wide)
        squares, probability = total.new_zeros(len(x)), total.new_zeros(len(x))
        sides = 2 if self.antithetic else 1
        terms = self.draws // sides
        at_once = max(1, self.chunk // max(1, sides * len(x)))
        for first in range(0, terms, at_once):
            count = min(at_once, terms - first)
            # One draw after another: how many are looked at in a pass changes none of them.
            noise = torch.stack(
                [torch.empty_like(x).normal_(generator=generator) for _ in range(count)]
            )
            noise *= self.sigma
            signed = torch.stack([noise, -noise]) if self.antithetic else noise[None]
            scores = self._scores(model, (x + signed).flatten(0, 2), y.repeat(sides * count))
            scores = scores.to(wide).reshape(sides, count, len(x))
            weights = (scores[0] - scores[1]) / 2 if self.antithetic else scores[0]
            weights = weights / self.sigma**2
            each = weights.reshape(count, len(x), *(1,) * (x.ndim - 1)) * noise.to(wide)
            total += each.sum(0)
            squares += each.square().sum((0, *range(2, each.ndim)))
            probability += scores.sum((0, 1))
        mean = total / terms
        length = mean.flatten(1).square().sum(1)
        spread = (squares / terms - length).clamp(min=0) / (terms - 1)
        variance = torch.where(length > 0, spread / torch.where(length > 0, length, 1), 1)
        return mean.to(x.dtype), variance, probability / self.draws

    def scaled(self, share: float) -> Self:
        """Radius and length of a step, times `share`; see `Attack.scaled`."""
        check_share(share)
        step = None if self.step is None else share * self.step
        return replace(self, epsilon=share * self.epsilon, step=step)

    def _scores(self, model: Base, rows: Tensor, labels: Tensor) -> Tensor:
        """`(rows,)` scores of labels, in passes of at most `chunk` rows."""
        parts = zip(torch.split(rows, self.chunk), torch.split(labels, self.chunk), strict=True)
        return torch.cat([_score_of(model(part), label) for part, label in parts])


def _score_of(given: Any, y: Tensor) -> Tensor:
    """`(rows,)` softmax scores of labels, or whether the answers are the labels."""
    answer: Tensor = torch.as_tensor(given, device=y.device)
    if answer.shape == y.shape and not answer.is_floating_point():
        return (answer == y).float()
    if answer.ndim != 2 or len(answer) != len(y) or not answer.is_floating_point():
        raise BaseClassifierError(
            f"the base classifier must give scores ({len(y)}, num_classes) or whole-number labels "
            f"({len(y)},), got {answer.dtype} of shape {tuple(answer.shape)}."
        )
    scores = answer.to(torch.promote_types(answer.dtype, torch.float32)).softmax(1)
    return scores.gather(1, y[:, None])[:, 0]
