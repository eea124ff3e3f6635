"""What is particular to Gaussian noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from radii.noise import Gaussian


@pytest.mark.parametrize("sigma", [0.0, -0.5, math.inf, math.nan])
def test_refuses_a_sigma(sigma: float) -> None:
    with pytest.raises(ValueError, match=rf"sigma must be positive and finite, got {sigma}"):
        Gaussian(sigma)


def test_log_density_by_hand() -> None:
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    expected = [-math.log(2 * math.pi * 4), -math.log(2 * math.pi * 4) - 25 / 8]
    np.testing.assert_allclose(Gaussian(2.0).log_density(z), expected, rtol=1e-15)


def test_sigma_is_the_standard_deviation_of_one_coordinate() -> None:
    z = Gaussian(0.25).draw((100_000, 4), generator=torch.Generator().manual_seed(0)).double()
    # The standard error of a sample's standard deviation is sigma / sqrt(2 n).
    error = 5 * 0.25 / math.sqrt(2 * 100_000)
    np.testing.assert_allclose(z.std(dim=0), 0.25, atol=error, rtol=0)
    np.testing.assert_allclose(z.mean(dim=0), 0, atol=5 * 0.25 / math.sqrt(100_000))
    covariance = torch.cov(z.T) - torch.eye(4) * 0.25**2
    assert float(covariance.abs().max()) < 5 * 0.25**2 * math.sqrt(2 / 100_000)
