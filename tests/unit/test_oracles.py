"""The oracles themselves, against closed forms: a test that cannot fail tests nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from radii.noise import AdditiveNoise, Gaussian
from tests.falsifier import directions, worst_case
from tests.oracles import HalfSpace


@dataclass(frozen=True)
class _Uniform(AdditiveNoise):
    """Uniform on [-1, 1]^d: its likelihood ratio has jumps, and mass where its density is 0."""

    def draw(
        self, shape: Sequence[int], *, generator: torch.Generator, out: Tensor | None = None
    ) -> Tensor:
        return torch.rand(tuple(shape), generator=generator, out=out).mul_(2).sub_(1)

    def log_density(self, z: Tensor) -> Tensor:
        inside = (z.abs() <= 1).flatten(1).all(1)
        constant = torch.full_like(z.flatten(1)[:, 0], -math.log(2) * z[0].numel())
        return constant.masked_fill(~inside, -math.inf)

    def energy(self, dim: int) -> float:
        return 1 / 3


LEVELS = [(0.7, 0.3), (0.99, 0.01), (0.5, 0.1), (0.3, 0.2)]


@pytest.mark.parametrize(("pA", "pB"), LEVELS)
@pytest.mark.parametrize("length", [0.1, 1.0, 2.0])
def test_worst_case_of_gaussian_noise(pA: float, pB: float, length: float) -> None:
    # Cohen et al. 2019, arXiv:1902.02918, equations 11 and 12.
    sigma = 0.5
    for delta in directions("l2", sigma * length):
        case = worst_case(Gaussian(sigma), delta, pA, pB)
        assert case.pA == pytest.approx(ndtr(ndtri(pA) - length), abs=case.error)
        assert case.pB == pytest.approx(ndtr(ndtri(pB) + length), abs=case.error)
        assert case.error < 0.15


@pytest.mark.parametrize(("pA", "pB"), LEVELS)
def test_worst_case_of_uniform_noise(pA: float, pB: float) -> None:
    # A shift by s of one side takes s/2 of the mass out of sight.
    case = worst_case(_Uniform(), torch.tensor([0.2, 0.0], dtype=torch.float64), pA, pB)
    assert case.pA == pytest.approx(pA - 0.1, abs=case.error)
    assert case.pB == pytest.approx(pB + 0.1, abs=case.error)
    assert case.error < 0.01


@pytest.mark.parametrize(("norm", "order"), [("l1", 1), ("l2", 2), ("linf", math.inf)])
def test_directions_have_the_length(norm: str, order: float) -> None:
    rays = directions(norm, 0.7, shape=(2, 3))  # type: ignore[arg-type]
    assert [float(torch.linalg.vector_norm(ray, order)) for ray in rays] == pytest.approx([0.7] * 3)
    assert [int(ray.count_nonzero()) for ray in rays] == [1, 6, 6]


def test_half_space() -> None:
    base = HalfSpace(torch.tensor([3.0, 4.0], dtype=torch.float64), b=-5.0)
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.5]])
    assert base(x).tolist() == [1, 0, 0]
    assert base.exact_radius(x).tolist() == [4.0, 1.0, 0.0]
    np.testing.assert_allclose(
        base.smoothed_probability(x, sigma=2.0),
        [0.9772498680518208, 0.3085375387259869, 0.5],  # Phi(2), Phi(-1/2), Phi(0)
        rtol=1e-15,
    )
