"""The other certificates of Gaussian noise against 40 digits: never above the exact radius.

Formulas as the papers print them, at sigma = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radii.certificates import (
    Certificate,
    GaussianL1,
    GaussianL2ChiSquare,
    GaussianL2Hellinger,
    GaussianL2HockeyStick,
    GaussianL2KL,
    GaussianL2PixelDP,
    GaussianL2Renyi,
    GaussianL2TotalVariation,
    GaussianLinf,
)
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray
from tests.reference.high_precision import CONTEXT, normal_quantile

UNIT = Gaussian(sigma=1.0)
ln, sqrt, exp = CONTEXT.log, CONTEXT.sqrt, CONTEXT.exp


def levels() -> ClassBounds:
    """One-sided from 0.5 + 1e-9 to 1 - 1e-12, and pairs with pA + pB <= 1 of every size."""
    rng = np.random.default_rng(0)
    near = 10 ** rng.uniform(-9, -0.4, 20)
    sure = 10 ** rng.uniform(-12, -0.4, 20)
    one_sided = np.concatenate([0.5 + near, 1 - sure, [0.5 + 1e-9, 1 - 1e-12]])
    small = 10 ** rng.uniform(-250, -0.5, 20)
    share = rng.uniform(0.01, 1, 20)
    close = rng.uniform(0.01, 0.49, 10)
    pA = [one_sided, small + (1 - 2 * small) * share, close * (1 + 10 ** rng.uniform(-9, -2, 10))]
    return ClassBounds(np.concatenate(pA), np.concatenate([1 - one_sided, small, close]))


def pairs() -> list[tuple[float, float]]:
    given = levels()
    return list(zip(given.pA_lower.tolist(), given.pB_upper.tolist(), strict=True))


def kl(pA: Any, pB: Any) -> Any:
    return sqrt(-2 * ln(1 - (sqrt(pA) - sqrt(pB)) ** 2))


def hellinger(pA: Any, pB: Any) -> Any:
    return 2 * sqrt(-ln(1 - (sqrt(pA) - sqrt(pB)) ** 2 / 2))


def chi_square(pA: Any, pB: Any) -> Any:
    return sqrt(ln(1 + (pA - pB) ** 2 / (pA + pB - (pA - pB) ** 2)))


def total_variation(pA: Any, pB: Any) -> Any:
    return 2 * sqrt(2) * CONTEXT.erfinv((pA - pB) / 2)


def cohen(pA: Any, pB: Any) -> Any:
    return (normal_quantile(float(pA)) - normal_quantile(float(pB))) / 2


def linf_in_787(pA: Any, pB: Any) -> Any:
    return cohen(pA, pB) / sqrt(787)


EXACT: list[tuple[Certificate, Callable[[Any, Any], Any]]] = [
    (GaussianL2KL(UNIT), kl),
    (GaussianL2Hellinger(UNIT), hellinger),
    (GaussianL2ChiSquare(UNIT), chi_square),
    (GaussianL2TotalVariation(UNIT), total_variation),
    (GaussianL1(UNIT), cohen),
    (GaussianLinf(UNIT, dim=787), linf_in_787),
]


@pytest.mark.parametrize(
    ("certificate", "formula"), EXACT, ids=[type(one).__name__ for one, _ in EXACT]
)
def test_closed_forms(certificate: Certificate, formula: Callable[[Any, Any], Any]) -> None:
    radius = certificate.radius(levels()).tolist()
    for (pA, pB), ours in zip(pairs(), radius, strict=True):
        exact = formula(CONTEXT.mpf(pA), CONTEXT.mpf(pB))
        assert ours <= exact, f"more than is certified at {pA=}, {pB=}"
        assert ours >= exact * (1 - 1e-11) - 1e-12, f"loose at {pA=}, {pB=}"


def greatest(function: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """The largest value of a function that rises, and then falls or ends: sections into thirds."""
    end = high
    for _ in range(60):
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            low += third
        else:
            high -= third
    return max(function((low + high) / 2), function(end))


def renyi(pA: Any, pB: Any) -> Any:
    def square(a: Any) -> Any:
        mean = ((pA ** (1 - a) + pB ** (1 - a)) / 2) ** (1 / (1 - a))
        return -2 / a * ln(1 - pA - pB + 2 * mean)

    # The function is smooth at a = 1 but its formula is not: the search meets 1 never exactly.
    return sqrt(greatest(square, CONTEXT.mpf("0.3"), CONTEXT.mpf("9.77")))


def pixeldp(pA: Any, pB: Any) -> Any:
    def radius(e: Any) -> Any:
        return e / sqrt(2 * ln(1.25 * (1 + exp(e)) / (pA - exp(2 * e) * pB)))

    most = ln(pA / pB) / 2
    return greatest(
        radius, CONTEXT.mpf(0), min(CONTEXT.mpf(1), most * (1 - CONTEXT.mpf(10) ** -30))
    )


SUPREMA = [(GaussianL2Renyi(UNIT), renyi), (GaussianL2PixelDP(UNIT), pixeldp)]


@pytest.mark.parametrize(
    ("certificate", "formula"), SUPREMA, ids=[type(one).__name__ for one, _ in SUPREMA]
)
def test_suprema(certificate: Certificate, formula: Callable[[Any, Any], Any]) -> None:
    radius = certificate.radius(levels()).tolist()
    for (pA, pB), ours in list(zip(pairs(), radius, strict=True))[::2]:
        exact = formula(CONTEXT.mpf(pA), CONTEXT.mpf(pB))
        assert ours <= exact, f"more than is certified at {pA=}, {pB=}"
        assert ours >= exact * (1 - 1e-11), f"loose at {pA=}, {pB=}"


def test_hockey_stick_is_cohens_radius() -> None:
    tiny = np.array([3e-291, 1e-200, 1e-99, 1e-20])
    given = levels()
    pA = np.concatenate([given.pA_lower, 3 * tiny, [0.3, 1 - 1e-12]])
    pB = np.concatenate([given.pB_upper, tiny, [1e-299, 1e-299]])
    radius: FloatArray = GaussianL2HockeyStick(UNIT).radius(ClassBounds(pA, pB))
    for a, b, ours in zip(pA.tolist(), pB.tolist(), radius.tolist(), strict=True):
        exact = cohen(a, b)
        assert ours <= exact, f"more than is certified at pA={a}, pB={b}"
        assert ours >= exact - 1e-11, f"loose at pA={a}, pB={b}"
