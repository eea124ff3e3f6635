"""Counts that fit, against counts whose radius is printed as the published code does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.certificates import find
from radii.evaluation.importers import CountTable, Printed
from radii.noise import Gaussian, Laplace


def published(k, n, alpha, sigma):
    """The radius that CERTIFY of Cohen et al. 2019 prints for k of n votes; None: abstains."""
    lower = stats.beta.ppf(alpha, k, n - k + 1)
    return None if k == 0 or lower < 0.5 else f"{sigma * stats.norm.ppf(lower):.3}"


@pytest.mark.parametrize(
    ("n", "alpha", "sigma"), [(200, 0.001, 0.25), (1000, 0.01, 1.0), (20_000, 0.001, 0.5)]
)
def test_exactly_the_counts_whose_radius_is_printed_so_fit(n, alpha, sigma):
    table = CountTable(find(Gaussian(sigma), "l2"), n, alpha)
    counts = np.arange(n // 2 - 5, n + 1)
    counts = counts if len(counts) < 600 else np.concatenate([counts[::37], counts[-50:]])
    printed = Printed(digits=3, decimals=99)
    for k in counts:
        text = published(int(k), n, alpha, sigma)
        if text is None:
            least, most = table.abstaining
        else:
            value, half = np.array(float(text)), printed.half_unit(text)
            least, most = table.fitting_radii(value - half, value + half).tolist()
            ends = [published(each, n, alpha, sigma) for each in (least, most)]
            assert [float(end or 0) for end in ends] == pytest.approx(
                [float(text)] * 2, abs=half * 1.0001
            )
            beyond = [published(each, n, alpha, sigma) for each in (least - 1, most + 1)]
            assert beyond[0] is None or float(beyond[0]) < float(text)
            assert most == n or float(beyond[1]) > float(text)
        assert least <= k <= most


def test_the_bound_of_the_least_count_certifies_no_more_than_was_printed():
    table = CountTable(find(Gaussian(0.25), "l2"), 100_000, 0.001)
    value = np.array([0.953, 0.5, 0.0102])
    half = np.array([0.0005, 0.0005, 0.00005])
    fits = table.fitting_radii(value - half, value + half)
    assert fits[0].tolist() == [100_000, 100_000]
    assert np.all(fits[:, 0] <= fits[:, 1])
    radius = 0.25 * stats.norm.ppf(table.bounds(fits[:, 0]).pA_lower)
    assert np.all(radius <= value + half)
    assert np.all(radius >= value - half)


def test_what_no_count_gives():
    table = CountTable(find(Gaussian(0.25), "l2"), 100_000, 0.001)
    low, high = np.array([0.9405, 0.9775]), np.array([0.9415, 0.9785])
    fits = table.fitting_radii(low, high)
    assert np.all(fits[:, 0] > fits[:, 1])
    assert table.below(low).tolist() == [99_999, 100_000]
    assert np.all(table.radius[table.below(low)] <= low)


def test_a_radius_of_any_width_is_of_a_count_that_certifies():
    table = CountTable(find(Gaussian(0.25), "l2"), 100, 0.001)
    least, most = table.fitting_radii(np.array(-0.4), np.array(0.6)).tolist()
    assert least == table.least_certified == table.abstaining[1] + 1
    assert table.radius[least] > 0 == table.radius[least - 1]
    assert most == 100


def test_bounds_fit_too():
    table = CountTable(find(Laplace(1.0), "l1"), 1000, 0.0005)
    there = table.lower[[0, 400, 1000]]
    assert table.fitting_bounds(there, there).tolist() == [[0, 0], [400, 400], [1000, 1000]]


@pytest.mark.parametrize(
    ("texts", "text", "half"),
    [
        (["1.9", "0.953", "2.35e-05"], "1.9", 0.005),
        (["1.9", "0.953", "2.35e-05"], "0.953", 0.0005),
        (["1.9", "0.953", "2.35e-05"], "2.35e-05", 5e-8),
        (["1.2345", "0.0123"], "0.0123", 0.00005),  # four decimals
        (["1.2345", "0.0123"], "1.2345", 0.00005),
        (["2", "10"], "10", 0.5),
        (["0.12345678901234567"], "0.12345678901234567", 5e-18),
    ],
)
def test_half_of_the_last_digit(texts, text, half):
    assert Printed.of(texts).half_unit(text) == pytest.approx(half)


def test_no_radius_at_all():
    assert Printed.of([]) == Printed(0, 0)
