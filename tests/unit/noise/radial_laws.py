"""Exact laws of norms and directions, to compare draws with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import betainc

from radii.noise import AdditiveNoise

FloatArray = npt.NDArray[np.float64]

ORDERS = {"l1": 1, "l2": 2, "linf": np.inf}


def drawn(noise: AdditiveNoise, draws: int, dim: int) -> FloatArray:
    generator = torch.Generator().manual_seed(0)
    return noise.draw((draws, dim), generator=generator).double().numpy()


def assert_uniform(probabilities: FloatArray) -> None:
    """Values of a distribution function at its own draws are uniform on [0, 1].

    By Dvoretzky, Kiefer and Wolfowitz (with Massart's constant) the distance is larger with
    probability below 1e-9.
    """
    n = len(probabilities)
    ordered = np.sort(probabilities)
    steps = np.arange(n + 1) / n
    distance = max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1]))
    assert distance < math.sqrt(math.log(2e9) / (2 * n)), f"distance {distance} for {n} draws"


def assert_uniform_direction(z: FloatArray, norm: str) -> None:
    """First and last coordinate of `z / ||z||` follow the cone measure, with fair signs."""
    n, dim = z.shape
    u = z / np.linalg.norm(z, ORDERS[norm], axis=1)[:, None]
    for column in (u[:, 0], u[:, -1]):
        size = np.abs(column)
        if norm == "l2":  # u_1^2 ~ Beta(1/2, (dim - 1)/2)
            assert_uniform(betainc(0.5, (dim - 1) / 2, np.minimum(size**2, 1)))
        elif norm == "l1":  # |u_1| ~ Beta(1, dim - 1)
            assert_uniform(1 - (1 - size) ** (dim - 1))
        else:  # on a face of its own with probability 1/dim, else uniform in [0, 1]
            face = size == 1
            assert abs(face.mean() - 1 / dim) < 6 * math.sqrt(1 / dim / n)
            assert_uniform(size[~face])
        assert abs(np.sign(column).mean()) < 6 / math.sqrt(n)
    assert abs((np.sign(u[:, 0]) * np.sign(u[:, -1])).mean()) < 6 / math.sqrt(n)


def assert_independent_of_direction(z: FloatArray, norm: str) -> None:
    """The rank of the norm does not correlate with the share of the first coordinate in it."""
    length = np.linalg.norm(z, ORDERS[norm], axis=1)
    share = np.abs(z[:, 0]) / length

    def ranks(values: FloatArray) -> Any:
        return values.argsort().argsort() / len(values) - 0.5

    correlation = 12 * float(np.mean(ranks(length) * ranks(share)))
    assert abs(correlation) < 6 / math.sqrt(len(z))
