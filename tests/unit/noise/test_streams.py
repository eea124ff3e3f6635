"""Streams: distinct names, distinct noise, and none of it shared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch

from radii.noise import Generators, Stage, Stream

CPU = torch.device("cpu")
STREAM = Stream(seed=1, index=2, stage="selection", block=3)
STAGES: tuple[Stage, ...] = get_args(Stage)


def words(stream: Stream) -> npt.NDArray[np.int64]:
    """The 624 words of the Mersenne Twister at the start of a stream."""
    return Generators(CPU)(stream).get_state()[24 : 24 + 8 * 624].numpy().view(np.int64).copy()


def normals(stream: Stream, n: int) -> npt.NDArray[np.float64]:
    return np.asarray(torch.randn(n, generator=Generators(CPU)(stream)), dtype=np.float64)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1 + 2**32},  # the same low 32 bits, all that manual_seed keeps on CPU
        {"seed": 1 + 2**64},
        {"seed": -1},
        {"index": 2 + 2**32},
        {"block": 3 + 2**32},
        {"stage": "estimation"},
        {"seed": 12, "index": 2},
        {"seed": 1, "index": 22},
    ],
    ids=str,
)
def test_another_name_is_another_state(change: dict[str, Any]) -> None:
    ours, others = words(STREAM), words(replace(STREAM, **change))
    # Two independent words agree with probability 2^-32 each.
    assert int((ours == others).sum()) <= 2


def test_names_do_not_run_together() -> None:
    names = [Stream(1, 23, "selection", 4), Stream(12, 3, "selection", 4)]
    names += [Stream(1, 2, "selection", 34), Stream(1, 23, "estimation", 4)]
    assert len({words(name).tobytes() for name in names}) == 4


def test_ten_thousand_names_give_ten_thousand_states() -> None:
    found = {
        words(Stream(seed, index, stage, block)).tobytes()
        for seed in range(2)
        for index in range(50)
        for stage in STAGES
        for block in range(20)
    }
    assert len(found) == 2 * 50 * len(STAGES) * 20


def test_the_state_is_not_one_of_those_that_32_bits_can_name() -> None:
    def second(first: int) -> int:  # MT19937's initialisation, as published in 2002
        return (1812433253 * (first ^ (first >> 30)) + 1) % 2**32

    state = torch.Generator().manual_seed(123).get_state()[24 : 24 + 8 * 624].numpy()
    seeded = state.view(np.int64)
    assert second(int(seeded[0])) == seeded[1]
    ours = words(STREAM)
    assert second(int(ours[0])) != ours[1]
    assert ours.min() >= 0
    assert ours.max() < 2**32


def test_the_state_is_evenly_random() -> None:
    bits = np.unpackbits(words(STREAM).astype("<u4").view(np.uint8))
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / math.sqrt(len(bits))


def test_a_stream_starts_anew_whatever_was_drawn_before() -> None:
    generators = Generators(CPU)
    first = torch.randn(3, generator=generators(STREAM))  # 3: half of a pair is left over
    torch.randn(5, generator=generators(replace(STREAM, block=9)))
    assert torch.equal(torch.randn(3, generator=generators(STREAM)), first)
    assert torch.equal(torch.randn(3, generator=Generators(CPU)(STREAM)), first)


def test_values_are_standard_normal() -> None:
    n = 1_000_000
    z = normals(STREAM, n)
    # Moments of N(0, 1) are 0, 1, 0, 3 with variances 1, 2, 15, 96.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert np.mean(z**power) == pytest.approx(moment, abs=5 * math.sqrt(variance / n))


def test_selection_and_estimation_share_nothing() -> None:
    n = 100_000
    selection = normals(STREAM, n)
    estimation = normals(replace(STREAM, stage="estimation"), n)
    assert abs(np.mean(selection * estimation)) < 5 / math.sqrt(n)
    # Of float32 normals some agree by chance; in one place, or in a shifted copy, hardly any do.
    for shift in range(8):
        assert np.mean(selection[: n - shift] == estimation[shift:]) < 1e-3


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    torch.randn(5, generator=Generators(CPU)(STREAM))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_name_says_which_generator() -> None:
    assert Generators(CPU).name == "mt19937-shake128/1"
