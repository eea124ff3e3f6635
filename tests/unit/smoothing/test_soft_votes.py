"""Soft votes: mean softmax scores instead of counts of labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from radii.bounds import ClopperPearson, EmpiricalBernstein, Hoeffding
from radii.errors import BaseClassifierError, PlanError
from radii.noise import Gaussian
from radii.records import SoftVotes
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.smoothing.tally import HardTally, SoftTally

NOISE = Gaussian(0.5)


def scores(x: Tensor) -> Tensor:
    return torch.stack([x[:, 0], x[:, 1], x.sum(1)], dim=1) * 3


def soft(base: object = scores) -> SmoothedClassifier:
    return SmoothedClassifier(base, NOISE, num_classes=3, vote="soft")  # type: ignore[arg-type]


def plan(n: int = 1_000, bound: Hoeffding | EmpiricalBernstein | None = None) -> SamplingPlan:
    return SamplingPlan(n0=50, n=n, seed=4, bound=bound or EmpiricalBernstein())


def test_sums_are_those_of_the_softmax() -> None:
    answer = torch.randn(30, 3)
    sums = SoftTally(3).sums(answer, [10, 20]).numpy()
    p = answer.double().softmax(1).numpy()
    for block, rows in zip(sums, (p[:10], p[10:]), strict=True):
        np.testing.assert_allclose(block[:3], rows.sum(0), rtol=1e-12)
        np.testing.assert_allclose(block[3:6], (rows**2).sum(0), rtol=1e-12)
        assert block[6] == 0


def test_certifies_the_mean_score() -> None:
    x = np.float32([1.0, 0.1])
    result = soft().certify(x, plan(n=20_000), certificate="gaussian_l2_lipschitz")
    assert not isinstance(result, list)
    assert isinstance(result.estimation, SoftVotes)
    z = torch.randn(400_000, 2) * NOISE.sigma + torch.tensor(x)
    mean = float(scores(z).double().softmax(1).mean(0)[2])
    assert result.prediction == 2
    assert mean - 0.02 < result.pA_lower < mean
    assert result.radius > 0


def test_votes_do_not_depend_on_the_batch_size() -> None:
    x = torch.rand(4, 2)
    found = []
    for batch_size in (None, 100, 300):
        smoothed = SmoothedClassifier(scores, NOISE, 3, vote="soft", batch_size=batch_size)
        results = smoothed.certify(x, plan(), certificate="gaussian_l2")
        assert isinstance(results, list)
        found.append([(r.radius, r.pA_lower) for r in results])
    assert found[0] == found[1] == found[2]


def test_bounds_of_hard_votes_are_refused_before_the_first_draw() -> None:
    drawn: list[int] = []
    with pytest.raises(PlanError, match=r"clopper_pearson bounds hard votes only.*hoeffding"):
        list(
            soft().certify_each(
                [],
                SamplingPlan(bound=ClopperPearson()),
                certificate="gaussian_l2",
                on_draws=drawn.append,
            )
        )
    assert not drawn


def test_labels_and_nan_are_refused() -> None:
    with pytest.raises(BaseClassifierError, match="hard votes only"):
        soft(lambda x: x[:, 0].long()).certify(torch.zeros(1, 2), plan(), certificate="gaussian_l2")
    with pytest.raises(BaseClassifierError, match="answered NaN"):
        soft(lambda x: scores(x) * torch.nan).certify(
            torch.zeros(1, 2), plan(), certificate="gaussian_l2"
        )


def test_predict_has_no_test_for_them() -> None:
    with pytest.raises(PlanError, match="take hard votes"):
        soft().predict(torch.zeros(1, 2))


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (4, 3), (6, 3), (5,), (5, 3, 1)])
def test_answers_of_another_shape_are_no_scores(shape: tuple[int, ...]) -> None:
    SoftTally(3).check(torch.zeros(5, 3), 5)
    message = r"must answer scores of shape \(5, 3\), got torch.float32 of shape"
    with pytest.raises(BaseClassifierError, match=message):
        SoftTally(3).check(torch.zeros(shape), 5)
    with pytest.raises(BaseClassifierError, match=r"got torch\.int64 of shape"):
        SoftTally(3).check(torch.zeros(5, 3, dtype=torch.int64), 5)


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (4, 3), (6, 3), (5,), (5, 3, 1)])
def test_answers_of_another_shape_are_no_votes(shape: tuple[int, ...]) -> None:
    HardTally(3).check(torch.zeros(5, 3), 5)
    HardTally(3).check(torch.zeros(5, dtype=torch.int64), 5)
    with pytest.raises(BaseClassifierError, match="must answer scores of shape"):
        HardTally(3).check(torch.zeros(shape), 5)
    with pytest.raises(BaseClassifierError, match="whole-number labels of shape"):
        HardTally(3).check(torch.zeros(4, dtype=torch.int64), 5)
