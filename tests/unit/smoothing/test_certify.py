"""CERTIFY and PREDICT against the algorithms as published, written with another library."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.certificates import GaussianL2
from radii.errors import PlanError
from radii.noise import Gaussian
from radii.records import Counts
from radii.smoothing import SamplingPlan, decide
from radii.smoothing.certify import check_prediction, two_sided_p_value

SIGMA = 0.5
CERTIFICATE = GaussianL2(Gaussian(SIGMA))


def cohen(
    selection: npt.NDArray[np.int64], estimation: npt.NDArray[np.int64], alpha: float
) -> tuple[int | None, float]:
    """CERTIFY of Cohen et al. 2019, arXiv:1902.02918, Algorithm 1."""
    c_hat = int(selection.argmax())
    n_a, n = int(estimation[c_hat]), int(estimation.sum())
    pA_lower = stats.beta.ppf(alpha, n_a, n - n_a + 1) if n_a else 0.0
    return (c_hat, SIGMA * stats.norm.ppf(pA_lower)) if pA_lower > 0.5 else (None, 0.0)


def drawn(seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(4, rng.choice([0.1, 0.5, 2.0])))
    n0, n = rng.integers(1, 100), rng.integers(20, 100_000)
    return rng.multinomial(n0, p), rng.multinomial(n, p)


def test_decide_is_the_published_algorithm() -> None:
    certified = 0
    for seed in range(500):
        alpha = (0.001, 0.05)[seed % 2]
        selection, estimation = drawn(seed)
        ours = decide(Counts(selection), Counts(estimation), SamplingPlan(alpha=alpha), CERTIFICATE)
        prediction, radius = cohen(selection, estimation, alpha)
        assert ours.prediction == prediction
        assert ours.radius == pytest.approx(radius, rel=1e-9)
        assert ours.radius == 0 or prediction is not None
        certified += prediction is not None
    assert 200 < certified < 450


def test_decide_keeps_the_votes() -> None:
    selection, estimation = Counts(np.array([3, 7])), Counts(np.array([10, 90]))
    ours = decide(selection, estimation, SamplingPlan(), CERTIFICATE)
    assert ours.selection is selection
    assert ours.estimation is estimation
    assert 1 - ours.pA_lower == pytest.approx(ours.pB_upper, abs=1e-12)


def test_the_class_comes_from_the_selection_alone() -> None:
    votes = Counts(np.array([0, 1000]))
    ours = decide(Counts(np.array([1, 0])), votes, SamplingPlan(), CERTIFICATE)
    assert (ours.prediction, ours.radius, ours.pA_lower, ours.pB_upper) == (None, 0.0, 0.0, 1.0)


def test_p_value_is_that_of_the_two_sided_binomial_test() -> None:
    for n in (1, 2, 11, 100, 999):
        for k in range((n + 1) // 2, n + 1, max(1, n // 50)):
            expected = stats.binomtest(k, n, 0.5).pvalue
            assert two_sided_p_value(np.array(k), np.array(n)) == pytest.approx(expected, rel=1e-9)


def test_p_value_of_no_votes_is_1() -> None:
    assert two_sided_p_value(np.array(0), np.array(0)) == 1


@pytest.mark.parametrize(("alpha", "least"), [(0.001, 11), (0.05, 6), (0.6, 2)])
def test_least_n_to_predict(alpha: float, least: int) -> None:
    # 2 / 2^n <= alpha; at alpha = 0.001 with 10 draws no answer is possible.
    assert 2 * 0.5**least <= alpha < 2 * 0.5 ** (least - 1)
    check_prediction(least, alpha)
    with pytest.raises(PlanError, match=rf"n={least - 1} draws .* take n of at least {least},"):
        check_prediction(least - 1, alpha)


@pytest.mark.parametrize(
    ("n", "alpha"), [(0, 0.001), (100, 0.0), (100, 1.0), (100, 1.5), (100, math.nan)]
)
def test_arguments_that_no_prediction_can_have(n: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"n must be a whole number|alpha must be in \(0, 1\)"):
        check_prediction(n, alpha)
