"""From a base classifier to a certified radius, where the truth is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import radii
from radii.bounds import MulticlassClopperPearson
from tests.oracles import HalfSpace

SIGMA = 0.5
PLAN = radii.SamplingPlan(n0=100, n=10_000, alpha=0.001, seed=11)

generator = torch.Generator().manual_seed(4)
W = torch.randn(12, dtype=torch.float64, generator=generator)
BASE = HalfSpace(W, b=0.3)
SMOOTHED = radii.SmoothedClassifier(BASE, radii.Gaussian(SIGMA), num_classes=2)


def at_distances(distances: list[float]) -> torch.Tensor:
    """`(rows, 12)` inputs at these signed distances from the boundary, elsewhere at random."""
    x = torch.randn(len(distances), 12, dtype=torch.float64, generator=generator)
    now = torch.from_numpy(BASE.distance(x))
    unit = W / torch.linalg.vector_norm(W)
    moved: torch.Tensor = x + (torch.tensor(distances) - now)[:, None] * unit
    return moved.float()


def test_certified_radius_is_below_the_exact_one_and_close_to_what_n_allows() -> None:
    distances = [sign * SIGMA * d for d in (0.6, 0.8, 1.0, 1.5, 2.0, 2.5) for sign in (1, -1)]
    x = at_distances(distances)
    exact = BASE.exact_radius(x)
    np.testing.assert_allclose(exact, np.abs(distances), rtol=1e-4)
    bound = radii.ClopperPearson()
    certificate = radii.certificates.find(noise=radii.Gaussian(SIGMA), norm="l2")
    results = SMOOTHED.certify(x, PLAN)
    assert isinstance(results, list)
    for result, radius, distance in zip(results, exact.tolist(), distances, strict=True):
        assert result.prediction == int(distance > 0)
        assert 0 < result.radius <= radius
        # 5 standard errors below the expected number of votes, the radius would be this.
        p = float(BASE.smoothed_probability(x, SIGMA)[distances.index(distance)])
        p = max(p, 1 - p)
        fewest = math.floor(PLAN.n * p - 5 * math.sqrt(PLAN.n * p * (1 - p)))
        pA_lower = bound.lower(np.array(fewest), PLAN.n, PLAN.alpha)
        least = certificate.radius(radii.ClassBounds.one_sided(pA_lower))
        assert result.radius >= least
        assert int(result.estimation.n) == PLAN.n


def test_far_from_the_boundary_the_radius_is_the_largest_that_n_allows() -> None:
    results = SMOOTHED.certify(at_distances([20.0]), PLAN)
    assert isinstance(results, list)
    largest = SIGMA * 3.1988  # Phi^-1(0.001^(1/10000))
    assert results[0].radius == pytest.approx(largest, rel=1e-4)
    assert results[0].estimation.votes.tolist() == [0, PLAN.n]


def test_on_the_boundary_it_abstains() -> None:
    x = at_distances([0.0])
    (certified,) = SMOOTHED.certify_each([(0, x[0])], PLAN)
    assert (certified[1].prediction, certified[1].radius) == (None, 0.0)
    predicted = SMOOTHED.predict(x[0], seed=3)
    assert isinstance(predicted, radii.Prediction)
    assert predicted.prediction is None


def test_predictions() -> None:
    x = at_distances([0.3, -0.3, 1.0, -1.0])
    predicted = SMOOTHED.predict(x, seed=3)
    assert isinstance(predicted, list)
    assert [result.prediction for result in predicted] == [1, 0, 1, 0]


def test_bounding_every_class_certifies_less_between_two_classes() -> None:
    x = at_distances([0.5])
    bounded = radii.SamplingPlan(n=10_000, seed=11, bound=MulticlassClopperPearson())
    ((_, one),) = SMOOTHED.certify_each([(0, x[0])], PLAN)
    ((_, other),) = SMOOTHED.certify_each([(0, x[0])], bounded)
    assert 0.9 * one.radius < other.radius < one.radius
