"""A base classifier whose own gradient is zero where the smoothed classifier's is not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier

SIGMA = 0.5
SHAPE = (8,)
BOUNDS = (-6.0, 6.0)
EPSILON = 1.5
STEEP = 200.0


class Steep(nn.Module):
    """Two classes on the sides of a plane; the softmax of its scores is 0 or 1 but near it.

    The smoothed classifier's boundary is the same plane, so an attack of size epsilon succeeds on
    it exactly if it goes further along the normal than the input is away. At a distance of more
    than 0.53 the softmax is exactly 1 in float32, and the gradient of its cross entropy is zero.
    """

    normal: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("normal", torch.tensor([0.5, -0.5, 0.5, 0.5, 0, 0, 0, 0]))

    def forward(self, x: Tensor) -> Tensor:
        score = STEEP * (x @ self.normal)
        return torch.stack([-score, score], dim=1) / 2


BASE = Steep().eval()
SMOOTHED = SmoothedClassifier(BASE, Gaussian(SIGMA), 2, input_shape=SHAPE)


def inputs(many: int = 40) -> tuple[Tensor, Tensor]:
    """Inputs at distances of 0.55 to 0.9 from the plane, and their labels."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(many, *SHAPE, generator=generator)
    y = torch.arange(many) % 2
    distance = torch.empty(many).uniform_(0.55, 0.9, generator=generator) * (2 * y - 1)
    return x + (distance - x @ BASE.normal)[:, None] * BASE.normal, y


def start() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def fooled(x: Tensor, y: Tensor) -> float:
    """The share of inputs that the smoothed classifier answers with the other class."""
    found = SMOOTHED.predict(x, n=1_000, seed=3)
    assert isinstance(found, list)
    return sum(
        each.prediction == 1 - int(label) for each, label in zip(found, y, strict=True)
    ) / len(y)
