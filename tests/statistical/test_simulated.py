"""How often what is certified is false, where the truth is known; see `tools/simulate.py`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats  # noqa: TID251 an independent reference
from scipy.special import ndtr

from radii.bounds import BOUNDS, Bound, Calibrated, ClopperPearson
from radii.records import ClassBounds, FloatArray, IntArray
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS
from tools.simulate import (
    CERTIFICATE,
    DEFAULT_BOUNDS,
    DEFAULT_STOPS,
    SCENES,
    SIGMA,
    Cell,
    Check,
    HalfSpaces,
    cells,
    judged,
    main,
    outcomes,
    shared,
    simulate,
    table,
)

ROOT = Path(__file__).parents[2]
LEVEL = 0.01
STOPPING = DEFAULT_STOPS[1:]


def simulated(
    bounds: Mapping[str, Bound], stops: tuple[str, ...], alphas: tuple[float, ...], number: int
) -> list[Check]:
    rules = {spec: STOPS.build(spec) for spec in stops}
    found, refused = cells(bounds, rules, alphas)
    assert not refused
    return judged(outcomes(shared(found, number), 17, 1))


# The command.


def test_all_bounds_and_stopping_rules_are_simulated() -> None:
    assert {spec.partition(":")[0] for spec in DEFAULT_BOUNDS} == {*BOUNDS.names()} - {"exact"}
    assert {spec.partition(":")[0] for spec in DEFAULT_STOPS} == {*STOPS.names()}


def test_cells_share_out_all_certifications_and_no_stream_is_used_twice() -> None:
    bounds = {spec: BOUNDS.build(spec) for spec in DEFAULT_BOUNDS}
    stops = {spec: STOPS.build(spec) for spec in DEFAULT_STOPS}
    inputs, refused = cells(bounds, stops, (0.05, 0.001))
    found = [*shared(inputs, 600_000), *shared(inputs, 400_000, 600_000)]
    used = [range(cell.first, cell.first + cell.trials) for cell in found]
    assert all(before.stop == after.start for before, after in pairwise(used))
    assert (used[0].start, used[-1].stop) == (0, 1_000_000)
    fixed = [bound for bound in bounds.values() if not bound.anytime]
    assert len(refused) == len(fixed) * len(STOPPING) + 1
    assert sum("holds for a fixed n only" in reason for reason in refused) == len(refused) - 1
    assert {(cell.bound, cell.stop, cell.plan.alpha) for cell in found} == {
        (bound, stop, alpha)
        for bound, built in bounds.items()
        for stop in stops
        for alpha in (0.05, 0.001)
        if stop == "never"
        or (built.anytime and (bound, stop) != (DEFAULT_BOUNDS[-1], STOPPING[-1]))
    }


@pytest.mark.parametrize(("name", "base"), [scene[:2] for scene in SCENES])
def test_the_smoothed_classifier_is_the_half_space(name: str, base: HalfSpaces) -> None:
    rows, at, others = 400_000, 0.1, base.num_classes - 2
    noise = SIGMA * torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    votes = torch.bincount(base(noise + torch.tensor([at, 0.3])), minlength=base.num_classes)
    pA, pB = ndtr((at - base.gap) / SIGMA), ndtr((-at - base.gap) / SIGMA)
    p = np.array([pB, pA] + others * [(1 - pA - pB) / max(others, 1)])
    assert np.all(np.abs(votes.numpy() / rows - p) < 5 * np.sqrt(p * (1 - p) / rows))
    # At the boundary the two are equal, by symmetry, and each of the others is less likely.
    tie = ndtr(-base.gap / SIGMA)
    assert others == 0 or (1 - 2 * tie) / others < tie / 1.5


def test_p_values_and_holms_method() -> None:
    plan = SamplingPlan(20, 200, 0.05, ClopperPearson(), block=200)
    cell = Cell("clopper_pearson", "never", "", 0.1, plan, HalfSpaces(), trials=100)
    other = replace(cell, distance=0.2)
    none = simulate(replace(cell, trials=1), 0)
    checks = judged([(cell, replace(none, failures=9)), (other, replace(none, failures=5))])
    p = {(check.scope, check.failures): check for check in checks}
    assert [*p] == [("alpha", 14), ("plan", 14), ("cell", 9), ("cell", 5)]
    assert p["alpha", 14].p_value == pytest.approx(stats.binom.sf(13, 200, 0.05))
    assert p["cell", 9].p_value == pytest.approx(stats.binom.sf(8, 100, 0.05))
    assert p["cell", 9].adjusted == pytest.approx(4 * stats.binom.sf(8, 100, 0.05))
    assert p["alpha", 14].adjusted == pytest.approx(3 * stats.binom.sf(13, 200, 0.05))
    assert p["plan", 14].adjusted == p["alpha", 14].adjusted  # and not less, the second of equals
    assert p["cell", 5].adjusted == pytest.approx(stats.binom.sf(4, 100, 0.05))


# What it finds.


def test_failures_are_within_alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found" / "simulated.json"
    line = ["--certifications", "600", "--seed", "17", "--out", str(out)]
    assert main(line) == 0
    written = json.loads(out.read_text())
    checks = [Check(*row) for row in written["tests"]]
    assert written["columns"] == [*Check.__dataclass_fields__]
    assert written["certifications"] == 600
    assert sum(check.trials for check in checks if check.scope == "cell") == 600
    totals = [(check.alpha, check.trials) for check in checks if check.scope == "alpha"]
    assert totals == [(0.05, 73), (0.001, 527)]
    assert f"0 of {len(checks)} tests fail at level 0.01" in capsys.readouterr().out


@dataclass(frozen=True)
class Doubled(ClopperPearson):
    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return super().lower(k, n, 2 * alpha)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return super().upper(k, n, 2 * alpha)


@dataclass(frozen=True)
class DoubledSequence(Calibrated):
    def boundaries(self, alpha: float) -> IntArray:
        return super().boundaries(2 * alpha)


@dataclass(frozen=True)
class Estimate(ClopperPearson):
    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return np.minimum(np.asarray(k) / n, 1 - 1e-9)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        return np.maximum(np.asarray(k) / n, 1e-9)


@dataclass(frozen=True)
class Peeking(ClopperPearson):
    anytime = True  # which is not true


def check_that_it_is_caught(bound: Bound, stop: str, alpha: float, number: int) -> None:
    checks = simulated({"wrong": bound}, (stop,), (alpha,), number)
    (plan,) = [check for check in checks if check.scope == "plan"]
    assert plan.adjusted <= LEVEL


each_named = {"ids": lambda value: type(value).__name__ if isinstance(value, Bound) else None}


@pytest.mark.parametrize(
    ("bound", "stop", "alpha", "number"),
    [
        (Doubled(), "never", 0.05, 1_200),
        (Estimate(), "never", 0.001, 200),
        (Peeking(), "at_radius:0.25", 0.05, 1_200),
    ],
    **each_named,
)
def test_wrong_bounds_are_caught(bound: Bound, stop: str, alpha: float, number: int) -> None:
    check_that_it_is_caught(bound, stop, alpha, number)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--certifications 0", "--certifications must be at least 1, got 0"),
        ("--jobs 0", "--jobs must be at least 1, got 0"),
        ("--alpha 0", "alpha must be in (0, 1), got 0.0"),
        ("--bounds bettin", "Did you mean 'betting'?"),
        ("--bounds hoeffding --stops precision", "every plan is refused: hoeffding with precision"),
    ],
)
def test_the_command_refuses(line: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


def test_the_command_says_what_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(BOUNDS._classes, "too_good", Estimate)
    line = ["--certifications", "200", "--seed", "17", "--bounds", "too_good"]
    assert main([*line, "--stops", "never"]) == 1
    assert "too many failures: Check(scope='alpha'" in capsys.readouterr().out


# What was found, and is kept.


def test_the_page_shows_what_was_found() -> None:
    kept = json.loads((ROOT / "results" / "simulated" / "simulated.json").read_text())
    checks = [Check(*row) for row in kept["tests"]]
    assert kept["certifications"] == 1_000_000
    assert all(check.adjusted > kept["level"] for check in checks)
    for check in checks[:: len(checks) // 50]:
        p = stats.binom.sf(check.failures - 1, check.trials, check.alpha)
        assert check.p_value == pytest.approx(p, rel=1e-9)
    hard = [c for c in checks if c.scope == "plan" and c.failures > 0.7 * c.alpha * c.trials]
    assert {plan.bound for plan in hard} >= {*DEFAULT_BOUNDS[:2]}  # which spend what they may
    assert table(checks) in (ROOT / "docs" / "soundness.md").read_text()


# Longer.


@pytest.mark.slow
def test_failures_are_within_alpha_of_many(tmp_path: Path) -> None:
    assert main(["--certifications", "100000", "--seed", "18", "--jobs", "2"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bound", "stop", "alpha", "number"),
    [
        (Doubled(), "never", 0.001, 40_000),
        (DoubledSequence(), "at_radius:0.4", 0.05, 3_000),
        (DoubledSequence(), "at_radius:0.4", 0.001, 60_000),
        (Peeking(), "radii:0,0.25,0.5", 0.001, 60_000),
        (Peeking(), "precision:rel=0.1", 0.05, 8_000),
    ],
    **each_named,
)
def test_wrong_bounds_are_caught_by_many(
    bound: Bound, stop: str, alpha: float, number: int
) -> None:
    check_that_it_is_caught(bound, stop, alpha, number)


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.1, 0.5, 1.0])
def test_wrong_as_often_as_the_binomial_law_says(distance: float) -> None:
    n0, n, alpha, trials = 20, 500, 0.1, 4_000
    plan = SamplingPlan(n0, n, alpha, ClopperPearson(), block=n)
    exact = float(np.float32(distance))
    cell = Cell("", "", "", exact, plan, HalfSpaces(), trials)
    share = simulate(cell, 17).failures / trials
    # A right selection (nearly always) with more votes than any certificate of `exact` takes.
    k = np.arange(n + 1)
    radius = CERTIFICATE.radius(ClassBounds.one_sided(ClopperPearson().lower(k, n, alpha)))
    p = ndtr(exact / SIGMA)
    selected = stats.binom.sf(n0 // 2, n0, p)
    expected = selected * stats.binom.sf(np.argmax(radius > exact) - 1, n, p)
    assert 0.02 < expected <= alpha
    assert share == pytest.approx(expected, abs=5 * math.sqrt(alpha * (1 - alpha) / trials))


@pytest.mark.slow
def test_predictions_are_wrong_at_most_alpha_of_the_time() -> None:
    repeats = 4_000
    x = torch.tensor([0.01, 0.0])  # class 1, by so little that the test often cannot tell
    smoothed = SmoothedClassifier(HalfSpaces(), CERTIFICATE.noise, num_classes=2)
    pairs = ((i, x) for i in range(repeats))
    results = [r.prediction for _, r in smoothed.predict_each(pairs, 500, 0.1, seed=17)]
    p = ndtr(float(x[0]) / SIGMA)
    for answer, chance in ((0, 1 - p), (1, p)):
        least = min(k for k in range(251, 501) if 2 * stats.binom.sf(k - 1, 500, 0.5) <= 0.1)
        expected = stats.binom.sf(least - 1, 500, chance)
        share = results.count(answer) / repeats
        assert share == pytest.approx(expected, abs=5 * math.sqrt(0.1 * 0.9 / repeats))
    assert results.count(0) / repeats <= 0.1
