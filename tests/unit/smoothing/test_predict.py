"""PREDICT: an answer, or none where the top two cannot be told apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats  # noqa: TID251 an independent reference
from torch import Tensor

from radii.errors import PlanError
from radii.noise import Gaussian
from radii.records import Prediction
from radii.smoothing import SamplingPlan, SmoothedClassifier


def sign(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


SMOOTHED = SmoothedClassifier(sign, Gaussian(1.0), 3)


def one(x: float, **more: Any) -> Prediction:
    result = SMOOTHED.predict(torch.tensor([x, 0.0]), seed=1, **more)
    assert isinstance(result, Prediction)
    return result


@pytest.mark.parametrize(("x", "expected"), [(1.0, 1), (-1.0, 0), (0.0, None), (9.0, 1)])
def test_predicts_or_abstains(x: float, expected: int | None) -> None:
    result = one(x)
    assert result.prediction == expected
    low, high = sorted(result.counts.votes.tolist()[:2])
    assert low + high == 1000
    assert result.p_value == pytest.approx(stats.binomtest(high, 1000, 0.5).pvalue, rel=1e-9)
    assert (result.p_value <= 0.001) == (expected is not None)


def test_alpha_decides() -> None:
    p_value = one(0.1).p_value
    assert 0.001 < p_value < 0.5
    assert one(0.1, alpha=p_value).prediction == 1
    assert one(0.1, alpha=p_value * 0.999).prediction is None


def test_one_input_or_a_batch() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    many = SMOOTHED.predict(x, seed=1)
    assert isinstance(many, list)
    assert [result.prediction for result in many] == [1, 0]
    assert many[0].counts.votes.tolist() == one(1.0).counts.votes.tolist()


def test_prediction_draws_other_noise_than_certification() -> None:
    x = torch.zeros(2)
    plan = SamplingPlan(n0=1000, n=1000, seed=1)
    certified: Any = SMOOTHED.certify(x, plan)
    votes = {
        tuple(counts.votes.tolist())
        for counts in (certified.selection, certified.estimation, one(0.0).counts)
    }
    assert len(votes) == 3


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(PlanError, match=r"n=10 draws can never predict .* take n of at least 11"):
        one(1.0, n=10)
    assert one(9.0, n=11).prediction == 1
