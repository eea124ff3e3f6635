"""Noise on a grid: exact thresholds, the law that is drawn, and that it only shifts with x."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import gammaincc
from torch import Tensor

from radii import SamplingPlan, SmoothedClassifier
from radii.certificates import covering, find
from radii.noise import NOISES, Gaussian, Generators, GridGaussian, GridUniform, Stream
from radii.noise._grid import GridNoise
from radii.noise._native import add_whole, library, words
from radii.noise._thresholds import Thresholds
from radii.records import ClassBounds

CPU = torch.device("cpu")
STREAM = Stream(3, 1, "estimation", 2)
LAWS: list[Any] = [GridGaussian(0.25), GridGaussian(0.5), GridGaussian(1.0), GridGaussian(0.7, 3)]
LAWS += [GridUniform(0.3), GridUniform(0.5, 7), GridGaussian(8.0), GridUniform(60.0)]

needs_compiler = pytest.mark.skipif(library() is None, reason="no C compiler on this machine")


def whole(noisy: Tensor, levels: int) -> npt.NDArray[np.int64]:
    """The whole numbers that are shown, after a check that they are shown exactly."""
    found = (noisy.double() * levels).round()
    assert torch.equal((found.float() / torch.tensor(float(levels))), noisy)
    return np.asarray(found.long().numpy())


@pytest.mark.parametrize(
    ("sigma", "levels"), [(0.25, 255), (0.5, 255), (0.1, 1), (1 / 3, 10), (2.0, 255)]
)
def test_thresholds_are_those_of_high_precision(sigma: float, levels: int) -> None:
    table = GridGaussian(sigma, levels).thresholds()
    with mpmath.workdps(60):
        deviation = mpmath.mpf(sigma) * levels
        for place in range(0, len(table.values), max(1, len(table.values) // 300)):
            edge = (place + table.least + mpmath.mpf(1) / 2) / deviation
            expected = int(mpmath.nint(mpmath.ncdf(edge) * 2**64))
            assert int(table.values[place]) == expected
        beyond = (len(table.values) + table.least + mpmath.mpf(1) / 2) / deviation
        assert mpmath.ncdf(-beyond) * 2**64 <= 1 / 2  # so its threshold is 2^64


def test_thresholds_of_the_uniform_law_are_fractions() -> None:
    for half_width, levels in ((0.3, 255), (0.5, 7), (0.25, 10), (1.0, 1)):
        table = GridUniform(half_width, levels).thresholds()
        w = Fraction(half_width) * levels
        for place, value in enumerate(table.values.tolist()):
            exact = (place + table.least + Fraction(1, 2) + w) / (2 * w)
            assert 0 < exact < 1
            assert abs(value - exact * 2**64) <= Fraction(1, 2)
        assert len(table.values) + table.least + Fraction(1, 2) >= w


def test_the_stated_distance_is_that_of_the_laws() -> None:
    noise = GridGaussian(0.5)
    table = noise.thresholds()
    edges = [0, *table.values.tolist(), 2**64]
    with mpmath.workdps(50):
        deviation = mpmath.mpf(0.5) * 255
        exact = [
            mpmath.ncdf((place + table.least + mpmath.mpf(1) / 2) / deviation)
            for place in range(len(table.values))
        ]
        masses = np.diff([mpmath.mpf(0), *exact, mpmath.mpf(1)])
        drawn = [mpmath.mpf(b - a) / 2**64 for a, b in itertools.pairwise(edges)]
        distance = sum(abs(a - b) for a, b in zip(masses, drawn, strict=True)) / 2
    assert 0 < distance <= table.total_variation
    assert table.total_variation < 6.4e-17  # the numbers of the docstring
    assert table.total_variation * 150_528 < 9.6e-12


@pytest.mark.parametrize("noise", LAWS, ids=NOISES.spec_of)
@pytest.mark.parametrize("rng", ["auto", "chacha"])
def test_the_law_is_drawn(noise: Any, rng: Any) -> None:
    rows, dim = 500, 1_000
    generators = Generators(CPU, rng)
    found = whole(noise.at(torch.zeros(1, dim).expand(rows, dim), STREAM, generators), noise.levels)
    by_torch = whole(
        noise.apply(torch.zeros(rows, dim), generator=Generators(CPU)(STREAM)), noise.levels
    )
    for numbers in (found, by_torch):
        assert p_value(numbers.ravel(), noise.thresholds()) > 1e-6


def p_value(numbers: npt.NDArray[np.int64], table: Thresholds) -> float:
    """Pearson's chi-square test against the law, in cells where 10 or more are expected."""
    expected = table.probabilities * numbers.size
    counts = np.bincount(numbers - table.least, minlength=len(expected))
    assert len(counts) == len(expected), "a number beyond the law"
    cells = np.minimum(np.cumsum(expected) // 50, numbers.size // 50 - 1).astype(np.int64)
    wanted, found = (np.bincount(cells, each) for each in (expected, counts))
    kept = wanted > 0
    assert wanted[kept].min() >= 10
    statistic = float(((found - wanted)[kept] ** 2 / wanted[kept]).sum())
    return float(gammaincc((kept.sum() - 1) / 2, statistic / 2))


def test_the_check_of_the_law_sees_another_sigma() -> None:
    rows, dim = 500, 1_000
    noise = GridGaussian(0.512)
    found = noise.at(torch.zeros(1, dim).expand(rows, dim), STREAM, Generators(CPU))
    assert p_value(whole(found, 255).ravel(), GridGaussian(0.5).thresholds()) < 1e-6


@needs_compiler
@pytest.mark.parametrize("noise", LAWS, ids=NOISES.spec_of)
@pytest.mark.parametrize("key", [bytes(range(16)), bytes(range(32))], ids=["threefry", "chacha"])
@pytest.mark.parametrize("dim", [1, 37, 256, 784])
def test_compiled_code_and_torch_agree_given_the_same_bits(
    noise: GridNoise, key: bytes, dim: int
) -> None:
    rows = 40
    x = torch.randint(0, noise.levels + 1, (dim,), generator=torch.Generator().manual_seed(0))
    x = (x / noise.levels).float()
    code = library()
    assert code is not None
    found = add_whole(code, x, torch.empty(rows, dim), noise.thresholds(), noise.levels, key)
    high, low = (words(code, rows * dim, key, row) for row in (0, 1))
    uniform = (((high - 2**31) << 32) | low).view(rows, dim)
    expected = noise._shifted(x.expand(rows, dim), uniform, None)
    assert torch.equal(found, expected)
    narrow = torch.empty(rows, dim, dtype=torch.bfloat16)
    add_whole(code, x, narrow, noise.thresholds(), noise.levels, key)
    assert torch.equal(narrow, expected.bfloat16())


@needs_compiler
def test_the_second_words_decide_where_the_first_do_not() -> None:
    # Thresholds right at, below and above the uniform numbers that the stream holds.
    code, key, count = library(), bytes(range(16)), 200
    assert code is not None
    high, low = (words(code, count, key, row).numpy().astype(np.uint64) for row in (0, 1))
    uniform = np.sort((high << np.uint64(32)) | low)
    exact = np.sort(
        np.concatenate([uniform[::3], uniform[1::3] + np.uint64(1), uniform[2::3] - np.uint64(1)])
    )
    table = Thresholds(exact, least=-7)
    found = add_whole(code, torch.zeros(1), torch.empty(count), table, 1, key).numpy()
    in_order = (high << np.uint64(32)) | low
    assert np.array_equal(found, np.searchsorted(exact, in_order, side="right") - 7)


@needs_compiler
@pytest.mark.parametrize("noise", LAWS, ids=NOISES.spec_of)
def test_extreme_words_are_decided(noise: GridNoise) -> None:
    # Every bucket, at its first and last number and at each threshold, by the rule of the source.
    table = noise.thresholds()
    width = np.uint64(64 - table.bits)
    starts = np.arange(1 << table.bits, dtype=np.uint64) << width
    ends = starts + np.uint64((1 << int(width)) - 1)
    uniform = np.concatenate([starts, ends, table.values, table.values - np.uint64(1)])
    entry = table.guide[uniform >> width]
    following = (uniform >> (width - np.uint64(16))) & np.uint64(0xFFFF)
    below, place = entry >> 16, entry & 0xFFFF
    decided = (below != 0xFFFF) & (following != place)
    exact = np.searchsorted(table.values, uniform, side="right")
    assert np.array_equal((below + (following > place))[decided], exact[decided])
    low, high = table.first[uniform >> width], table.first[(uniform >> width) + np.uint64(1)]
    assert np.all((low <= exact) & (exact <= high))
    assert 0.3 < decided[: 2 << table.bits].mean()


@pytest.mark.parametrize("rng", ["auto", "chacha"])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inputs_that_differ_by_whole_levels_see_the_same_noise_shifted(
    rng: Any, native: bool, dtype: torch.dtype
) -> None:
    generators = Generators(CPU, rng)
    if not native:
        generators.native = None
    noise, rows = GridGaussian(0.25), 300
    levels = torch.arange(256).repeat(2)
    shift = torch.randint(-255, 256, levels.shape, generator=torch.Generator().manual_seed(0))
    x, other = levels / 255, (levels + shift) / 255

    def shown(at: Tensor) -> Tensor:
        out = torch.empty(rows, len(at), dtype=dtype)
        return noise.at(at.expand(rows, -1), STREAM, generators, out=out)

    a = whole(noise.at(x.expand(rows, -1), STREAM, generators), 255)
    b = whole(noise.at(other.expand(rows, -1), STREAM, generators), 255)
    assert np.array_equal(b - a, shift.expand(rows, -1).numpy())
    # What is shown is a function of the whole number alone.
    quotients = torch.from_numpy(b).float() / torch.tensor(255.0)
    assert torch.equal(shown(other), quotients.to(dtype))
    assert torch.equal(shown(x), (torch.from_numpy(a).float() / torch.tensor(255.0)).to(dtype))


@pytest.mark.parametrize("pA", [0.6, 0.9, 0.99, 0.9999])
def test_the_worst_classifier_of_the_drawn_law_does_not_flip_inside_the_radius(pA: float) -> None:
    # On a line the worst classifier is that of the highest likelihood ratios of the whole numbers.
    noise = GridGaussian(0.1, levels=20)
    table = noise.thresholds()
    mass = table.probabilities
    radius = float(find(noise, "l2").radius(ClassBounds.one_sided(pA)))
    for shift in range(1, math.ceil(radius * 20)):
        assert shift / 20 < radius
        # Around x + shift the probability of -z is that of z - shift around x, and so on: both
        # laws on the whole numbers from least to most + shift.
        here = np.append(mass, np.zeros(shift))
        there = np.append(np.zeros(shift), mass)
        order = np.argsort(there / np.maximum(here, 1e-300), kind="stable")
        kept = np.cumsum(here[order])
        place = int(np.searchsorted(kept, pA))
        part = (pA - (kept[place - 1] if place else 0)) / here[order][place]
        answered = there[order][:place].sum() + part * there[order][place]
        assert answered > 0.5 - 1e-12


def test_every_certificate_of_gaussian_noise_applies() -> None:
    for norm in ("l1", "l2", "linf"):
        ours, theirs = covering(GridGaussian(0.5), norm, 10), covering(Gaussian(0.5), norm, 10)
        assert list(ours) == list(theirs)
        bounds = ClassBounds.one_sided(np.array([0.6, 0.9, 0.999]))
        for name, certificate in ours.items():
            assert np.array_equal(certificate.radius(bounds), theirs[name].radius(bounds))
            assert "multiples of 1/255" in (certificate.domain or "")
            assert theirs[name].domain is None
    assert find(GridUniform(0.5), "l1").domain == find(GridGaussian(0.5), "l2").domain


def base(x: Tensor) -> Tensor:
    return (x.mean(dim=1) > 0.5).long()


@pytest.mark.parametrize("noise", [GridGaussian(0.25), GridUniform(0.3)])
def test_inputs_off_the_grid_are_refused(noise: GridNoise) -> None:
    smoothed = SmoothedClassifier(base, noise, num_classes=2)
    on = torch.arange(256, dtype=torch.float32) / 255
    plan = SamplingPlan(n=100, n0=10, seed=0, alpha=0.01)
    norm: Any = "l2" if isinstance(noise, Gaussian) else "l1"
    for x in (on, on.flip(0), -on, on * 3, torch.arange(256).float() * (1 / 255)):
        smoothed.certify(x, plan, norm=norm)
    for x in (on + 0.001, on.clone().index_fill_(0, torch.tensor([9]), 0.5), on / 2):
        with pytest.raises(ValueError, match=r"input 0 must be multiples of 1/255.*round"):
            smoothed.certify(x, plan, norm=norm)
    with pytest.raises(ValueError, match="524288 levels"):
        smoothed.predict(on * 10_000, seed=0)


def test_eight_bit_images_are_on_the_grid_however_they_were_divided() -> None:
    noise = GridGaussian(0.25)
    k = np.arange(256, dtype=np.uint8)
    for x in (
        *(k.astype(np.float32) / np.float32(255), k.astype(np.float32) * np.float32(1 / 255)),
        *((k / 255).astype(np.float32), 1 - (k / 255).astype(np.float32)),
    ):
        assert noise.objection(torch.from_numpy(x)) is None
    assert noise.objection(torch.tensor([0.5])) is not None
    assert GridGaussian(0.25, levels=2).objection(torch.tensor([0.5])) is None


def test_votes_do_not_depend_on_the_batch_size_or_the_generator_in_torch() -> None:
    x = (torch.arange(12) % 5 / 4 * 255).round() / 255
    plan = SamplingPlan(n0=30, n=500, alpha=0.01, seed=5, block=50)
    for rng in ("auto", "chacha"):
        votes = [
            SmoothedClassifier(
                base, GridGaussian(0.5), num_classes=2, rng=rng, batch_size=size
            ).certify(x, plan)
            for size in (50, 117, None)
        ]
        assert len({str(found) for found in votes}) == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grid_gaussian:sigma=0", "sigma must be positive"),
        ("grid_gaussian:sigma=0.0001", "sigma must be from 0.000392157 to 8.03137"),
        ("grid_gaussian:sigma=9", "sigma must be from"),
        ("grid_gaussian:sigma=0.5,levels=0", "levels must be a whole number from 1"),
        ("grid_uniform:half_width=0.001", "half_width must be from 0.00392157"),
        ("grid_uniform:half_width=0.5,levels=100000", "levels must be"),
    ],
)
def test_wrong_parameters_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NOISES.build(spec)


def test_apply_rounds_what_is_off_the_grid() -> None:
    generator = Generators(CPU)
    x = torch.tensor([[0.5, 0.1, 0.9]])
    rounded = (x * 255).round() / 255
    noise = replace(GridGaussian(0.25), levels=255)
    assert torch.equal(
        noise.apply(x, generator=generator(STREAM)),
        noise.apply(rounded, generator=generator(STREAM)),
    )
