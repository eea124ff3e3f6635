from __future__ import annotations

import math

import torch
from torch import nn

from radii.noise import Gaussian
from radii.objectives import Standard
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import loss_of_bfloat16_scores


def test_it_is_the_cross_entropy_of_the_inputs_without_noise():
    base = nn.Linear(2, 3).double()
    x = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)
    y = torch.tensor([2, 0])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    loss = Standard().loss(SmoothedClassifier(base, Gaussian(9.0), 3), x, y, generator=generator)
    expected = 0.0
    for row, label in zip(base(x).tolist(), y.tolist(), strict=True):
        expected -= math.log(math.exp(row[label]) / sum(math.exp(score) for score in row)) / 2
    assert abs(loss.item() - expected) < 1e-12
    assert torch.equal(generator.get_state(), before)


def test_scores_in_low_precision_give_a_loss_in_float32():
    loss = loss_of_bfloat16_scores(Standard())
    assert loss.dtype == torch.float32
    assert abs(loss.item() - math.log(2)) < 1e-6
