"""Search on arrays: where it ends, and on which side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radii.certificates._search import bisect, maximise, root
from radii.records import FloatArray, IntArray

ROOTS = np.array([[1e-9, 0.3, 1.0], [2.0, 7.5, 9.999]])


def test_bisect_ends_just_below_the_root() -> None:
    found = bisect(lambda x: x < ROOTS, 0.0, np.full(ROOTS.shape, 10.0))
    assert found.shape == ROOTS.shape
    assert np.all(found < ROOTS)
    np.testing.assert_allclose(found, ROOTS, rtol=2e-13)


@given(st.floats(-5, 5), st.integers(0, 30), st.integers(0, 2**32))
def test_bisect_gives_only_what_was_answered_yes(low: float, steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    said_yes = [np.full(4, low)]

    def holds(x: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        yes = rng.random(4) < 0.5
        said_yes.append(np.where(yes, x, low))
        return yes

    found = bisect(holds, low, low + np.arange(4.0), steps=steps)
    assert np.all((found == np.array(said_yes)).any(axis=0))
    assert np.all((low <= found) & (found <= low + np.arange(4.0)))
    assert found[0] == low


def test_bisect_answers_each_entry_as_if_it_were_alone() -> None:
    roots = np.geomspace(1e-12, 9, 50)
    together = bisect(lambda x: x < roots, 0.0, np.full(50, 10.0))
    alone = [bisect(lambda x, root=root: x < root, 0.0, 10.0) for root in roots]  # type: ignore[misc]
    assert np.array_equal(together, np.array(alone))


def test_bisect_counts_its_steps_and_skips_closed_intervals() -> None:
    asked = []

    def never(x: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        asked.append(x)
        return np.zeros(x.shape, dtype=bool)

    assert bisect(never, np.array([1.0, 0.0]), np.array([1.0, 0.0])).tolist() == [1.0, 0.0]
    assert not asked
    assert bisect(never, 0.0, 1.0, steps=7) == 0.0
    assert len(asked) == 7
    assert bisect(lambda x: x < 0.5, 0.0, 1.0).shape == ()


def test_maximise_finds_a_smooth_maximum_to_half_the_digits() -> None:
    places = np.linspace(-3, 3, 13).reshape(13, 1)
    found = maximise(lambda x: -((x - places) ** 2), -3.0, np.full((13, 1), 3.0))
    assert found.shape == (13, 1)
    np.testing.assert_allclose(found, places, atol=2e-8)


def test_maximise_takes_the_higher_of_two_hills() -> None:
    heights = np.array([0.9, 1.1])
    found = maximise(
        lambda x: np.maximum(np.exp(-50 * (x - 1) ** 2), heights * np.exp(-50 * (x + 1) ** 2)),
        -2.0,
        np.full(2, 2.0),
    )
    np.testing.assert_allclose(found, [1, -1], atol=1e-7)


def test_maximise_at_either_end() -> None:
    assert maximise(lambda x: x, 0.0, 2.0) == 2.0
    assert maximise(lambda x: -x, 0.0, 2.0) == 0.0
    assert maximise(lambda x: 0 * x, 0.25, 0.25) == 0.25


@given(st.integers(2, 9), st.integers(0, 20))
def test_maximise_gives_the_best_that_it_saw(grid: int, steps: int) -> None:
    seen: list[tuple[float, float]] = []

    def rugged(x: FloatArray) -> FloatArray:
        value = np.asarray(np.sin(40 * x) + np.cos(97 * x))
        seen.append((float(value), float(x)))
        return value

    found = float(maximise(rugged, 0.1, 1.7, grid=grid, steps=steps))
    assert len(seen) == grid + 2 + steps
    assert 0.1 <= found <= 1.7
    assert found == pytest.approx(max(seen)[1], abs=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: -np.sinh(40 * x),
        lambda x: -np.arctan(1e6 * x),
        lambda x: np.expm1(-200 * x),
        lambda x: -np.cbrt(x),
        lambda x: -np.sign(x),
        lambda x: -(x**3),
        lambda x: np.where(x > 0, -1.0, 2.0),
        lambda x: np.where(x > 0, -np.inf, 1e-300),
    ],
)
def test_root_is_where_the_sign_changes(function: Callable[[FloatArray], FloatArray]) -> None:
    places = np.array([-0.9, -1e-3, 0, 0.2, 0.5, 1.9])
    asked = []

    def shifted(x: FloatArray, at: IntArray) -> FloatArray:
        asked.append(x.size)
        return function(x - places[at])

    found = root(shifted, np.full(6, -1.0), np.full(6, 2.0))
    np.testing.assert_allclose(found, places, rtol=0, atol=4e-13)
    assert len(asked) < 120


def test_root_is_an_end_where_no_sign_changes() -> None:
    values = np.array([1.0, -1.0, 0.0, np.inf])
    low, high = np.arange(4.0), np.arange(4.0) + 1
    assert root(lambda x, at: values[at], low, high).tolist() == [1, 1, 2, 4]
    assert root(lambda x, at: 1 - x, np.ones(1), np.ones(1)).tolist() == [1]
    assert root(lambda x, at: x, np.ones(0), np.ones(0)).shape == (0,)


def test_root_answers_each_entry_as_if_it_were_alone() -> None:
    places = np.geomspace(1e-12, 9, 50)

    def found(places: FloatArray) -> FloatArray:
        ends = np.zeros(places.size), np.full(places.size, 10.0)
        return root(lambda x, at: np.log(places[at]) - np.log(x + 1e-300), *ends)

    assert found(places).tolist() == [found(place).item() for place in places[:, None]]


def test_root_asks_seldom() -> None:
    asked = []

    def gap(x: FloatArray, at: IntArray) -> FloatArray:
        asked.append(x.size)
        return 3 - x - np.exp(x)

    root(gap, np.full(1, -20.0), np.full(1, 20.0))
    assert len(asked) < 25
