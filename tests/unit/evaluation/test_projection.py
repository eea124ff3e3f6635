from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # noqa: TID251 - an independent implementation

from radii.bounds import BOUNDS
from radii.certificates import GaussianL2
from radii.errors import LedgerError, PlanError
from radii.evaluation import Ledger, Outcomes, Row
from radii.evaluation.metrics import (
    abstention_rate,
    average_certified_radius,
    certified_accuracy,
    standard_accuracy,
)
from radii.evaluation.projection import _chances, project
from radii.evaluation.rereading import reread
from radii.noise import Gaussian
from radii.records import Counts
from radii.smoothing import SamplingPlan, decide
from tests.unit.evaluation.ledgers import row, write

RADII = [0.0, 0.1, 0.3, 0.6]


def voted(index: int, k: int, n: int, *, label: int = 0, selected: int = 0) -> Row:
    """An input whose selected class got k of n votes, and class 2 the others."""
    votes = {selected: k, 2: n - k}
    return replace(
        row(index, label=label),
        n0_votes={selected: 15, 2: 5},
        n_votes={label: count for label, count in votes.items() if count},
    )


def ledger_of(folder, listed, n, alpha=0.1, **changes) -> Ledger:
    rows = [voted(i, k, n, selected=chosen) for i, (k, chosen) in enumerate(listed)]
    spec = {"num_classes": 3, "n0": 20, "n": n, "alpha": alpha, "block": 1, **changes}
    return Ledger(write(folder / "run", rows, **spec))


def outcome(row: Row, votes: dict[int, int], n: int, alpha: float) -> tuple[bool, bool, float]:
    """Whether an input is right, whether it abstained, and its radius, by the live algorithm."""
    counts = [
        Counts(np.array([each.get(label, 0) for label in range(3)]))
        for each in (row.n0_votes, votes)
    ]
    plan = SamplingPlan(n0=20, n=n, alpha=alpha)
    found = decide(counts[0], counts[1], plan, GaussianL2(Gaussian(0.5)))
    return found.prediction == row.label, found.prediction is None, found.radius


def enumerated(ledger: Ledger, n: int, alpha: float) -> list[float]:
    """The metrics averaged over every choice of n of the draws, one after the other."""
    sums = np.zeros(3 + len(RADII))
    for each in ledger.rows():
        draws = [label for label, count in each.n_votes.items() for _ in range(count)]
        parts = list(itertools.combinations(draws, n))
        for part in parts:
            votes = {label: part.count(label) for label in set(part)}
            right, abstained, radius = outcome(each, votes, n, alpha)
            values = [right * radius, right, abstained, *(right and radius >= r for r in RADII)]
            sums += np.array(values, dtype=float) / len(parts)
    return (sums / len(ledger)).tolist()


def numbers(found) -> list[float]:
    accuracy = [value for _, value in found.certified_accuracy]
    return [found.acr, found.standard_accuracy, found.abstention_rate, *accuracy]


@pytest.mark.parametrize("n", [4, 5, 8, 9])
def test_the_expectation_is_the_mean_over_all_choices_of_draws(tmp_path, n):
    listed = [(9, 0), (8, 0), (7, 0), (5, 0), (8, 1), (9, 1), (0, 0)]
    ledger = ledger_of(tmp_path, listed, n=9)
    found = project(ledger, n, RADII)
    assert numbers(found) == pytest.approx(enumerated(ledger, n, 0.1), rel=1e-12, abs=1e-12)
    assert (found.n, found.examples) == (n, 7)
    assert 0 < found.acr < found.standard_accuracy < 1 - found.abstention_rate


def test_it_is_what_simulated_subsampling_gives_on_average(tmp_path):
    listed = [(k, 0) for k in (1000, 990, 940, 800, 600, 520)]
    ledger = ledger_of(tmp_path, listed, n=1000, alpha=0.001)
    generator = np.random.default_rng(0)
    runs = np.array(
        [
            [
                right * radius
                for each in ledger.rows()
                for k in [generator.hypergeometric(each.n_votes[0], 1000 - each.n_votes[0], 200)]
                for right, _, radius in [outcome(each, {0: int(k), 2: 200 - int(k)}, 200, 0.001)]
            ]
            for _ in range(200)
        ]
    ).mean(axis=1)
    se = runs.std(ddof=1) / 200**0.5
    found = project(ledger, 200, RADII)
    assert found.acr == pytest.approx(runs.mean(), abs=4 * se)
    assert se < 0.02 * found.acr


def test_projecting_to_all_draws_is_the_run(tmp_path):
    generator = np.random.default_rng(1)
    listed = [
        (int(k), int(c))
        for k, c in zip(generator.integers(0, 1001, 40), generator.integers(0, 2, 40), strict=True)
    ]
    ledger = ledger_of(tmp_path, listed, n=1000, alpha=0.001)
    found = project(ledger, 1000, RADII)
    outcomes = Outcomes.of(reread(ledger).rows())
    assert numbers(found) == pytest.approx(
        [
            average_certified_radius(outcomes),
            standard_accuracy(outcomes),
            abstention_rate(outcomes),
            *(share.value for share in certified_accuracy(outcomes, RADII)),
        ],
        rel=1e-12,
    )


@given(total=st.integers(1, 3000), data=st.data(), share=st.floats(0, 1), part=st.floats(0.001, 1))
@settings(max_examples=60)
def test_the_law_is_hypergeometric(total, data, share, part):
    k, n = np.array([round(share * total), total, 0]), max(1, round(part * total))
    for which, votes, chances in _chances(k, total, n):
        for one, numbers_of_votes, chance in zip(k[which], votes, chances, strict=True):
            law = stats.hypergeom(total, int(one), n)
            kept = chance > 0
            assert chance[kept] == pytest.approx(law.pmf(numbers_of_votes[kept]), rel=1e-7)
            assert chance.sum() == pytest.approx(1, rel=1e-12)
            assert len(set(numbers_of_votes[kept])) == kept.sum()


def test_what_is_left_out_is_rarer_than_it_says():
    total, n = 100_000, 10_000
    for which, votes, chances in _chances(np.array([50_000, 90_000, 99_990]), total, n):
        for k, numbers_of_votes, chance in zip(
            (50_000, 90_000, 99_990), votes, chances, strict=True
        ):
            law = stats.hypergeom(total, k, n)
            kept = numbers_of_votes[chance > 0]
            assert law.cdf(kept[0] - 1) + law.sf(kept[-1]) < 4e-35
            at = int(np.argmax(chance))
            assert chance[at] == pytest.approx(law.pmf(numbers_of_votes[at]), rel=1e-6)
        assert which == slice(0, len(chances)) or which.start == 0


def test_more_draws_are_expected_to_give_no_smaller_metrics(tmp_path):
    ledger = ledger_of(tmp_path, [(950, 0), (800, 0), (700, 0)], n=1000, alpha=0.001)
    acrs = [project(ledger, n, RADII).acr for n in (50, 100, 300, 1000)]
    assert acrs == sorted(acrs)
    assert acrs[0] < acrs[-1]


def test_another_alpha_is_projected_through_a_reading(tmp_path):
    ledger = ledger_of(tmp_path, [(9, 0), (8, 0), (7, 1)], n=9)
    found = project(reread(ledger, alpha=0.3), 6, RADII)
    assert numbers(found) == pytest.approx(enumerated(ledger, 6, 0.3), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("bound", ["hoeffding", "betting", "union_clopper_pearson"])
def test_other_bounds(tmp_path, bound):
    ledger = ledger_of(tmp_path, [(100, 0), (95, 0)], n=100, bound=bound)
    built = BOUNDS.build(bound)
    certificate = GaussianL2(Gaussian(0.5))
    expected = 0.0
    for k in (100, 95):
        for votes in range(51):
            counts = Counts(np.array([votes, 50 - votes]))
            radius = certificate.radius(built.class_bounds(counts, np.array(0), 0.1))
            expected += stats.hypergeom(100, k, 50).pmf(votes) * float(radius) / 2
    assert project(ledger, 50, RADII).acr == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stop": "at_radius:radius=0.1", "bound": "betting"}, "stopped early"),
        ({"vote": "soft", "bound": "hoeffding"}, "sums of scores"),
        ({"bound": "multiclass_clopper_pearson"}, "needs more of .* than the votes of the class"),
        ({"bound": "randomized_clopper_pearson"}, "needs more of .* than the votes of the class"),
        ({"bound": "exact", "alpha": 0, "n0": 0}, "was enumerated"),
    ],
)
def test_runs_that_have_no_projection(tmp_path, changes, said):
    ledger = ledger_of(tmp_path, [(9, 0)], n=9, **{"alpha": 0.1, **changes})
    with pytest.raises(PlanError, match=said):
        project(ledger, 5, RADII)


def test_what_is_refused(tmp_path):
    ledger = ledger_of(tmp_path, [(9, 0)], n=9)
    for n in (0, 10):
        with pytest.raises(ValueError, match="n must be from 1 to the run's 9"):
            project(ledger, n, RADII)
    with pytest.raises(PlanError, match="can never certify"):
        project(ledger, 3, RADII)
    (tmp_path / "run").unlink()
    with pytest.raises(LedgerError, match="holds none"):
        project(ledger_of(tmp_path, [], n=9), 5, RADII)
    (tmp_path / "run").unlink()
    with pytest.raises(LedgerError, match="was imported"):
        project(ledger_of(tmp_path, [(9, 0)], n=9, imported={"file": "log"}), 5, RADII)
    (tmp_path / "run").unlink()
    short = write(tmp_path / "run", [voted(0, 7, 8)], num_classes=3, n0=20, n=9, alpha=0.1)
    with pytest.raises(LedgerError, match="must have 9 votes"):
        project(Ledger(short), 5, RADII)
