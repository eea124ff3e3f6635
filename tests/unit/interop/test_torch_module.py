"""The smoothed classifier as a module for batches of any size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.interop import to_torch
from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier
from tests.unit.interop.planes import BASE, SHAPE, SIGMA, SMOOTHED, inputs, start


def test_inputs_share_the_noise_whatever_else_is_in_the_batch() -> None:
    x, _ = inputs()
    module = to_torch(SMOOTHED, generator=start())
    together = module(x)
    torch.testing.assert_close(together, torch.cat([module(each[None]) for each in x]))
    assert torch.equal(module(x[:1].repeat(3, 1))[0], module(x[:1].repeat(3, 1))[2])
    soft = SMOOTHED.soft(x[:1], generator=start())
    torch.testing.assert_close(module(x[:1]), soft(x[:1]))
    assert module(x[:0]).shape == (0, 2)


def test_other_draws_from_another_generator() -> None:
    x, _ = inputs()
    assert not torch.equal(to_torch(SMOOTHED)(x), to_torch(SMOOTHED)(x))


def test_nothing_of_the_base_classifier_is_touched() -> None:
    base = nn.Linear(8, 2).eval()
    smoothed = SmoothedClassifier(base, Gaussian(SIGMA), 2, input_shape=SHAPE)
    module = to_torch(smoothed)
    module.train()
    module.double()
    x = torch.randn(3, *SHAPE, generator=start()).requires_grad_()
    module.float()(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).any())
    assert not base.training
    assert base.weight.grad is None
    assert base.weight.dtype == torch.float32
    assert not list(module.parameters())


def test_the_shape_must_be_known() -> None:
    unknown = SmoothedClassifier(BASE, Gaussian(SIGMA), 2)
    with pytest.raises(ValueError, match="input_shape must be given"):
        to_torch(unknown)
    assert to_torch(unknown, input_shape=SHAPE).input_shape == SHAPE
    with pytest.raises(ValueError, match=r"must be that of the smoothed classifier, \(8,\)"):
        to_torch(SMOOTHED, input_shape=(4,))
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 8\), got \(2, 4\)"):
        to_torch(SMOOTHED)(torch.zeros(2, 4))


def test_training_mode_is_refused() -> None:
    smoothed = SmoothedClassifier(nn.Linear(8, 2), Gaussian(SIGMA), 2, input_shape=SHAPE)
    with pytest.raises(BaseClassifierError, match="evaluation mode"):
        to_torch(smoothed)
