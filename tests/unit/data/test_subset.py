from __future__ import annotations

import numpy as np
import pytest

from radii.data import Subset

TEXTS = ["all", "first:1", "first:500", "every:20", "random:500,seed=0", "random:7,seed=123456789"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_subset_are_inverse(text):
    subset = Subset.parse(text)
    assert str(subset) == text
    assert Subset.parse(str(subset)) == subset


@pytest.mark.parametrize("text", TEXTS)
def test_indices_are_ascending_distinct_and_inside(text):
    indices = Subset.parse(text).indices(1000)
    assert indices.dtype == np.int64
    assert (np.diff(indices) > 0).all()
    assert 0 <= indices[0] <= indices[-1] < 1000


def test_which_indices():
    assert Subset().indices(4).tolist() == [0, 1, 2, 3]
    assert Subset.parse("first:3").indices(4).tolist() == [0, 1, 2]
    assert Subset.parse("every:3").indices(10).tolist() == [0, 3, 6, 9]
    assert len(Subset.parse("every:20").indices(10_000)) == 500
    assert Subset.parse("random:4,seed=5").indices(4).tolist() == [0, 1, 2, 3]


def test_a_random_choice_belongs_to_its_seed():
    chosen = Subset.parse("random:50,seed=1").indices(1000)
    assert chosen.tolist() == Subset.parse("random:50,seed=1").indices(1000).tolist()
    assert chosen.tolist() != Subset.parse("random:50,seed=2").indices(1000).tolist()
    assert set(chosen) <= set(Subset.parse("random:60,seed=1").indices(1000))


def test_a_random_choice_is_uniform():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[Subset("random", 5, seed).indices(20)] += 1
    # Each count is Binomial(2000, 1/4): five standard deviations, for 20 counts at once.
    assert np.abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("all", "complete"),
        ("first:10", "complete"),
        ("every:1", "complete"),
        ("random:10,seed=0", "complete"),
        ("random:9,seed=0", "random"),
        ("first:9", "window"),
        ("every:2", "window"),
    ],
)
def test_what_it_stands_for(text, description):
    assert Subset.parse(text).describes(10) == description


@pytest.mark.parametrize("text", ["first:11", "random:11,seed=0"])
def test_more_than_there_is(text):
    with pytest.raises(ValueError, match=f"'{text}' asks for 11 inputs, but the data set has 10"):
        Subset.parse(text).indices(10)


@pytest.mark.parametrize(
    "text",
    [
        *("", "al", "all:3", "first", "first:", "first:0", "first:-1", "first:1.5", "every:0"),
        *("random:5", "random:5,seed=", "random:5,seed=-1", "random:0,seed=1", "first:5,seed=1"),
        *("last:5", " all", "all\n"),
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="must be all, first:N, every:K or random:N,seed=S"):
        Subset.parse(text)


@pytest.mark.parametrize(
    "fields",
    [
        *(("all", 3), ("first",), ("first", 0), ("every", -1), ("first", 3, 1), ("random", 3)),
        *(("random", 3, -1), ("last", 3)),
    ],
)
def test_fields_that_do_not_fit_are_refused(fields):
    with pytest.raises(ValueError, match="must be"):
        Subset(*fields)


@pytest.mark.parametrize(
    "fields", [("every", 2.5), ("first", 2.5), ("first", 2.0), ("first", True), ("random", 3, 1.5)]
)
def test_numbers_that_are_not_whole_are_refused(fields):
    with pytest.raises(ValueError, match=r"(number|seed) must be a whole number, got"):
        Subset(*fields)


def test_whole_numbers_of_numpy_are_those_of_python():
    assert Subset("random", np.int64(3), np.int64(1)) == Subset("random", 3, 1)
