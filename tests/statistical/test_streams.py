"""Draws of many blocks together are one sample of independent normals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats  # noqa: TID251 an independent reference

from radii.noise import Gaussian, Generators, Stage, Stream

pytestmark = pytest.mark.slow

BLOCKS = 3_000
SHAPE = (20, 51)  # no multiple of 16, the group in which torch makes normals


def blocks(vary: str, stage: Stage = "estimation") -> npt.NDArray[np.float32]:
    """`(BLOCKS, 20 * 51)` standard normals, one stream a row; one part of the name counts up."""
    generators = Generators(torch.device("cpu"))
    out = torch.empty(BLOCKS, *SHAPE)
    for i in range(BLOCKS):
        name = {"seed": 9, "index": 4, "block": 2} | {vary: i}
        stream = Stream(name["seed"], name["index"], stage, name["block"])
        Gaussian(1.0).draw(SHAPE, generator=generators(stream), out=out[i])
    return out.flatten(1).numpy()


@pytest.mark.parametrize("vary", ["seed", "index", "block"])
def test_normal_and_independent_across_blocks(vary: str) -> None:
    z = blocks(vary).astype(np.float64)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    # The first values of the blocks, the means, the squares: each a sample of its own law.
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-4
    assert stats.kstest(z.mean(axis=1) * math.sqrt(z.shape[1]), "norm").pvalue > 1e-4
    assert stats.kstest((z**2).sum(axis=1), stats.chi2(z.shape[1]).cdf).pvalue > 1e-4
    # Blocks beside each other: a correlation of 3 million pairs.
    for lag in (1, 2, 624):
        product = z[lag:] * z[:-lag]
        assert abs(product.mean()) < 5 / math.sqrt(product.size)


def test_no_draw_is_met_twice() -> None:
    rows = np.concatenate([blocks("block"), blocks("block", "selection"), blocks("seed")])
    # The stream (9, 4, "estimation", 2) is among those whose block and those whose seed counts up.
    assert len({row[:8].tobytes() for row in rows}) == 3 * BLOCKS - 1
