"""Training steps as the papers' scripts take them, to measure against; a module, not a benchmark.

Written anew after the scripts of Cohen et al., Salman et al., Zhai et al., Jeong and Shin, Jeong et
al. (SmoothMix) and Jeong, Kim and Shin (CAT-RS), and as slow as they are on purpose: float32 and
NCHW, worker processes that hand over one input at a time, fresh copies of the inputs for each draw,
passes of their own for each draw where the scripts have them, noise from the global generator,
attacks on a leaf with an optimiser of its own, and meters that wait for every step. As in the
scripts, an attack freezes the weights; `SmoothAdvStep(frozen=False)` leaves that out, so that each
of its steps also computes the gradients of all weights.

What is computed is what `radii.objectives` computes. Where its documentation names a difference
from a script, its choice is taken: DDN does not round to 256 levels, asks the mean softmax for the
answer and keeps the last perturbation where none was wrong; CAT-RS has the label for a target and
restores the standard deviation. None of this costs or saves a pass.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from published_loop import as_published
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader


def as_in_scripts(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a network, as the scripts train it."""
    return as_published(module).to(device).train()


class Meter:
    """A mean that is kept on the host."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def update(self, value: Tensor, count: int) -> None:
        """Waits for the value."""
        self.sum += value.item() * count
        self.count += count


class Scored(NamedTuple):
    """What a loss leaves for the meters.

    Attributes:
        loss: `()`.
        scores: `(rows, num_classes)`.
        labels: `(rows,)`.
        examples: `(rows, *shape)` without their noise, that the scores are of, if the script has
            searched for them.
    """

    loss: Tensor
    scores: Tensor
    labels: Tensor
    examples: Tensor | None = None


@dataclass
class PublishedStep(ABC):
    """The step of a script.

    Attributes:
        base: The network.
        sigma: Of the noise.
        draws: Noisy copies of each input.
        normal: Standard normal numbers in the shape of its argument.
        splits: Whether the script splits a batch into `draws` parts and takes a step for each.
        counts: Whether it counts correct answers.
    """

    base: nn.Module
    sigma: float
    draws: int = 1
    normal: Callable[[Tensor], Tensor] = torch.randn_like
    splits: ClassVar[bool] = True
    counts: ClassVar[bool] = True

    @property
    def parts(self) -> int:
        """Into which the script splits a batch."""
        return self.draws if self.splits else 1

    @abstractmethod
    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """The loss of `(batch, *shape)` and labels `(batch,)`."""

    def noises(self, x: Tensor) -> list[Tensor]:
        """One noise after the other, in the shape of `x`."""
        return [self.normal(x) * self.sigma for _ in range(self.draws)]

    def run(
        self, loader: DataLoader[Any], optimiser: torch.optim.Optimizer, device: torch.device
    ) -> Iterator[int]:
        """One epoch; tells the inputs of each step."""
        losses, top1, top5 = Meter(), Meter(), Meter()
        for x, y in loader:
            count = len(x) // self.parts
            for start in range(0, count * self.parts, count):
                part_x = x[start : start + count].to(device)
                scored = self.loss(part_x, y[start : start + count].to(device))
                losses.update(scored.loss, count)
                if self.counts:
                    with torch.no_grad():
                        best = scored.scores.topk(5, 1).indices.t()
                        hits = best.eq(scored.labels.view(1, -1).expand_as(best))
                        rows = len(scored.scores)
                        top1.update(hits[:1].reshape(-1).float().sum(0) / rows, count)
                        top5.update(hits[:5].reshape(-1).float().sum(0) / rows, count)
                optimiser.zero_grad()
                scored.loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                yield count


@contextmanager
def attacked(base: nn.Module, frozen: bool = True) -> Iterator[None]:
    """The network as the scripts leave it to an attack, and afterwards in training again."""
    training = base.training
    base.requires_grad_(not frozen)
    base.eval()
    yield
    base.train(training)
    base.requires_grad_(True)


def lengths(z: Tensor) -> Tensor:
    """`(rows, 1, 1, 1)` l2 norms."""
    norms: Tensor = z.reshape(len(z), -1).norm(p=2, dim=1)
    return norms.view(-1, 1, 1, 1)


@dataclass
class GaussianStep(PublishedStep):
    """Cohen et al. 2019: one noisy copy."""

    splits: ClassVar[bool] = False

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        scores = self.base(x + self.normal(x) * self.sigma)
        return Scored(functional.cross_entropy(scores, y), scores, y)


@dataclass
class StabilityStep(PublishedStep):
    """Li et al. 2019, as Jeong and Shin ran it: a pass without and a pass with noise."""

    strength: float = 2.0
    splits: ClassVar[bool] = False

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        noise = self.normal(x) * self.sigma
        clean = self.base(x)
        noisy = self.base(x + noise)
        target = functional.softmax(clean, dim=1)
        unstable = (-target * functional.log_softmax(noisy, dim=1)).sum(1).mean()
        return Scored(functional.cross_entropy(clean, y) + self.strength * unstable, noisy, y)


@dataclass
class ConsistencyStep(PublishedStep):
    """Jeong and Shin 2020."""

    draws: int = 2
    strength: float = 5.0
    entropy: float = 0.5

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        copies = torch.cat([x + noise for noise in self.noises(x)], dim=0)
        labels = y.repeat(self.draws)
        scores = self.base(copies)
        natural = functional.cross_entropy(scores, labels)
        chunks = scores.chunk(self.draws)
        mean = torch.stack([functional.softmax(chunk, dim=1) for chunk in chunks]).sum(0)
        mean = mean / self.draws
        apart = [
            functional.kl_div(functional.log_softmax(chunk, dim=1), mean, reduction="none").sum(1)
            for chunk in chunks
        ]
        unsure = -(mean * mean.clamp(min=1e-20).log()).sum(1)
        terms = self.strength * torch.stack(apart).sum(0) / self.draws + self.entropy * unsure
        return Scored(natural + terms.mean(), scores, labels)


@dataclass
class MacerStep(PublishedStep):
    """Zhai et al. 2020."""

    draws: int = 16
    strength: float = 16.0
    beta: float = 16.0
    gamma: float = 8.0
    splits: ClassVar[bool] = False
    counts: ClassVar[bool] = False

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        copies = x.repeat((1, self.draws, 1, 1)).view(-1, *x.shape[1:])
        scores = self.base(copies + self.normal(copies) * self.sigma)
        scores = scores.reshape(len(x), self.draws, -1)
        mean = functional.softmax(scores, dim=2).mean(1)
        natural = functional.nll_loss(torch.log(mean + 1e-10), y, reduction="sum")
        sharp = functional.softmax(scores * self.beta, dim=2).mean(1)
        values, classes = torch.topk(sharp, 2)
        values = values[classes[:, 0] == y]
        normal = torch.distributions.Normal(values.new_zeros(1), values.new_ones(1))
        xi = normal.icdf(values[:, 0]) - normal.icdf(values[:, 1])  # type: ignore[no-untyped-call]
        values = values[~xi.isnan() & ~xi.isinf() & (xi.abs() <= self.gamma)]
        xi = normal.icdf(values[:, 0]) - normal.icdf(values[:, 1])  # type: ignore[no-untyped-call]
        hinge = (self.gamma - xi).sum() * self.sigma / 2
        hinge.item()  # its meter
        return Scored((natural + self.strength * hinge) / len(x), mean, y)


@dataclass
class SmoothAdvStep(PublishedStep):
    """Salman et al. 2019: an attack on the mean softmax of noisy copies, then a step on these.

    Attributes:
        attack: "pgd" or "ddn".
        epsilon: Radius of the ball.
        steps: Of the attack.
        frozen: Whether the weights need no gradient during the attack.
    """

    draws: int = 4
    attack: str = "pgd"
    epsilon: float = 1.0
    steps: int = 10
    gamma: float = 0.05
    frozen: bool = True

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        rows = x.repeat((1, self.draws, 1, 1)).reshape(-1, *x.shape[1:])
        noise = self.normal(rows) * self.sigma
        with attacked(self.base, self.frozen):
            rows = (self.pgd if self.attack == "pgd" else self.ddn)(rows, y, noise)
        labels = y.unsqueeze(1).repeat(1, self.draws).reshape(-1)
        scores = self.base(rows + noise)
        return Scored(functional.cross_entropy(scores, labels), scores, labels, rows)

    def pgd(self, rows: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Every input's copies, all moved in the same way."""
        first = rows[:: self.draws]
        delta = torch.zeros_like(first, requires_grad=True)
        optimiser = torch.optim.SGD([delta], lr=2 * self.epsilon / self.steps)
        for _ in range(self.steps):
            self._ascend(delta, rows, y, noise, optimiser)
            delta.data.add_(first).clamp_(0, 1).sub_(first)
            delta.data.renorm_(p=2, dim=0, maxnorm=self.epsilon)
        return (rows + self._spread(delta, rows)).detach()

    def ddn(self, rows: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """The same, by decoupled direction and norm."""
        first = rows[:: self.draws]
        delta = torch.zeros_like(first, requires_grad=True)
        length = first.new_full((len(first),), self.epsilon)
        best_length = first.new_full((len(first),), math.inf)
        best = torch.zeros_like(first)
        optimiser = torch.optim.SGD([delta], lr=1.0)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps, eta_min=0.01)
        for _ in range(self.steps):
            before = delta.data.clone()
            mean = self._ascend(delta, rows, y, noise, optimiser)
            schedule.step()
            wrong = mean.argmax(1) != y
            norms = before.view(len(first), -1).norm(p=2, dim=1)
            better = wrong & (norms < best_length)
            best_length[better] = norms[better]
            best[better] = before[better]
            length.mul_(1 - (2 * wrong.float() - 1) * self.gamma)
            delta.data.mul_(length.view(-1, 1, 1, 1) / lengths(delta.data))
            delta.data.add_(first).clamp_(0, 1).sub_(first)
        none = best_length.isinf()
        best[none] = delta.data[none]
        best.renorm_(p=2, dim=0, maxnorm=self.epsilon)
        return rows + self._spread(best, rows)

    def _ascend(
        self, delta: Tensor, rows: Tensor, y: Tensor, noise: Tensor, optimiser: torch.optim.SGD
    ) -> Tensor:
        """One step up; the mean softmax before it."""
        scores = self.base(rows + self._spread(delta, rows) + noise)
        soft = functional.softmax(scores, dim=1)
        mean = soft.reshape(-1, self.draws, scores.shape[-1]).mean(1)
        loss = -functional.nll_loss(torch.log(mean.clamp(min=1e-20)), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert delta.grad is not None
        norms = lengths(delta.grad)
        delta.grad.div_(norms)
        none = norms.view(-1) == 0
        if none.any():
            delta.grad[none] = torch.randn_like(delta.grad[none])
        optimiser.step()
        return mean.detach()

    def _spread(self, delta: Tensor, rows: Tensor) -> Tensor:
        return delta.repeat(1, self.draws, 1, 1).view_as(rows)


@dataclass
class SmoothMixStep(PublishedStep):
    """Jeong et al. 2021.

    Attributes:
        uniform: So many numbers, uniform on [0, 1].
    """

    draws: int = 4
    strength: float = 5.0
    steps: int = 8
    step: float = 1.0
    uniform: Callable[[int], Tensor] = torch.rand
    counts: ClassVar[bool] = False

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        noises = self.noises(x)
        with attacked(self.base):
            far = self._search(x, y, noises)
        scores = self.base(torch.cat([x + noise for noise in noises], dim=0))
        labels = y.repeat(self.draws)
        mean = self._mean(list(scores.chunk(self.draws)))
        natural = functional.cross_entropy(scores, labels, reduction="none").mean()
        weight = self.uniform(len(x)).to(x.device) / 2
        by_input = weight.view(-1, 1, 1, 1)
        mixed = (1 - by_input) * x + by_input * far
        target = (1 - weight).view(-1, 1) * mean + weight.view(-1, 1) / mean.shape[1]
        log_q = functional.log_softmax(
            self.base(torch.cat([mixed + noise for noise in noises], dim=0)), dim=1
        )
        right = (mean.argmax(1) == y).float().repeat(self.draws)
        apart = functional.kl_div(log_q, target.repeat(self.draws, 1), reduction="none").sum(1)
        return Scored(natural + self.strength * (right * apart).mean(), scores, labels, far)

    def _search(self, x: Tensor, y: Tensor, noises: list[Tensor]) -> Tensor:
        found = x.detach()
        for _ in range(self.steps):
            found.requires_grad_()
            mean = self._mean([self.base(found + noise) for noise in noises])
            loss = functional.nll_loss(torch.log(mean.clamp(min=1e-20)), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, [found])
            gradient = gradient / (lengths(gradient) + 1e-8)
            found = torch.clamp(found + self.step * gradient, 0, 1).detach()
        return found

    def _mean(self, scores: list[Tensor]) -> Tensor:
        return torch.stack([functional.softmax(s, dim=1) for s in scores]).sum(0) / self.draws


def sampled(draws: int, share: Tensor) -> Tensor:
    """Binomial numbers."""
    drawn: Tensor = torch.distributions.Binomial(draws, share).sample()  # type: ignore[no-untyped-call]
    return drawn.long()


@dataclass
class CATRSStep(PublishedStep):
    """Jeong, Kim and Shin 2023: the copies of all inputs are attacked, needed or not.

    Attributes:
        binomial: From the number of trials and the chances `(batch,)` to the successes.
    """

    draws: int = 4
    strength: float = 1.0
    epsilon: float = 1.0
    steps: int = 4
    binomial: Callable[[int, Tensor], Tensor] = sampled

    def loss(self, x: Tensor, y: Tensor) -> Scored:
        """See `PublishedStep.loss`."""
        noises = self.noises(x)
        labels = y.repeat(self.draws)
        chunks = self.base(torch.cat([x + noise for noise in noises], dim=0)).chunk(self.draws)
        p = functional.one_hot(y, chunks[0].shape[1]).float()
        votes = [functional.one_hot(chunk.argmax(1), p.shape[1]) for chunk in chunks]
        share = (torch.stack(votes).sum(0) / self.draws).gather(1, y[:, None]).view(-1)
        with attacked(self.base):
            worst = self._search(x, p, noises)
        scores = self.base(torch.cat([x + noise for noise in worst], dim=0))
        each = [functional.cross_entropy(c, y, reduction="none").view(-1, 1) for c in chunks]
        in_order = torch.cat(each, dim=1).sort().values
        kept = self.binomial(self.draws, share).clamp(min=1)
        easy = torch.ones(self.draws + 1, self.draws, device=x.device).tril(-1)[kept]
        hard = torch.stack([self._apart(chunk, p) for chunk in scores.chunk(self.draws)], dim=1)
        sure = kept == self.draws
        loss = (in_order * easy).mean(1) + self.strength * hard.max(1).values * sure
        return Scored(loss.mean(), scores, labels)

    def _search(self, x: Tensor, p: Tensor, noises: list[Tensor]) -> tuple[Tensor, ...]:
        rows = x.repeat(self.draws, 1, 1, 1)
        drawn = torch.cat(noises, dim=0)
        found = drawn.detach()
        for _ in range(self.steps):
            found.requires_grad_()
            chunks = self.base(rows + found).chunk(self.draws)
            loss = torch.stack([self._apart(chunk, p) for chunk in chunks]).sum() / self.draws
            (gradient,) = torch.autograd.grad(loss, [found])
            gradient = gradient / (lengths(gradient) + 1e-8)
            moved = found + 2 * self.epsilon / self.steps * gradient - drawn
            found = drawn + moved.renorm(p=2, dim=0, maxnorm=self.epsilon)
            found = (found - found.mean((1, 2, 3), keepdim=True)) / self._deviation(found)
            found = drawn.mean((1, 2, 3), keepdim=True) + found * self._deviation(drawn)
            found = found.detach()
        return found.chunk(self.draws)

    def _apart(self, scores: Tensor, p: Tensor) -> Tensor:
        log_q = functional.log_softmax(scores, dim=1)
        return functional.kl_div(log_q, p, reduction="none").sum(1)

    def _deviation(self, z: Tensor) -> Tensor:
        return z.std((1, 2, 3), correction=0, keepdim=True)
