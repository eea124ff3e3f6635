"""Tests of two runs against each other: paired, unpaired, and over several radii."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtr, stdtr

from radii.evaluation.metrics import BoolArray, mean_below
from radii.records import FloatArray


@dataclass(frozen=True)
class PairedDifference:
    """The mean of differences on the same inputs, and whether it may be 0.

    Attributes:
        a: Mean of the first; may be infinite.
        b: Mean of the second.
        difference: `b - a`; None where it would be infinity less infinity.
        se: Standard error of the difference over the choice of inputs; None for a single input or
            an infinite difference.
        z: `difference / se`; 0 where nothing differs, and None where there is no standard error or
            it is 0.
        p_value: Two-sided, of the hypothesis of no difference, by Student's law with `inputs - 1`
            degrees of freedom, which is wider than the normal one; None with z.
    """

    a: float
    b: float
    difference: float | None
    se: float | None
    z: float | None
    p_value: float | None

    @classmethod
    def of(cls, a: FloatArray, b: FloatArray) -> PairedDifference:
        """Of two values of each input, `(inputs,)` and `(inputs,)`, at least one, none NaN."""
        means = mean_below(a.tolist()), mean_below(b.tolist())
        if not all(map(math.isfinite, means)):
            both = math.isinf(means[0]) and math.isinf(means[1])
            return cls(*means, None if both else means[1] - means[0], None, None, None)
        difference = b - a
        mean = float(difference.mean())
        if len(a) == 1:
            return cls(*means, mean, None, None, None)
        if not difference.any():
            return cls(*means, 0.0, 0.0, 0.0, 1.0)
        if difference.min() == difference.max():
            return cls(*means, mean, 0.0, None, None)
        se = float(difference.std(ddof=1) / math.sqrt(len(a)))
        z = mean / se
        return cls(*means, mean, se, z, float(2 * stdtr(len(a) - 1, -abs(z))))


@dataclass(frozen=True)
class TwoProportion:
    """The pooled two-proportion z-test, which papers print: as if the inputs were different ones.

    On the same inputs it is weaker than a paired test.

    Attributes:
        z: Positive if the second share is larger; 0 if both are 0 or both are 1.
        p_value: Two-sided, of the hypothesis that both have one probability, by the normal law.
        p_holm: The same corrected for the number of radii; see `holm`.
    """

    z: float
    p_value: float
    p_holm: float

    @staticmethod
    def test(a: int, b: int, n: int, m: int | None = None) -> tuple[float, float]:
        """`z` and `p_value` for a of n against b of m, by default as many.

        Example:
            >>> z, p_value = TwoProportion.test(24_500, 25_000, 50_000)
            >>> print(f"{z:.4f} {p_value:.6f}")
            3.1624 0.001565
        """
        m = n if m is None else m
        pooled = (a + b) / (n + m)
        se = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        z = (b / m - a / n) / se if se else 0.0
        return z, two_sided(z)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: of inputs on which just one run is right, each has half of them.

    Attributes:
        a_only: Inputs on which only the first is right.
        b_only: Inputs on which only the second is.
        p_value: Two-sided, from the binomial law.
        p_holm: The same corrected for the number of radii; see `holm`.

    Reference:
        McNemar 1947, Psychometrika 12, pages 153-157; the exact version is the sign test.
    """

    a_only: int
    b_only: int
    p_value: float
    p_holm: float

    @staticmethod
    def test(a: BoolArray, b: BoolArray) -> tuple[int, int, float]:
        """`a_only`, `b_only` and `p_value` of two answers for each input, `(inputs,)`.

        Example:
            >>> McNemar.test(np.array([True, True, False]), np.array([False, True, False]))
            (1, 0, 1.0)
        """
        a_only, b_only = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
        fewer, total = min(a_only, b_only), a_only + b_only
        p_value = min(1.0, 2 * float(bdtr(fewer, total, 0.5))) if total else 1.0
        return a_only, b_only, p_value


def two_sided(z: float) -> float:
    """How often a standard normal number is at least as far from 0 as z."""
    return float(2 * ndtr(-abs(z)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's method, in their order.

    With probability at least `1 - level`, none of the hypotheses that are true is rejected, when
    those with a corrected value of at most `level` are; however the tests depend on each other.

    Reference:
        Holm 1979, Scandinavian Journal of Statistics 6, pages 65-70.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]
