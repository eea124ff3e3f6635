from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from radii.evaluation.attack_metrics import (
    AttackOutcomes,
    abstained_under_attack,
    clean_accuracy,
    empirical_accuracy,
    empirical_shares,
    median_norm,
)
from tests.unit.evaluation.attack_ledgers import hit, kept

# Right: 0, 1, 2, 5. Broken at .4 and 1.0, an abstention at .7, one not broken.
ROWS = [
    hit(0, 0.4),
    hit(1, 1.0),
    hit(2, 0.7, None),
    hit(3, 0.0, 1, clean=1),
    hit(4, 0.0, None, clean=None),
    kept(5, 2.0),
]


def values(shares) -> list[float]:
    return [share.value for share in shares]


def test_an_input_is_lost_from_the_norm_of_its_perturbation_on():
    outcomes = AttackOutcomes.of(ROWS)
    radii = [0.0, np.nextafter(0.4, 0), 0.4, 0.7, 1.0, 5.0]
    assert values(empirical_accuracy(outcomes, radii, "l2")) == [
        *(4 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 1 / 6),
    ]
    assert values(abstained_under_attack(outcomes, radii, "l2")) == [
        *(1 / 6, 1 / 6, 1 / 6, 2 / 6, 2 / 6, 2 / 6),
    ]
    assert clean_accuracy(outcomes) == 4 / 6


def test_a_nearer_abstention_loses_the_answer_already():
    row = replace(hit(0, 1.0), facts={"abstained_l1": 1.2, "abstained_l2": 0.6})
    outcomes = AttackOutcomes.of([row])
    radii = [np.nextafter(0.6, 0), 0.6, np.nextafter(1.0, 0), 1.0]
    assert values(empirical_accuracy(outcomes, radii, "l2")) == [1, 0, 0, 0]
    assert values(abstained_under_attack(outcomes, radii, "l2")) == [0, 1, 1, 0]
    assert empirical_shares(outcomes, np.array(radii), "l2").tolist() == [1, 0, 0, 0]
    assert median_norm(outcomes, "l2") == 1.0  # of the success


@pytest.mark.parametrize(("norm", "times"), [("l1", 2.0), ("l2", 1.0), ("linf", 0.5)])
def test_norms_are_those_that_the_rows_hold(norm, times):
    outcomes = AttackOutcomes.of(ROWS)
    assert median_norm(outcomes, norm) == 0.7 * times  # of the broken ones, 0.4 and 1.0
    at = [0.4 * times, np.nextafter(0.4 * times, 0)]
    assert values(empirical_accuracy(outcomes, at, norm)) == [3 / 6, 4 / 6]


def test_shares_at_once_are_those_one_by_one():
    outcomes = AttackOutcomes.of([*ROWS, hit(6, 0.4), hit(7, 0.0, 1)])
    radii = np.array([0.0, 0.1, 0.4, np.nextafter(0.4, 1), 0.7, 1.0, 9.0])
    one_by_one = values(empirical_accuracy(outcomes, radii.tolist(), "l2"))
    assert empirical_shares(outcomes, radii, "l2").tolist() == one_by_one
    assert one_by_one[0] == 5 / 8  # the last one was lost without a perturbation


def test_what_the_rounding_adds_to_epsilon_does_not_count():
    rows = [hit(0, math.nextafter(1.0, 2)), hit(1, 1.0005), hit(2, 1.002), hit(3, 0.9)]
    outcomes = AttackOutcomes.of(rows, norm="l2", epsilon=1.0)
    assert outcomes.norms["l2"].tolist() == [1.0, 1.0, 1.002, 0.9]
    assert values(empirical_accuracy(outcomes, [1.0], "l2")) == [1 / 4]
    assert outcomes.norms["l1"][0] > 2.0
    untouched = AttackOutcomes.of(rows)
    assert values(empirical_accuracy(untouched, [1.0], "l2")) == [3 / 4]


def test_nothing_broken_has_no_median():
    outcomes = AttackOutcomes.of([kept(0), hit(1, 0.5, None)])
    assert median_norm(outcomes, "l2") is None
    assert values(empirical_accuracy(outcomes, [0.4, 0.5], "l2")) == [1.0, 0.5]


def test_an_empty_run_has_no_numbers():
    outcomes = AttackOutcomes.of([])
    assert len(outcomes) == 0
    for call in (
        lambda: empirical_accuracy(outcomes, [0.0], "l2"),
        lambda: abstained_under_attack(outcomes, [0.0], "l2"),
        lambda: clean_accuracy(outcomes),
    ):
        with pytest.raises(ValueError, match="at least one input"):
            call()
