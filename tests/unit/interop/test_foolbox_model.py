"""The smoothed classifier as a model of foolbox."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from radii.interop import to_foolbox
from tests.unit.interop.planes import (
    BASE,
    BOUNDS,
    EPSILON,
    SHAPE,
    SMOOTHED,
    fooled,
    inputs,
    start,
)

with warnings.catch_warnings():  # foolbox imports what scipy has renamed
    warnings.simplefilter("ignore", DeprecationWarning)
    fb: Any = pytest.importorskip("foolbox", reason="needs foolbox")


def test_it_is_the_model_of_the_smoothed_classifier() -> None:
    x, y = inputs()
    model = to_foolbox(SMOOTHED, bounds=BOUNDS, generator=start())
    assert model.bounds == BOUNDS
    with torch.no_grad():
        expected = SMOOTHED.soft(torch.zeros(1, *SHAPE), generator=start())(torch.zeros(1, *SHAPE))
    torch.testing.assert_close(model(torch.zeros(1, *SHAPE)), expected)
    assert fb.accuracy(model, x, y) == 1


def test_pgd_follows_the_smoothed_gradient() -> None:
    x, y = inputs()
    base = fb.PyTorchModel(BASE, bounds=BOUNDS, device="cpu")
    rates = []
    smoothed = to_foolbox(SMOOTHED, bounds=BOUNDS, draws=256, generator=start())
    for model in (smoothed, base):
        attack = fb.attacks.L2PGD(abs_stepsize=EPSILON / 5, steps=15, random_start=False)
        found, _, _ = attack(model, x, y, epsilons=EPSILON)
        assert float((found - x).norm(dim=1).max()) <= EPSILON * 1.0001
        rates.append(fooled(found, y))
    assert fooled(x, y) == 0
    assert rates == [1.0, 0.0]  # the base classifier's gradient is zero


def test_wrong_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="bounds must be a smaller and a larger number"):
        to_foolbox(SMOOTHED, bounds=(1.0, 0.0))
