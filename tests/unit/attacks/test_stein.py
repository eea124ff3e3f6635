from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from radii.attacks import Stein
from radii.errors import BaseClassifierError
from tests.oracles import HalfSpace

SIGMA = 0.7
DIM = 5
HALF_SPACE = HalfSpace(torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0], dtype=torch.float64))
NORMAL = (HALF_SPACE.w / HALF_SPACE.w.norm()).float()


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs():
    """At signed distances from the boundary, in units of sigma: probabilities .98 to .5."""
    distances = SIGMA * torch.tensor([2.0, -1.28, 0.5, 0.0])
    return distances[:, None] * NORMAL, torch.tensor([1, 0, 1, 1])


def true_gradient(x, y):
    """phi(distance / sigma) / sigma along the normal, away from the boundary."""
    density = np.exp(-((HALF_SPACE.distance(x) / SIGMA) ** 2) / 2) / math.sqrt(2 * math.pi)
    return torch.from_numpy(density / SIGMA).float()[:, None] * (2 * y - 1)[:, None] * NORMAL


@pytest.mark.parametrize("antithetic", [True, False])
def test_on_a_half_space_the_gradient_is_the_closed_form(antithetic):
    x, y = inputs()
    draws = 100_000
    attack = Stein(epsilon=1.0, sigma=SIGMA, draws=draws, antithetic=antithetic)
    found, _, probability = attack.gradient(HALF_SPACE, x, y, generator=start())
    # E ||delta F||^2 / sigma^4 <= d / sigma^2 a draw; for a pair a quarter, of half as many.
    error = math.sqrt(DIM / SIGMA**2 / draws * (0.5 if antithetic else 1.0))
    assert float((found - true_gradient(x, y)).norm(dim=1).max()) < 4 * error
    expected = torch.from_numpy(ndtr(np.abs(HALF_SPACE.distance(x)) / SIGMA)).float()
    torch.testing.assert_close(probability, expected, atol=4 * 0.5 / math.sqrt(draws), rtol=0)


def test_with_scores_the_gradient_is_that_of_the_mean_softmax():
    w = torch.tensor([1.0, -2.0])
    x, y = torch.tensor([[0.3, 0.1], [-1.0, 0.5]]), torch.tensor([1, 1])

    def logistic(rows):
        return torch.stack([torch.zeros(len(rows)), rows @ w], dim=1)

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    scale = SIGMA * float(w.norm())
    score = 1 / (1 + np.exp(-((x @ w).numpy()[:, None] + scale * nodes)))
    slope = (score * (1 - score) * weights).sum(1) / weights.sum()
    expected = torch.from_numpy(slope).float()[:, None] * w
    attack = Stein(epsilon=1.0, sigma=SIGMA, draws=100_000)
    found, _, probability = attack.gradient(logistic, x, y, generator=start())
    assert float((found - expected).norm(dim=1).max()) < 4 * math.sqrt(2 / 2 / SIGMA**2 / 100_000)
    mean = torch.from_numpy((score * weights).sum(1) / weights.sum()).float()
    torch.testing.assert_close(probability, mean, atol=4 * 0.5 / math.sqrt(100_000), rtol=0)


@pytest.mark.parametrize("antithetic", [True, False])
def test_the_variance_that_it_reports_is_the_one_that_it_has(antithetic):
    x, y = inputs()
    attack = Stein(epsilon=1.0, sigma=SIGMA, draws=100, antithetic=antithetic)
    seen = [attack.gradient(HALF_SPACE, x, y, generator=start(seed)) for seed in range(400)]
    errors = torch.stack([(found - true_gradient(x, y)).square().sum(1) for found, *_ in seen])
    reported = torch.stack(
        [relative * found.square().sum(1) for found, relative, _ in seen if relative.max() < 1]
    )
    # The means of 400 have a standard error below 1 / sqrt(400): the terms are about chi-square.
    torch.testing.assert_close(errors.mean(0), reported.mean(0), rtol=0.25, atol=0)


def test_the_variance_is_the_sample_variance_of_the_mean():
    x, y = inputs()
    draws = 12
    attack = Stein(epsilon=1.0, sigma=SIGMA, draws=draws, antithetic=False)
    found, relative, _ = attack.gradient(HALF_SPACE, x, y, generator=start())
    generator = start()
    noise = torch.stack(
        [SIGMA * torch.empty_like(x).normal_(generator=generator) for _ in range(draws)]
    )
    hits = torch.stack([HALF_SPACE(x + each) == y for each in noise]).float()
    terms = hits[..., None] * noise / SIGMA**2
    torch.testing.assert_close(found, terms.mean(0))
    expected = terms.var(0, correction=1).sum(1) / draws / terms.mean(0).square().sum(1)
    torch.testing.assert_close(relative, expected)


def test_antithetic_draws_have_the_smaller_variance_at_equal_price():
    x, y = inputs()
    x, y = x[1:2], y[1:2]  # p = 0.9
    length = true_gradient(x, y).square().sum(1)
    variance = {}
    for antithetic in (True, False):
        attack = Stein(epsilon=1.0, sigma=SIGMA, draws=20_000, antithetic=antithetic)
        found, relative, _ = attack.gradient(HALF_SPACE, x, y, generator=start())
        variance[antithetic] = float((relative * found.square().sum(1) / length)[0])
    # Summed over the d coordinates, a plain draw has about d p / sigma^2, and pairs, of which there
    # are half as many, d (1 - p) / 2 sigma^2: a ratio of (1 - p) / p = 1 / 9.
    assert variance[False] / 18 < variance[True] < variance[False] / 4.5


def test_answers_may_be_arrays_of_numpy():
    x, y = inputs()
    attack = Stein(epsilon=0.3, sigma=SIGMA, draws=50, steps=3)
    expected = attack.perturb(HALF_SPACE, x, y, generator=start())
    found = attack.perturb(lambda rows: HALF_SPACE(rows).numpy(), x, y, generator=start())
    assert torch.equal(found, expected)


def test_what_it_says_of_the_point_that_it_found():
    x, y = inputs()
    found = Stein(epsilon=0.5, sigma=SIGMA, draws=4000, steps=5).search(
        HALF_SPACE, x, y, generator=start()
    )
    p = torch.from_numpy(HALF_SPACE.smoothed_probability(found.x, SIGMA)).float()
    p = torch.where(y == 1, p, 1 - p)
    probability = found.facts["label_probability"]
    torch.testing.assert_close(probability, p, atol=4 * 0.5 / math.sqrt(4000), rtol=0)
    assert found.queries.tolist() == [6 * 4000] * 4
    assert bool((found.facts["gradient_variance"] < 0.2).all())


@pytest.mark.parametrize("antithetic", [True, False])
def test_the_size_of_a_pass_changes_nothing_but_rounding(antithetic):
    x, y = inputs()
    rows = []

    def base(z):
        rows.append(len(z))
        return HALF_SPACE(z)

    def attack(chunk):
        return Stein(
            epsilon=0.3, sigma=SIGMA, draws=60, steps=3, antithetic=antithetic, chunk=chunk
        )

    expected = attack(10_000).perturb(base, x, y, generator=start())
    assert rows == [240] * 4
    for chunk in (100, 7, 3):
        rows.clear()
        found = attack(chunk).perturb(base, x, y, generator=start())
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        assert max(rows) <= chunk
        assert sum(rows) == 4 * 240


def test_an_answer_that_never_changes_shows_as_pure_noise():
    x, y = inputs()
    found = Stein(epsilon=0.5, sigma=SIGMA, draws=20).search(
        lambda rows: torch.zeros(len(rows), dtype=torch.int64), x, 0 * y, generator=start()
    )
    assert torch.equal(found.x, x)
    assert found.facts["gradient_variance"].tolist() == [1.0] * 4
    assert found.facts["label_probability"].tolist() == [1.0] * 4


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x[:, :1].long(),
        lambda x: x[:, 0],
        lambda x: x[:2],
        lambda x: x[None],
    ],
)
def test_answers_that_are_neither_scores_nor_labels_are_refused(answer):
    x, y = inputs()
    with pytest.raises(BaseClassifierError, match=r"scores \(4000, num_classes\) or whole-number"):
        Stein(epsilon=0.5, sigma=SIGMA).perturb(answer, x, y, generator=start())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be positive and finite, got 0.0"),
        ({"sigma": 0.0}, "sigma must be positive and finite, got 0.0"),
        ({"sigma": -1.0}, "sigma must be positive and finite, got -1.0"),
        ({"step": 0.0}, "step must be positive and finite, got 0.0"),
        ({"draws": 7}, "draws in pairs must be even and at least 4, got 7"),
        ({"draws": 2}, "draws in pairs must be even and at least 4, got 2"),
        ({"draws": 1, "antithetic": False}, "draws must be at least 2, got 1"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
    ],
)
def test_wrong_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Stein(**{"epsilon": 0.5, "sigma": 0.5, **fields})


def test_scaling_scales_the_ball_and_the_step():
    attack = Stein(epsilon=1.0, sigma=0.5, step=0.2).scaled(0.5)
    assert (attack.epsilon, attack.step, attack.sigma) == (0.5, 0.1, 0.5)
