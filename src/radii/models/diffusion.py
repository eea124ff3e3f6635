"""A diffusion model as a denoiser, in one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError

Predicts = Literal["noise", "x0", "v"]
_ROUNDING = 1e-6  # a level that somebody computed in float32 still counts as one of the schedule


class DiffusionDenoiser(nn.Module):
    """Denoises by one step of a diffusion model: from the step with as much noise, straight to x0.

    The model knows images in [-1, 1] and the step `t` stands for
    `x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) epsilon`. Divided by `sqrt(abar_t)` this is an image
    under noise of standard deviation `sqrt((1 - abar_t) / abar_t)`, the level of the step. Images
    in [low, high] are scaled to [-1, 1], which multiplies their noise by `2 / (high - low)`: for
    images in [0, 1] the level must be `2 sigma`. So the input is scaled, multiplied by
    `sqrt(abar_t)`, given to the model, and what it takes for x0 is clamped to [-1, 1] and scaled
    back.

    `t` is the step whose level is nearest to the wanted one in logarithm. Any step is sound: the
    denoiser is a part of the base classifier, and a certificate holds for whatever that answers. A
    wrong level costs accuracy, and what counts for that is the ratio of the levels.

    Args:
        model: Called with `(rows, channels, ...)` and the steps `(rows,)` int64; returns a tensor,
            or an object that has it under `sample`. Where it has twice the channels of its input,
            the second half is a learned variance and is left out.
        alphas_cumprod: The `abar_t` of all steps, decreasing, in [0, 1].
        sigma: Standard deviation of the noise that is certified, in the units of the inputs.
        predicts: What the model was trained to predict: `noise` is epsilon, `x0` the image, `v`
            `sqrt(abar_t) epsilon - sqrt(1 - abar_t) x0`.
        low: Of the pixels.
        high: Of the pixels.

    Attributes:
        step: The `t` that was found.
        level: The standard deviation of the noise it stands for, in the units of the inputs.

    Raises:
        ValueError: If the schedule is none, or has no noise like `sigma`.

    Reference:
        Carlini et al. 2023, arXiv:2206.10550, Algorithm 1; `v` from Salimans and Ho 2022,
        arXiv:2202.00512, appendix D.

    Example:
        >>> betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        >>> class Nothing(nn.Module):
        ...     def forward(self, x, t):
        ...         return torch.zeros_like(x)
        >>> denoiser = DiffusionDenoiser(Nothing().eval(), (1 - betas).cumprod(0), sigma=0.25)
        >>> denoiser.step, round(denoiser.level, 4)
        (144, 0.2497)
    """

    def __init__(
        self,
        model: nn.Module,
        alphas_cumprod: Tensor | Sequence[float],
        *,
        sigma: float,
        predicts: Predicts = "noise",
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module, got {type(model).__name__}")
        if predicts not in get_args(Predicts):
            raise ValueError(f"predicts must be noise, x0 or v, got {predicts!r}")
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, got {sigma!r}")
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"low must be less than high, both finite, got {low!r} and {high!r}")
        self.model = model
        self.sigma = sigma
        self.predicts = predicts
        self.low = low
        self.high = high
        levels = _levels(alphas_cumprod)
        self.step = _nearest(levels, 2 * sigma / (high - low), sigma)
        self.level = float(levels[self.step]) * (high - low) / 2
        self._abar = float(torch.as_tensor(alphas_cumprod, dtype=torch.float64)[self.step])
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Inputs without noise, `(rows, channels, ...)`, in [low, high].

        Raises:
            BaseClassifierError: If the model answers something of another shape.
        """
        signal, noise = math.sqrt(self._abar), math.sqrt(1 - self._abar)
        scaled = signal * (2 * (x - self.low) / (self.high - self.low) - 1)
        found = self._predicted(scaled)
        if self.predicts == "noise":
            found = (scaled - noise * found) / signal
        elif self.predicts == "v":
            found = signal * scaled - noise * found
        return (found.clamp(-1, 1) + 1) * ((self.high - self.low) / 2) + self.low

    def _predicted(self, scaled: Tensor) -> Tensor:
        steps = torch.full((len(scaled),), self.step, dtype=torch.int64, device=scaled.device)
        answer = self.model(scaled, steps)
        answer = getattr(answer, "sample", answer)
        got: object = type(answer).__name__
        if isinstance(answer, Tensor):
            got = tuple(answer.shape)
            if scaled.ndim > 1 and answer.ndim > 1 and answer.shape[1] == 2 * scaled.shape[1]:
                answer = answer[:, : scaled.shape[1]]
            if answer.shape == scaled.shape:
                return answer
        raise BaseClassifierError(
            f"a diffusion model must answer the shape of its inputs, {tuple(scaled.shape)}, or "
            f"twice the channels, got {got}"
        )


def _levels(alphas_cumprod: Tensor | Sequence[float]) -> Tensor:
    """The standard deviation of the noise of each step, for images in [-1, 1]; float64.

    It is 0 where `abar` is 1, and infinite where it is 0.
    """
    abar = torch.as_tensor(alphas_cumprod, dtype=torch.float64).cpu()
    if (
        abar.ndim != 1
        or len(abar) < 2
        or not bool(((abar >= 0) & (abar <= 1)).all() & (abar.diff() < 0).all())
    ):
        raise ValueError(
            f"alphas_cumprod must be two or more decreasing numbers in [0, 1], "
            f"got shape {tuple(abar.shape)}, from {abar.max().item() if abar.numel() else None!r} "
            f"to {abar.min().item() if abar.numel() else None!r}"
        )
    return ((1 - abar) / abar).sqrt()


def _nearest(levels: Tensor, wanted: float, sigma: float) -> int:
    """The step whose level is nearest in logarithm.

    A step without noise, or without anything else, has no level near to another.
    """
    between = levels[(levels > 0) & levels.isfinite()].tolist() or [math.inf]
    least, most = between[0], between[-1]
    if not least * (1 - _ROUNDING) <= wanted <= most * (1 + _ROUNDING):
        units = sigma / wanted
        raise ValueError(
            f"sigma must be in the noise of the schedule, {least * units:.4g} to "
            f"{most * units:.4g} in the units of the inputs, got {sigma!r}; take another model, or "
            f"another sigma"
        )
    return int((levels.log() - math.log(wanted)).abs().argmin())
