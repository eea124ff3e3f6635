from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from radii.bounds import MulticlassClopperPearson
from radii.bounds._crossing import crossings
from radii.certificates import GaussianL2
from radii.errors import LedgerError, PlanError
from radii.evaluation import Ledger
from radii.evaluation.outlook import expected_draws, largest_radius, spread
from radii.noise import Gaussian
from radii.noise.streams import Stage
from radii.records import Counts, Votes
from radii.smoothing import SamplingPlan
from radii.stopping import STOPS, Decision
from tests.unit.evaluation.test_run import dataset, run

CERTIFICATE = GaussianL2(Gaussian(0.5))


def plan(spec: str = "never", n: int = 10_000, **changes: Any) -> SamplingPlan:
    return SamplingPlan(n=n, stop=STOPS.build(spec), **changes)


def test_the_largest_radius_of_a_fixed_n_is_that_of_unanimous_votes() -> None:
    radius = largest_radius(plan(), CERTIFICATE, 10, "hard")
    exact = 0.5 * ndtri(0.001 ** (1 / 10_000))
    assert exact * (1 - 1e-6) < radius <= exact
    shared = plan(bound=MulticlassClopperPearson())
    few, many = (largest_radius(shared, CERTIFICATE, classes, "hard") for classes in (2, 1000))
    assert many < few < radius


def test_no_early_stopped_plan_promises_more_than_it_can_claim() -> None:
    fixed = largest_radius(plan(), CERTIFICATE, 10, "hard")
    assert largest_radius(plan("at_radius:0.7"), CERTIFICATE, 10, "hard") == pytest.approx(0.7)
    grid = largest_radius(plan("radii:0.25,1.5,3"), CERTIFICATE, 10, "hard")
    assert grid == pytest.approx(1.5)  # 3 is beyond reach
    assert 0.95 * fixed < largest_radius(plan("precision"), CERTIFICATE, 10, "hard") < fixed


@pytest.mark.parametrize("p", [0.85, 0.9, 0.93, 0.99])
def test_expected_draws_are_those_of_the_exact_recursion(p: float) -> None:
    course = plan("at_radius:0.7").course(CERTIFICATE)
    assert isinstance(course, Decision)
    exact = crossings(course.looks, p, course.claim[0], course.hopeless[0]).mean_draws
    known = 10**9  # so many votes that they leave no doubt about p
    means = expected_draws(course, np.full(40, round(known * p)), known)
    assert abs(means.mean() - exact) < 4 * means.std(ddof=1) / math.sqrt(40)
    assert np.ptp(means) > 0


def test_few_votes_leave_room_for_hard_inputs() -> None:
    course = plan("at_radius:0.7").course(CERTIFICATE)
    few, many = (expected_draws(course, np.full(20, n), n).mean() for n in (10, 1_000_000))
    assert few > 1.5 * many


def counted(votes: Votes) -> list[int]:
    assert isinstance(votes, Counts)
    return [int(count) for count in votes.votes]


@pytest.mark.parametrize(("total", "count"), [(1, 1), (7, 20), (20, 20), (21, 20), (1000, 20)])
def test_inputs_are_spread_over_all(total: int, count: int) -> None:
    chosen = spread(total, count)
    assert len(chosen) == min(total, count)
    assert chosen == sorted(set(chosen))
    assert max(np.diff([-1, *chosen, total])) <= 2 * math.ceil(total / len(chosen))


def test_a_fixed_n_has_a_certain_price_and_leaves_no_file(tmp_path: Path) -> None:
    found = run().outlook(tmp_path / "run")
    assert (found.inputs, found.inputs_done, found.samples) == (12, 0, 12 * 520)
    assert found.samples_error is None
    assert found.seconds == pytest.approx(
        found.start_seconds + found.samples / found.samples_per_second
    )
    assert not found.compiled
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_ledger_costs_nothing(tmp_path: Path) -> None:
    run("first:5").certify(tmp_path / "run")
    done = run("first:5").outlook(tmp_path / "run")
    assert (done.inputs, done.inputs_done, done.samples) == (5, 5, 0)
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(LedgerError, match="subset 'first:5', not 'all'"):
        run().outlook(tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == before


def test_an_early_stopped_run_costs_about_what_was_foreseen(tmp_path: Path) -> None:
    made = run(data=dataset(100), n=20_000, stop=STOPS.build("at_radius:0.25"), block=50)
    found = made.outlook()
    assert found.samples_at_most == 100 * 20_020
    assert found.rests_on.startswith("estimated from ")
    made.certify(tmp_path / "run")
    spent = sum(row.samples for row in Ledger(tmp_path / "run").rows())
    assert found.samples_error is not None
    assert found.samples_error > 0
    assert abs(spent - found.samples) < 5 * found.samples_error
    assert found.samples < found.samples_at_most / 5


def test_the_votes_that_were_tried_are_not_those_of_the_run() -> None:
    made = run()
    inputs = [(index, made.dataset[index][0]) for index in range(12)]
    certified = {
        index: counted(found.estimation)
        for index, found in made.smoothed.certify_each(inputs, made.plan)
    }

    def votes(stage: Stage) -> dict[int, list[int]]:
        found = made.smoothed.votes_each(inputs, 500, made.plan, stage=stage)
        return {index: counted(each) for index, each in found}

    assert votes("estimation") == certified
    assert votes("prediction") != certified


def test_what_certify_would_refuse_is_refused_without_a_draw() -> None:
    def never(x: object) -> None:
        pytest.fail("the base classifier was called")

    with pytest.raises(PlanError, match="n of at least 10"):
        run(base=never, n=5).outlook()
    with pytest.raises(PlanError, match="radius must be at most"):
        run(base=never, stop=STOPS.build("at_radius:9")).outlook()
