"""The self-test passes good noise, and fails each generator that is broken in a known way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from radii.noise import (
    NOISES,
    Gaussian,
    Generators,
    GridGaussian,
    Splitting,
    Stream,
    Uniform,
    self_test,
)
from radii.noise._native import library
from radii.noise.selftest import FALSE_ALARM

CPU = torch.device("cpu")
GOOD: list[Any] = [
    noise
    for noise in (NOISES.build({"name": n, **NOISES[n].examples[0]}) for n in NOISES.names())
    if noise.num_outcomes is None
]


def failed(noise: Any, generators: Generators, **options: Any) -> set[str]:
    return {
        check.name for check in self_test(noise, generators, seed=0, **options) if not check.passed
    }


@pytest.mark.parametrize("noise", GOOD, ids=NOISES.spec_of)
def test_noise_of_this_library_passes(noise: Any) -> None:
    checks = self_test(noise, Generators(CPU), seed=0, draws=2**17, dim=16)
    assert not [check for check in checks if not check.passed]
    assert len({check.name for check in checks}) == len(checks)
    names = {check.name for check in checks}
    assert {"bits", "changes of bits", "repeats among streams"} <= names


@pytest.mark.parametrize("noise", [Gaussian(0.5), GridGaussian(0.5), Uniform(0.5)])
@pytest.mark.parametrize(("rng", "native"), [("auto", True), ("auto", False), ("chacha", True)])
def test_so_does_every_generator(noise: Any, native: bool, rng: Any) -> None:
    generators = Generators(CPU, rng)
    if not native:
        generators.native = None
    checks = self_test(noise, generators, seed=7, draws=2**17)
    assert all(check.passed for check in checks)
    assert {"Kolmogorov-Smirnov", "moment 2", "lower tail of 0.0001"} <= {c.name for c in checks}


def test_the_level_is_shared_and_p_values_say_no_less_than_is_true() -> None:
    # Over 20 seeds the least p-value of m checks is below 1/(20 m) at most once on average, for
    # they are upper bounds. Eight times has probability below 1e-5.
    below = 0
    for seed in range(20):
        checks = self_test(Uniform(0.5), Generators(CPU), seed=seed, draws=2**16)
        below += min(check.p_value for check in checks) < 1 / (20 * len(checks))
    assert below < 8
    assert FALSE_ALARM == 1e-6


class Short(Generators):
    """Streams that repeat after 16 blocks."""

    def key(self, stream: Stream) -> bytes:
        return super().key(replace(stream, block=stream.block % 16))


class ShortOfTorch(Generators):
    """Seeds of 8 bits."""

    def __init__(self) -> None:
        super().__init__(CPU)
        self.native = None

    def __call__(self, stream: Stream) -> torch.Generator:
        seed = int.from_bytes(stream.hashed(1), "little")
        return super().__call__(replace(stream, seed=seed, index=0, block=0))


class Words(Generators):
    """Words that are spoilt; the noise is made of them."""

    def __init__(self) -> None:
        super().__init__(CPU, "chacha")
        self.native = None
        self.good = Generators(CPU, "chacha")

    def words(self, stream: Stream, count: int, *, row: int = 0) -> Tensor:
        return self.spoilt(self.good.words(stream, count, row=row), row)

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        raise NotImplementedError


class ShortWithin(Words):
    """A period of 5,000 words."""

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        return found[torch.arange(len(found)) % 5_000]


class Stuck(Words):
    """The lowest bit is 0, which no noise would show."""

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        return found & ~1


class Flipped(Words):
    """A bit is that of the word before, more often than not."""

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        if row == 1:
            return found
        bit, before = 1 << 31, torch.roll(found, 1)
        often = (found & 7) > 0
        return torch.where(often, (found & ~bit) | (before & bit), found)


class Biased(Words):
    """One word in 50 has its first bit cleared."""

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        return torch.where(found % 50 == 0, found & (2**31 - 1), found)


class Alike(Words):
    """Every stream is the same."""

    def words(self, stream: Stream, count: int, *, row: int = 0) -> Tensor:
        return super().words(Stream(0, 0, "selftest", 0), count, row=row)

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        return found


class Related(Words):
    """Successive blocks share their low words: the seed is not mixed enough."""

    def words(self, stream: Stream, count: int, *, row: int = 0) -> Tensor:
        ours = super().words(replace(stream, block=0), count, row=row)
        own = super().words(stream, count, row=row)
        return torch.where(own % 4 == 0, ours, own)

    def spoilt(self, found: Tensor, row: int) -> Tensor:
        return found


@pytest.mark.parametrize(
    ("broken", "noise", "by"),
    [
        (lambda: Short(CPU), Gaussian(0.5), {"repeats among streams"}),
        (lambda: Short(CPU), GridGaussian(0.5), {"repeats among streams"}),
        (ShortOfTorch, Gaussian(0.5), {"repeats among streams"}),
        (ShortOfTorch, Splitting(0.5), {"repeats among streams"}),
        (ShortWithin, Gaussian(0.5), {"repeats within a stream"}),
        (ShortWithin, GridGaussian(0.5), {"repeats within a stream"}),
        (Stuck, GridGaussian(0.5), {"bits"}),
        (Flipped, Uniform(0.5), {"changes of bits", "correlation at lag 1"}),
        (Biased, GridGaussian(0.5), {"Kolmogorov-Smirnov", "moment 1", "bits"}),
        (Biased, Uniform(0.5), {"Kolmogorov-Smirnov", "moment 1", "bits"}),
        (Alike, Gaussian(0.5), {"repeats among streams", "correlation of two inputs"}),
        (Related, Uniform(0.5), {"correlation of two blocks"}),
    ],
)
def test_broken_generators_fail(broken: Any, noise: Any, by: set[str]) -> None:
    generators = broken()
    if library() is None and not isinstance(generators, ShortOfTorch):
        pytest.skip("no C compiler on this machine")
    assert by <= failed(noise, generators)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (Gaussian(0.51), Gaussian(0.5)),
        (GridGaussian(0.51), GridGaussian(0.5)),
        (Uniform(0.49), Uniform(0.5)),
    ],
)
def test_another_scale_fails(wrong: Any, right: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = type(right).copies

    def copies(self: Any, x: Tensor, *args: Any) -> Tensor:
        found: Tensor = drawn(wrong, x, *args)
        return found

    monkeypatch.setattr(type(right), "copies", copies)
    assert "Kolmogorov-Smirnov" in failed(right, Generators(CPU))


def test_a_shift_of_the_mean_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Gaussian.copies

    def copies(self: Any, x: Tensor, *args: Any) -> Tensor:
        return drawn(self, x, *args).add_(0.02)

    monkeypatch.setattr(Gaussian, "copies", copies)
    assert "moment 1" in failed(Gaussian(0.5), Generators(CPU))


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(ValueError, match="enumerated"):
        self_test(Splitting(0.5, deterministic=True), Generators(CPU), seed=0)
    with pytest.raises(ValueError, match="draws must be at least"):
        self_test(Gaussian(1.0), Generators(CPU), seed=0, draws=100)
