"""Larger estimated radii, without an attack."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from radii.errors import TrainingError
from radii.noise import Gaussian
from radii.objectives.base import OBJECTIVES, Objective
from radii.objectives.copies import at_least_float32, check_draws, noisy_copies
from radii.smoothing import SmoothedClassifier

_LARGEST_GAMMA = 24.0  # up to here no clamp of `radius_estimate` is seen, see there


@OBJECTIVES.register("macer")
@dataclass(frozen=True)
class Macer(Objective):
    """Cross entropy of the mean softmax, and a hinge on the radius of inputs that are right.

    `-ln(pbar_y + 1e-10) + strength * sigma / 2 * max(0, gamma - xi)`, where `pbar` is the mean
    softmax over the draws and `sigma / 2 * xi` is the `radius_estimate`. The hinge counts only
    where `0 < xi <= gamma`, that is for inputs which the estimate gets right and which are not
    far enough yet; others add 0. The mean is over all inputs of the batch. Needs Gaussian noise.

    Attributes:
        draws: The paper's k, noisy copies of each input.
        strength: The paper's lambda: 16 at `sigma` 0.25 and 0.5, 6 at 1.
        beta: Inverse temperature of the softmax in the radius.
        gamma: Where the hinge ends, in units of `sigma / 2`.
        deferred: Epochs at the beginning in which `strength` is 0.

    Reference:
        Zhai et al. 2020, arXiv:2001.02378, Algorithm 1; `deferred` is of Jeong and Shin 2020,
        arXiv:2006.04062.
    """

    draws: int = 16
    strength: float = 16.0
    beta: float = 16.0
    gamma: float = 8.0
    deferred: int = 0
    examples = ({"strength": 1.0}, {"draws": 4, "strength": 6.0, "beta": 4.0, "gamma": 4.0})

    def __post_init__(self) -> None:
        check_draws(self.draws)
        if not 0 <= self.strength < math.inf:
            raise ValueError(f"strength must be at least 0, got {self.strength!r}")
        if not 0 < self.beta < math.inf:
            raise ValueError(f"beta must be positive and finite, got {self.beta!r}")
        if not 0 < self.gamma <= _LARGEST_GAMMA:
            raise ValueError(f"gamma must be in (0, {_LARGEST_GAMMA:g}], got {self.gamma!r}")
        if self.deferred < 0:
            raise ValueError(f"deferred must be at least 0, got {self.deferred!r}")

    def at(self, epoch: int) -> Macer:
        """Without the hinge in the first `deferred` epochs; see `Objective.at`."""
        return replace(self, strength=0.0) if epoch < self.deferred else self

    def loss(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """The loss; see `Objective.loss`.

        Raises:
            TrainingError: If the noise is not Gaussian: the radius is that of Gaussian noise.
        """
        noise = smoothed.noise
        if not isinstance(noise, Gaussian):
            raise TrainingError(
                f"the noise of macer must be Gaussian, got {noise!r}; "
                f"train with --noise gaussian:sigma=..., or with another objective."
            )
        noisy = noisy_copies(smoothed, x, self.draws, generator)
        scores = at_least_float32(smoothed.base(noisy))
        scores = scores.reshape(self.draws, len(x), -1)
        of_label = scores.softmax(dim=-1).mean(0).gather(1, y[:, None])
        loss = -(of_label + 1e-10).log().mean()
        if self.strength == 0:
            return loss
        estimate = radius_estimate(scores, y, sigma=noise.sigma, beta=self.beta)
        most = self.gamma * noise.sigma / 2
        counts = (estimate > 0) & (estimate <= most)
        return loss + self.strength * torch.where(counts, most - estimate, 0.0).mean()


def radius_estimate(scores: Tensor, y: Tensor, *, sigma: float, beta: float = 1.0) -> Tensor:
    """An l2 radius, differentiable and without a guarantee: plug-in, soft, of a few draws.

    `sigma / 2 * (Phi^-1(z_y) - Phi^-1(max of z_c over c != y))`, `z` being the mean softmax of
    `beta * scores` over the draws. Negative where the mean does not favour the label.

    A `z_y` above 1/2 costs no digits: its quantile is that of the other tail, the sum `q` of the
    other classes. `z_y`, `q` and the maximum are clamped to [t, 1 - e], with `t` the smallest
    normal number of the type and `e` its spacing at 1, so value and gradient are finite whatever
    the scores. Where `xi = 2 estimate / sigma` is in (0, 24], no clamp is met, for up to a million
    classes `C` and in float32 (t = 1.2e-38):

    - The maximum is at most `q` and at least `q / (C - 1)`. If either of them is below `t`, then
      `q < C t < 1.2e-32`, and `xi >= -Phi^-1(C t) - Phi^-1(t) > 11.8 + 12.9 > 24`.
    - If `xi > 0`, then `z_y` is at least `1 / C`, and the maximum is at most 1/2.

    Args:
        scores: `(draws, batch, num_classes)`, float32 or float64.
        y: `(batch,)` int64. Labels.
        sigma: Of the Gaussian noise.
        beta: Inverse temperature of the softmax.

    Returns:
        `(batch,)` in units of the input.
    """
    z = (beta * scores).softmax(dim=-1).mean(0)
    others = z.scatter(1, y[:, None], 0.0)
    of_label = z.gather(1, y[:, None]).squeeze(1)
    info = torch.finfo(z.dtype)
    shares = torch.stack([of_label, others.sum(-1), others.max(dim=-1).values])
    label, rest, runner_up = torch.special.ndtri(shares.clamp(info.tiny, 1 - info.eps))
    xi: Tensor = torch.where(of_label < 0.5, label, -rest) - runner_up
    return sigma / 2 * xi
