"""How often a certified radius is larger than the exact one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats  # noqa: TID251 an independent reference

from radii.bounds import ClopperPearson
from radii.certificates import GaussianL2
from radii.noise import Gaussian
from radii.records import ClassBounds
from radii.smoothing import SamplingPlan, SmoothedClassifier
from tests.oracles import HalfSpace

REPEATS = 4_000
SIGMA = 0.5
PLAN = SamplingPlan(n0=20, n=500, alpha=0.1, block=500, seed=17)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.1, 0.5, 1.0])
def test_wrong_at_most_alpha_of_the_time_and_as_often_as_the_binomial_law_says(
    distance: float,
) -> None:
    base = HalfSpace(torch.tensor([1.0, 0.0], dtype=torch.float64))
    x = torch.tensor([distance, 0.7])
    smoothed = SmoothedClassifier(base, Gaussian(SIGMA), num_classes=2)
    exact = float(base.exact_radius(x[None])[0])
    results = dict(smoothed.certify_each(((i, x) for i in range(REPEATS)), PLAN))
    wrong = np.array([r.prediction == 0 or r.radius > exact for r in results.values()])
    share = float(wrong.mean())
    assert share <= PLAN.alpha + 5 * math.sqrt(PLAN.alpha * (1 - PLAN.alpha) / REPEATS)
    # A right selection (nearly always) with more votes than any certificate of `exact` takes.
    k = np.arange(PLAN.n + 1)
    radius = GaussianL2(Gaussian(SIGMA)).radius(
        ClassBounds.one_sided(ClopperPearson().lower(k, PLAN.n, PLAN.alpha))
    )
    p = float(base.smoothed_probability(x[None], SIGMA)[0])
    selected = stats.binom.sf(PLAN.n0 // 2, PLAN.n0, p)
    expected = selected * stats.binom.sf(np.argmax(radius > exact) - 1, PLAN.n, p)
    assert 0.02 < expected <= PLAN.alpha
    assert share == pytest.approx(expected, abs=5 * math.sqrt(0.1 * 0.9 / REPEATS))


@pytest.mark.slow
def test_predictions_are_wrong_at_most_alpha_of_the_time() -> None:
    base = HalfSpace(torch.tensor([1.0], dtype=torch.float64))
    x = torch.tensor([0.01])  # class 1, by so little that the test often cannot tell
    smoothed = SmoothedClassifier(base, Gaussian(SIGMA), num_classes=2)
    pairs = ((i, x) for i in range(REPEATS))
    results = [r.prediction for _, r in smoothed.predict_each(pairs, 500, 0.1, seed=17)]
    p = float(base.smoothed_probability(x[None], SIGMA)[0])
    for answer, chance in ((0, 1 - p), (1, p)):
        least = min(k for k in range(251, 501) if 2 * stats.binom.sf(k - 1, 500, 0.5) <= 0.1)
        expected = stats.binom.sf(least - 1, 500, chance)
        share = results.count(answer) / REPEATS
        assert share == pytest.approx(expected, abs=5 * math.sqrt(0.1 * 0.9 / REPEATS))
    assert results.count(0) / REPEATS <= 0.1
