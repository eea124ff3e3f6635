"""Splitting noise on a grid: its exact law, the worst classifier for it, and how it is drawn."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import gammaincc
from torch import Tensor

from radii import SamplingPlan, SmoothedClassifier
from radii.certificates import Certificate, SplittingL1, SplittingL1Box, covering, find
from radii.noise import (
    NOISES,
    Gaussian,
    Generators,
    GridSplitting,
    Splitting,
    Stream,
    exact_form,
    self_test,
)
from radii.noise._native import library
from radii.records import ClassBounds
from radii.verification.independent import radius_of

CPU = torch.device("cpu")
STREAM = Stream(3, 1, "estimation", 2)
# Counts of levels to a piece: odd, even, below and above the number of levels.
SMALL = [GridSplitting(count / 8, levels=4) for count in (2, 3, 5, 6, 11)]

Law = dict[Any, Fraction]


def count_of(noise: GridSplitting) -> int:
    return round(2 * noise.half_width * noise.levels)


def offsets(noise: GridSplitting) -> dict[int, Fraction]:
    """The offsets that are drawn, with the probabilities of the law that is meant."""
    count = count_of(noise)
    found = {z: Fraction(1, count) for z in range(-(count // 2), count // 2 + 1)}
    if count % 2 == 0:
        found[count // 2] = found[-(count // 2)] = Fraction(1, 2 * count)
    return found


def shown(noise: GridSplitting, level: int, offset: int) -> Fraction:
    """The definition: cuts at `offset + 1/2 + k count` levels, the piece of the level in [0, 1]."""
    count = count_of(noise)
    low = (
        offset + Fraction(1, 2) + math.floor(Fraction(2 * (level - offset) - 1, 2 * count)) * count
    )
    assert low < level < low + count
    return (max(low, Fraction(0)) + min(low + count, Fraction(noise.levels))) / (2 * noise.levels)


def law(noise: GridSplitting, level: int) -> Law:
    """What a coordinate becomes, by enumeration of its offsets."""
    found: Law = defaultdict(Fraction)
    for offset, mass in offsets(noise).items():
        found[shown(noise, level, offset)] += mass
    return found


@pytest.mark.parametrize("count", [2, 3, 4, 101, 102, 153, 510, 32_768])
def test_offsets_are_uniform_but_for_the_stated_distance(count: int) -> None:
    table = GridSplitting(count / 510)._offsets.thresholds()
    edges = [0, *table.values.tolist(), 2**64]
    drawn = [0] * count
    for place, (a, b) in enumerate(itertools.pairwise(edges)):
        drawn[(place + table.least) % count] += b - a
    distance = sum(abs(Fraction(mass, 2**64) - Fraction(1, count)) for mass in drawn) / 2
    assert distance <= (count + 2) * Fraction(1, 2**65)
    assert table.total_variation <= (count + 2) * 2.0**-65


@pytest.mark.parametrize(
    "noise", [*SMALL, GridSplitting(0.3), GridSplitting(1.2)], ids=NOISES.spec_of
)
def test_what_is_shown_is_the_definition_rounded_once(noise: GridSplitting) -> None:
    drawn = torch.tensor(list(offsets(noise)), dtype=torch.float32)
    levels = [*range(-7, min(noise.levels, 12) + 8), noise.levels, 1000, 2**19, -(2**19)]
    x = torch.tensor(levels, dtype=torch.float32) / torch.tensor(float(noise.levels))
    rows = len(drawn)
    found = noise._shown(x.expand(rows, -1), drawn[:, None].expand(-1, len(x)).clone())
    expected = [[float(shown(noise, each, int(z))) for each in levels] for z in drawn]
    # A quotient of small whole numbers is the same float32 whether or not float64 comes between.
    assert torch.equal(found, torch.tensor(expected, dtype=torch.float64).float())
    apart = noise._shown(x.expand(rows, -1).clone(), drawn[:, None].expand(-1, len(x)).clone())
    assert torch.equal(found, apart)


@pytest.mark.parametrize("noise", SMALL, ids=NOISES.spec_of)
def test_a_step_leaves_the_piece_exactly_as_often_as_the_theorem_says(noise: GridSplitting) -> None:
    for a, b in itertools.combinations(range(noise.levels + 1), 2):
        expected = min(Fraction(1), Fraction(b - a, count_of(noise)))
        moved = sum(
            mass
            for offset, mass in offsets(noise).items()
            if shown(noise, a, offset) != shown(noise, b, offset)
        )
        assert moved == expected
        here, there = law(noise, a), law(noise, b)
        assert sum(here.values()) == 1
        zero = Fraction(0)
        apart = [abs(here.get(v, zero) - there.get(v, zero)) for v in here | there]
        assert sum(apart, zero) / 2 == expected


# What the worst classifier answers, from the joint law of two coordinates.


def joint(noise: GridSplitting, point: tuple[int, ...]) -> Law:
    """The law of what an input becomes: its coordinates are independent."""
    found: Law = {(): Fraction(1)}
    for level in point:
        found = {
            (*before, value): mass * part
            for before, mass in found.items()
            for value, part in law(noise, level).items()
        }
    return found


def worst_margin(here: Law, there: Law, pA: Fraction, pB: Fraction) -> Fraction:
    """Of A over B at the other point, by the classifier of the likelihood ratios."""

    def mass_after(p: Fraction) -> Fraction:
        """Of the set of lowest ratios that has mass p here, in parts where it must be."""
        after = Fraction(0)
        for value in sorted(here, key=lambda value: there.get(value, 0) / here[value]):
            part = min(p, here[value])
            after += there.get(value, Fraction(0)) * part / here[value]
            p -= part
        return after

    return mass_after(pA) - (1 - mass_after(1 - pB))


def assert_no_flip(certificate: Certificate, *, box: bool) -> None:
    """At no grid point inside the radius can B be ahead; at a tie neither is the answer."""
    noise: Any = certificate.noise
    levels, count = noise.levels, count_of(noise)
    around = range(0 if box else -2, levels + (1 if box else 3))
    certified = 0
    for start in ((0, 0), (1, 2)):
        here = joint(noise, start)
        for point in itertools.product(around, repeat=2):
            if point == start:
                continue
            # Bounds under which the lead is lost at this point, by so much and no more.
            kept = math.prod(
                max(Fraction(0), 1 - Fraction(abs(a - b), count))
                for a, b in zip(start, point, strict=True)
            )
            there = joint(noise, point)
            for gap in (2 * (1 - kept) - Fraction(1, 1000), Fraction(1, 3), Fraction(9, 10)):
                if not 0 < gap < 1:
                    continue
                for pB in ((1 - gap) / 2, (1 - gap) / 4):
                    pA = pB + gap
                    given = ClassBounds(np.array(float(pA)), np.array(float(pB)))
                    radius = float(certificate.radius(given))
                    certified += radius > 0
                    distance = sum(abs(a - b) for a, b in zip(start, point, strict=True)) / levels
                    if distance < radius:
                        margin = worst_margin(here, there, pA, pB)
                        assert margin > 0, f"a classifier flips at {point}, {margin}, {radius}"
    assert certified, "the certificate gives no radius at any level"


def mutant(certificate: Certificate, radius: Callable[[ClassBounds], Any]) -> Certificate:
    """The same certificate with another formula."""
    kind = type(certificate)
    changed: Any = type("Mutant", (kind,), {"radius": lambda self, given: radius(given)})
    made: Certificate = changed(certificate.noise)
    return made


@pytest.mark.parametrize("noise", [SMALL[1], *SMALL[3:]], ids=NOISES.spec_of)
@pytest.mark.parametrize("kind", [SplittingL1, SplittingL1Box])
def test_no_classifier_flips_inside_the_radius_and_wrong_formulas_are_caught(
    noise: GridSplitting, kind: Any
) -> None:
    certificate, box = kind(noise), kind is SplittingL1Box
    right = certificate.radius
    assert_no_flip(certificate, box=box)
    for wrong in (lambda given: 1.05 * right(given), lambda given: 2 * right(given)):
        with pytest.raises(AssertionError, match="a classifier flips"):
            assert_no_flip(mutant(certificate, wrong), box=box)
    swapped = mutant(certificate, lambda given: right(ClassBounds(given.pB_upper, given.pA_lower)))
    with pytest.raises(AssertionError, match="no radius at any level"):
        assert_no_flip(swapped, box=box)


def test_outside_the_box_its_radius_is_too_large() -> None:
    # A step of more than 1 along one axis loses more than two steps that make it up.
    noise, step = GridSplitting(11 / 8, levels=16), 21
    given = ClassBounds(np.array(0.95), np.array(0.05))
    box, plain = (float(kind(noise).radius(given)) for kind in (SplittingL1Box, SplittingL1))
    assert plain < step / 16 < box
    here, there = (joint(noise, (level,)) for level in (0, step))
    assert worst_margin(here, there, Fraction(19, 20), Fraction(1, 20)) < 0


def test_every_certificate_of_random_splitting_noise_applies() -> None:
    ours, theirs = (covering(kind(0.9), "l1") for kind in (GridSplitting, Splitting))
    assert list(ours) == list(theirs) == ["splitting_l1", "splitting_l1_box"]
    bounds = ClassBounds.one_sided(np.array([0.6, 0.9, 0.999]))
    for name, certificate in ours.items():
        assert np.allclose(certificate.radius(bounds), theirs[name].radius(bounds), rtol=1e-12)
        assert "multiples of 1/255" in (certificate.domain or "")
    assert "lie in [0, 1]" in (ours["splitting_l1_box"].domain or "")
    assert "lie in [0, 1]" not in (ours["splitting_l1"].domain or "")
    assert isinstance(find(GridSplitting(0.9), "l1"), SplittingL1)


@pytest.mark.parametrize("half_width", [0.3333333333, 0.33333333336])
@pytest.mark.parametrize("name", ["splitting_l1", "splitting_l1_box"])
def test_a_half_width_that_is_rounded_counts_as_that_of_the_cuts(
    half_width: float, name: str
) -> None:
    noise = GridSplitting(half_width)
    assert noise.width == 170 / 255
    radius = float(find(noise, "l1", name).radius(ClassBounds(np.array(0.9), np.array(0.1))))
    assert Fraction(radius) < Fraction(1, 3) * (Fraction(0.9) - Fraction(0.1))
    slack = radius_of(name, NOISES.spec_of(noise), None)
    assert slack is not None
    assert 0 <= slack(radius, 0.9, 0.1) < 1e-11
    assert slack(radius * (1 + 2e-12), 0.9, 0.1) < 0


# How it is drawn.


@pytest.mark.parametrize("noise", [GridSplitting(0.3), GridSplitting(1.2)], ids=NOISES.spec_of)
@pytest.mark.parametrize("rng", ["auto", "chacha"])
@pytest.mark.parametrize("native", [True, False])
def test_the_law_is_drawn(noise: GridSplitting, rng: Any, native: bool) -> None:
    generators = Generators(CPU, rng)
    if not native:
        generators.native = None
    levels, rows = (0, 3, 100, 255), 40_000
    x = (torch.tensor(levels) / 255).expand(rows, -1)
    found = noise.at(x, STREAM, generators)
    for level, column in zip(levels, found.T, strict=True):
        counts = Counter(column.tolist())
        exact = {float(np.float32(float(v))): rows * float(p) for v, p in law(noise, level).items()}
        assert counts.keys() <= exact.keys()
        statistic = sum((counts[v] - wanted) ** 2 / wanted for v, wanted in exact.items())
        assert min(exact.values()) > 50
        assert gammaincc((len(exact) - 1) / 2, statistic / 2) > 1e-6
    for i, j in itertools.combinations(range(len(levels)), 2):  # each has an offset of its own
        one, other = law(noise, levels[i]), law(noise, levels[j])
        p = float(sum(one[v] * other.get(v, 0) for v in one))
        share = float((found[:, i] == found[:, j]).double().mean())
        assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / rows))


@pytest.mark.skipif(library() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("noise", [*SMALL, GridSplitting(0.3)], ids=NOISES.spec_of)
def test_torch_takes_the_place_of_compiled_code_to_the_last_bit(noise: GridSplitting) -> None:
    x = (torch.arange(37) % (noise.levels + 1) / noise.levels).expand(50, 37)
    here, there = Generators(CPU, "chacha"), Generators(CPU, "chacha")
    there.native = None
    a, b = (noise.at(x, STREAM, generators) for generators in (here, there))
    assert torch.equal(a, b)
    assert noise.generator_name(there) == noise.generator_name(here) == "chacha20-shake256/1"
    for generators in (here, there):
        wide, narrow = torch.full((50, 37), math.nan), torch.empty(50, 37, dtype=torch.bfloat16)
        assert noise.at(x, STREAM, generators, out=wide) is wide
        assert noise.at(x, STREAM, generators, out=narrow) is narrow
        assert torch.equal(wide, a)
        assert torch.equal(narrow, a.bfloat16())


@pytest.mark.parametrize("rng", ["auto", "chacha"])
def test_two_inputs_meet_the_same_cuts(rng: Any) -> None:
    noise, rows, step = GridSplitting(0.3), 100_000, 40
    a, b = (
        noise.at(torch.full((1, 1), k / 255).expand(rows, 1), STREAM, Generators(CPU, rng))
        for k in (90, 90 + step)
    )
    share = float((a != b).double().mean())
    assert bool((a <= b).all())
    p = step / 153
    assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / rows))


def base(x: Tensor) -> Tensor:
    return (x.mean(dim=1) > 0.5).long()


def test_votes_do_not_depend_on_the_batch_size() -> None:
    x = (torch.arange(12) % 5 / 4 * 255).round() / 255
    plan = SamplingPlan(n0=30, n=500, alpha=0.01, seed=5, block=50)
    for rng in ("auto", "chacha"):
        votes = [
            SmoothedClassifier(
                base, GridSplitting(0.5), num_classes=2, rng=rng, batch_size=size
            ).certify(x, plan, norm="l1")
            for size in (50, 117, None)
        ]
        assert len({str(found) for found in votes}) == 1


def test_inputs_off_the_grid_are_refused() -> None:
    smoothed = SmoothedClassifier(base, GridSplitting(0.3), num_classes=2)
    on = torch.arange(256, dtype=torch.float32) / 255
    plan = SamplingPlan(n=100, n0=10, seed=0, alpha=0.01)
    for x in (on, on.flip(0), torch.arange(256).float() * (1 / 255)):
        smoothed.certify(x, plan, norm="l1")
    for x in (on + 0.001, on.clone().index_fill_(0, torch.tensor([9]), 0.5), on / 2):
        with pytest.raises(ValueError, match=r"input 0 must be multiples of 1/255.*round"):
            smoothed.certify(x, plan, norm="l1")
    assert GridSplitting(2.0, levels=2).objection(torch.tensor([0.5])) is None
    assert GridSplitting(0.125, levels=2**16).objection(torch.tensor([0.5 + 2.0**-17])) is not None


def test_apply_rounds_what_is_off_the_grid() -> None:
    generators, noise = Generators(CPU), GridSplitting(0.25 + 1 / 1020)
    x = torch.tensor([[0.5, 0.1, 0.9]])
    rounded = (x * 255).round() / 255
    assert torch.equal(
        noise.apply(x, generator=generators(STREAM)),
        noise.apply(rounded, generator=generators(STREAM)),
    )


def test_exact_form_of_splitting_noise() -> None:
    assert exact_form(Splitting(0.3)) == GridSplitting(0.3)
    assert exact_form(GridSplitting(0.3)) == GridSplitting(0.3)
    enumerated = Splitting(0.5, deterministic=True)
    assert exact_form(enumerated) is enumerated
    with pytest.raises(ValueError, match=r"multiple of 1/510 .* got 0.25; take 0.2509"):
        exact_form(Splitting(0.25))
    assert type(exact_form(Gaussian(0.5))).__name__ == "GridGaussian"


def test_the_choice_of_enumeration_is_no_parameter() -> None:
    noise = GridSplitting(0.3)
    assert [field.name for field in dataclasses.fields(noise)] == ["half_width", "levels"]
    assert noise.num_outcomes is None
    with pytest.raises(ValueError, match="no parameter 'deterministic'"):
        NOISES.build("grid_splitting:half_width=0.3,deterministic=true")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grid_splitting:half_width=0", "half_width must be from 0.00392157 to 64.251"),
        ("grid_splitting:half_width=0.00196", "half_width must be from"),
        ("grid_splitting:half_width=64.3", "half_width must be from"),
        ("grid_splitting:half_width=0.3333", "take 0.3333333333333333"),
        ("grid_splitting:half_width=0.5,levels=0", "levels must be a whole number from 1"),
    ],
)
def test_wrong_parameters_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NOISES.build(spec)


@pytest.mark.parametrize("levels", [1, 3, 49, 255, 65_536])
def test_the_smallest_and_the_largest_piece_are_taken(levels: int) -> None:
    for count in (2, 3, 32_768):
        noise = GridSplitting(count / (2 * levels), levels)
        assert noise.width == count / levels
        noise.apply(torch.zeros(2, 2), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rng", ["auto", "chacha"])
def test_its_generators_pass_the_self_test(rng: Any) -> None:
    found = self_test(GridSplitting(0.3), Generators(CPU, rng), seed=1, draws=2**16)
    assert {"repeats within a stream", "repeats among streams", "bits"} <= {c.name for c in found}
    assert all(check.passed for check in found)
