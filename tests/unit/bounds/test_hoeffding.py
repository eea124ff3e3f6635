"""Hoeffding's bound against its formula, and against the exact one."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from radii.bounds import ClopperPearson, Hoeffding


def test_against_the_formula_in_decimals() -> None:
    for k, n, alpha in [(990, 1_000, 0.001), (1, 1, 0.9), (7, 13, 0.3), (10**6, 10**6, 1e-9)]:
        width = (-Decimal(alpha).ln() / (2 * n)).sqrt()
        share = Decimal(k) / n
        lower = Decimal(float(Hoeffding().lower(np.array(k), n, alpha)))
        upper = Decimal(float(Hoeffding().upper(np.array(n - k), n, alpha)))
        assert share - width - Decimal("1e-14") < lower < share - width
        assert 1 - share + width < upper < 1 - share + width + Decimal("1e-14")


def test_both_sides_are_moved_outwards_by_what_is_said() -> None:
    """A share of 2^-50 of the width and 2^-50 more; the roundings of many counts even out."""
    n, alpha = 10_007, 0.001
    width = (-Decimal(alpha).ln() / (2 * n)).sqrt()
    said = float((1 + width) * Decimal(2) ** -50)
    k = np.arange(2_000, 8_000, 7)
    lower, upper = Hoeffding().lower(k, n, alpha), Hoeffding().upper(k, n, alpha)
    shares = [Decimal(i) / n for i in k.tolist()]
    below = [float(p - width - Decimal(a)) for p, a in zip(shares, lower.tolist(), strict=True)]
    above = [float(Decimal(b) - p - width) for p, b in zip(shares, upper.tolist(), strict=True)]
    assert min(below) > 0
    assert min(above) > 0
    assert np.mean(below) == pytest.approx(said, rel=0.1, abs=0)
    assert np.mean(above) == pytest.approx(said, rel=0.1, abs=0)


def test_clopper_pearson_is_never_looser() -> None:
    for n in (1, 5, 100, 10_000):
        k = np.unique(np.linspace(0, n, 300).astype(np.int64))
        for alpha in (0.3, 0.05, 0.001):
            assert np.all(ClopperPearson().lower(k, n, alpha) >= Hoeffding().lower(k, n, alpha))
