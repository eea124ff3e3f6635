"""CERTIFY as the published scripts run it, to measure against; a module, not a benchmark.

Written anew after the scripts of Cohen et al. and those that copied them, and as slow as they are
on purpose: one input at a time, NCHW and float32, every batch is made of repeated copies with fresh
noise from the global generator, and votes are counted on the host, one prediction at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import betaincinv, ndtri
from torch import Tensor, nn
from torch.nn import functional

from radii.models import Normalized
from radii.models.lenet import LeNetBody
from radii.records import IntArray


class Answer(NamedTuple):
    """What the loop says of one input.

    Attributes:
        prediction: The class, or None where it abstains.
        radius: In l2; 0 where it abstains.
    """

    prediction: int | None
    radius: float


@dataclass(frozen=True)
class PublishedLoop:
    """A base classifier under Gaussian noise.

    Attributes:
        base: From `(batch, channels, height, width)` to scores.
        num_classes: How many scores.
        sigma: Of the noise.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1 and the code beside it.
    """

    base: Callable[[Tensor], Tensor]
    num_classes: int
    sigma: float

    def certify(self, x: Tensor, n0: int, n: int, alpha: float, batch: int) -> Answer:
        """Class and radius of `x` `(channels, height, width)`."""
        top = int(self.votes(x, n0, batch).argmax())
        k = int(self.votes(x, n, batch)[top])
        pA_lower = float(betaincinv(k, n - k + 1, alpha)) if k else 0.0
        if pA_lower < 0.5:
            return Answer(None, 0.0)
        return Answer(top, self.sigma * float(ndtri(pA_lower)))

    @torch.no_grad()
    def votes(self, x: Tensor, n: int, batch: int) -> IntArray:
        """`(num_classes,)` votes of n noisy copies."""
        counts = np.zeros(self.num_classes, dtype=np.int64)
        left = n
        while left > 0:
            copies = x.repeat((min(batch, left), 1, 1, 1))
            noise = torch.randn_like(copies) * self.sigma
            predictions = self.base(copies + noise).argmax(1)
            counts += self._count(predictions.cpu().numpy())
            left -= len(copies)
        return counts

    def _count(self, predictions: IntArray) -> IntArray:
        counts = np.zeros(self.num_classes, dtype=np.int64)
        for label in predictions:
            counts[label] += 1
        return counts


class PublishedLeNet(nn.Module):
    """The layers of a LeNet in the order in which the scripts' network has them: ReLU, pooling."""

    def __init__(self, body: LeNetBody) -> None:
        super().__init__()
        self.conv1, self.conv2 = body.conv1, body.conv2
        self.fc1, self.fc2 = body.fc1, body.fc2

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(batch, num_classes)`."""
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        scores: Tensor = self.fc2(functional.relu(self.fc1(x.flatten(1))))
        return scores


def as_published(module: nn.Module) -> nn.Module:
    """A copy of a network as the scripts have it: in NCHW, and LeNet with ReLU before pooling."""
    module = copy.deepcopy(module).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    if isinstance(module, Normalized) and isinstance(module.body, LeNetBody):
        module.body = PublishedLeNet(module.body)
    return module
