"""The published attack through floating point, and that exact noise leaves it nothing to read.

Voracek and Hein 2023, arXiv:2207.07209: a sum in float32 keeps fewer low bits of the noise, the
larger what it is added to. Around 0 a coordinate of the noise below 1/32 has bits beyond 2^-28.
Around 16/255 none has: where the noise is that small, the sum is not, and is rounded to multiples
of 2^-28; where the sum is small, the noise was not, and both summands are such multiples. A base
classifier that looks for a finer bit anywhere tells the two apart for certain, while the theorem
says that nobody can.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from radii import Certification, SamplingPlan, SmoothedClassifier
from radii.noise import Gaussian, GridGaussian, Noise
from radii.records import Counts

DIM = 784
PLAN = SamplingPlan(n0=100, n=10_000, alpha=0.001, seed=1)
HERE = torch.zeros(DIM)
THERE = torch.full((DIM,), 16 / 255)
DISTANCE = 16 / 255 * math.sqrt(DIM)


def finer_than_2_to_the_minus_28(x: Tensor) -> Tensor:
    """Class 0 if some coordinate has a bit below 2^-28, else class 1."""
    scaled = x * 2.0**28  # exact: only the exponent changes
    return (scaled == scaled.round()).all(dim=1).long()


def certified(noise: Noise, x: Tensor) -> Certification:
    found = SmoothedClassifier(finer_than_2_to_the_minus_28, noise, num_classes=2).certify(x, PLAN)
    assert isinstance(found, Certification)
    return found


@pytest.mark.parametrize("noise", [Gaussian(1.0), GridGaussian(1.0)])
def test_both_points_are_on_the_grid(noise: Noise) -> None:
    assert all(GridGaussian(1.0).objection(x) is None for x in (HERE, THERE))
    assert float((THERE - HERE).double().norm()) == pytest.approx(DISTANCE, rel=1e-6)


def test_noise_in_float32_certifies_a_ball_with_an_adversarial_example_in_it() -> None:
    here, there = certified(Gaussian(1.0), HERE), certified(Gaussian(1.0), THERE)
    assert here.prediction == 0
    assert here.radius > 1.5 * DISTANCE
    assert there.prediction == 1  # well inside the ball
    assert isinstance(there.estimation, Counts)
    assert there.estimation.votes.tolist() == [0, PLAN.n]
    assert there.radius > 1.5 * DISTANCE  # and what is certified there contradicts the other


def test_it_succeeds_with_the_generator_of_torch_too() -> None:
    for x, label in ((HERE, 0), (THERE, 1)):
        noisy = Gaussian(1.0).apply(
            x.expand(1_000, DIM), generator=torch.Generator().manual_seed(0)
        )
        assert bool((finer_than_2_to_the_minus_28(noisy) == label).all())


def test_exact_noise_shows_it_the_same_here_and_there() -> None:
    here, there = certified(GridGaussian(1.0), HERE), certified(GridGaussian(1.0), THERE)
    assert here.prediction == there.prediction == 0
    assert min(here.radius, there.radius) > 1.5 * DISTANCE


def test_no_low_bit_tells_the_points_apart_under_exact_noise() -> None:
    # The same class 1 probability for every cut of bits, up to what the theorem allows.
    noise, rows = GridGaussian(1.0), 400
    generator = torch.Generator()
    for bits in range(8, 40, 4):
        shares = []
        for x in (HERE, THERE):
            noisy = noise.apply(x.expand(rows, DIM), generator=generator.manual_seed(0))
            scaled = noisy * 2.0**bits
            shares.append(float((scaled == scaled.round()).double().mean()))
        # A shift of one coordinate by 16/255 sigma moves any probability by at most this.
        most = math.erf(16 / 255 / 2 / math.sqrt(2))
        assert abs(shares[0] - shares[1]) < most + 5 * math.sqrt(0.25 / (rows * DIM))
