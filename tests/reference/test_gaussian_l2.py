"""The l2 radius of Gaussian noise against 40 digits, and against published radii."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from radii.bounds import ClopperPearson
from radii.certificates import GaussianL2
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray
from tests.reference.high_precision import normal_quantile


def one_sided(pA: FloatArray, sigma: float = 1.0) -> FloatArray:
    return GaussianL2(Gaussian(sigma)).radius(ClassBounds.one_sided(pA))


def levels(seed: int) -> FloatArray:
    """500 numbers in (1/2, 1): spread evenly, close to 1/2 and close to 1."""
    rng = np.random.default_rng(seed)
    close = 10 ** rng.uniform(-15, -0.31, 300)
    return np.concatenate([rng.uniform(0.5, 1, 200), 0.5 + close[:150], 1 - close[150:]])


@pytest.mark.parametrize("seed", [0, 1])
def test_one_sided_radius(seed: int) -> None:
    pA = levels(seed)
    for p, radius in zip(pA.tolist(), one_sided(pA).tolist(), strict=True):
        exact = normal_quantile(p)
        assert radius <= exact, f"more than is certified at pA={p}"
        assert radius >= exact * (1 - 1e-11), f"loose at pA={p}"


@pytest.mark.parametrize("sigma", [0.25, 0.7])
def test_two_sided_radius(sigma: float) -> None:
    rng = np.random.default_rng(3)
    pB = 10 ** rng.uniform(-300, -0.5, 500)
    pA = pB + (1 - 2 * pB) * rng.uniform(0.01, 1, 500)
    radius = GaussianL2(Gaussian(sigma)).radius(ClassBounds(pA, pB))
    for a, b, ours in zip(pA.tolist(), pB.tolist(), radius.tolist(), strict=True):
        exact = (normal_quantile(a) - normal_quantile(b)) * sigma / 2
        assert ours <= exact, f"more than is certified at pA={a}, pB={b}"
        assert ours >= exact * (1 - 1e-11), f"loose at pA={a}, pB={b}"


def test_largest_radius() -> None:
    # Cohen et al. 2019, section 3.2.2: with 100,000 draws at alpha = 0.001, 3.8 sigma. The digits
    # are those of Phi^-1(alpha^(1/n)) in 40-digit arithmetic.
    pA_lower = ClopperPearson().lower(np.array(100_000), 100_000, 0.001)
    largest = float(one_sided(pA_lower))
    assert largest == pytest.approx(3.8114, abs=1e-4)
    assert largest <= normal_quantile(0.001 ** (1 / 100_000))


def test_every_published_radius_is_that_of_some_count(shared_data: Path) -> None:
    """Logs released with Jeong and Shin 2020: three digits, n = 100,000, alpha = 0.001.

    Near the largest radius the counts are far enough apart for the digits to tell them.
    """
    k = np.arange(50_000, 100_001)
    unit = one_sided(ClopperPearson().lower(k, 100_000, 0.001))
    known = {s: {float(f"{s * r:.3}") for r in unit} for s in (0.25, 0.5, 1.0)}
    files = rows = 0
    with tarfile.open(shared_data / "logs" / "jeong2020-mnist.tar.gz") as archive:
        for member in archive:
            sigma = re.search(r"/cohen/noise_([\d.]+)_\d+$", member.name)
            stream = archive.extractfile(member) if sigma else None
            if sigma is None or stream is None:
                continue
            lines = stream.read().decode().splitlines()[1:]
            fields = [line.split("\t") for line in lines]
            published = {float(field[3]) for field in fields if field[2] != "-1"}
            assert published <= known[float(sigma[1])], member.name
            files, rows = files + 1, rows + len(fields)
    assert (files, rows) == (15, 150_000)
