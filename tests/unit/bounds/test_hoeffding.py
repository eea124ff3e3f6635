"""Hoeffding's bound against its formula, and against the exact one."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from radii.bounds import ClopperPearson, Hoeffding


def test_against_the_formula_in_decimals() -> None:
    for k, n, alpha in [(990, 1_000, 0.001), (1, 1, 0.9), (7, 13, 0.3), (10**6, 10**6, 1e-9)]:
        width = (-Decimal(alpha).ln() / (2 * n)).sqrt()
        share = Decimal(k) / n
        lower = Decimal(float(Hoeffding().lower(np.array(k), n, alpha)))
        upper = Decimal(float(Hoeffding().upper(np.array(n - k), n, alpha)))
        assert share - width - Decimal("1e-14") < lower < share - width
        assert 1 - share + width < upper < 1 - share + width + Decimal("1e-14")


def test_clopper_pearson_is_never_looser() -> None:
    for n in (1, 5, 100, 10_000):
        k = np.unique(np.linspace(0, n, 300).astype(np.int64))
        for alpha in (0.3, 0.05, 0.001):
            assert np.all(ClopperPearson().lower(k, n, alpha) >= Hoeffding().lower(k, n, alpha))
