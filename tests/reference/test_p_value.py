"""The p-value of PREDICT against exact binomial tails."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radii.smoothing.certify import two_sided_p_value
from tests.reference.high_precision import CONTEXT, upper_tail


@pytest.mark.parametrize("n", [1, 2, 11, 100, 1000, 10_000, 100_000])
def test_p_value_is_never_below_the_exact_one(n: int) -> None:
    spread = np.linspace(0, 10, 41) * math.sqrt(n) / 2
    for k in np.unique(np.minimum(np.ceil(n / 2 + spread), n)).astype(np.int64).tolist():
        exact = min(CONTEXT.mpf(1), 2 * upper_tail(k, n, 0.5))
        p_value = float(two_sided_p_value(np.array(k), np.array(n)))
        assert p_value <= exact * (1 + 1e-9), f"loose at {k=}"
        assert p_value >= exact, f"below the exact one by a share of {float(1 - p_value / exact)}"
