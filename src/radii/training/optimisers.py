"""What turns gradients into steps: torch's optimisers, under names."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from radii.registry import Registry


class Optimiser(ABC):
    """How gradients move the weights.

    Attributes:
        examples: Parameters that documentation and conformance tests use.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    @abstractmethod
    def over(self, parameters: Sequence[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """The optimiser of some parameters.

        Its state may hold tensors and numbers, by parameter; the learning rate in its parameter
        groups is set before each step.
        """


OPTIMISERS: Registry[Optimiser] = Registry("optimiser", "radii.training", Optimiser)


@OPTIMISERS.register("sgd")
@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD`.

    Attributes:
        momentum: In [0, 1).
        weight_decay: Added to the gradient, times the weights; at least 0.
        nesterov: Look ahead along the momentum.

    Reference:
        Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """

    momentum: float = 0.9
    weight_decay: float = 1e-4
    nesterov: bool = False
    examples = ({}, {"momentum": 0.0}, {"nesterov": True})

    def __post_init__(self) -> None:
        _check_share("momentum", self.momentum)
        _check_weight_decay(self.weight_decay)
        if self.nesterov and not self.momentum:
            raise ValueError("momentum must be positive for nesterov, got 0.0")

    def over(self, parameters: Sequence[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """See `Optimiser.over`."""
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=_fused(parameters),
        )


@OPTIMISERS.register("adamw")
@dataclass(frozen=True)
class AdamW(Optimiser):
    """Adam with decoupled weight decay, as `torch.optim.AdamW`.

    Attributes:
        weight_decay: The weights shrink by `lr` times this at each step; at least 0.
        beta1: Share of the old mean of gradients that is kept, in [0, 1).
        beta2: Share of the old mean of their squares that is kept, in [0, 1).
        epsilon: Added to the root of that mean; positive.

    Reference:
        Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2.
    """

    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_weight_decay(self.weight_decay)
        _check_share("beta1", self.beta1)
        _check_share("beta2", self.beta2)
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon must be positive and finite, got {self.epsilon!r}")

    def over(self, parameters: Sequence[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """See `Optimiser.over`."""
        return torch.optim.AdamW(
            parameters,
            lr=lr,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=self.weight_decay,
            fused=_fused(parameters),
        )


def _fused(parameters: Sequence[nn.Parameter]) -> bool | None:
    """One kernel for all parameters where torch has it; else what torch picks by itself."""
    return True if all(parameter.is_cuda for parameter in parameters) else None


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")


def _check_weight_decay(value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"weight_decay must be at least 0 and finite, got {value!r}")
