from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from radii.evaluation.audit import Audit, audit, binomial_tail, classifier_of, why_not
from tests.unit.evaluation.attack_ledgers import SPEC as ATTACKED
from tests.unit.evaluation.attack_ledgers import hit, kept
from tests.unit.evaluation.ledgers import SPEC as CERTIFIED
from tests.unit.evaluation.ledgers import abstained, row, wrong

ALPHAS = {"alpha_certify": 0.001, "alpha_attack": 0.001}


def found(certified, attacked, norm="l2") -> list[int]:
    made = audit(certified, attacked, norm=norm, **ALPHAS)
    return [each.index for each in made.contradictions]


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    return sum((math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)), Fraction(0))


@pytest.mark.parametrize(
    ("n", "p"), [(1, Fraction(1, 2)), (10, Fraction(3, 1000)), (500, Fraction(3, 1000))]
)
def test_the_tail_is_the_sum_of_the_binomial_law(n, p):
    for k in {0, 1, min(n, 2), min(n, 7), n}:
        expected = float(exact_tail(k, n, p))
        assert binomial_tail(k, n, float(p)) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert binomial_tail(0, n, 0.0) == binomial_tail(n, n, 1.0) == 1.0
    assert binomial_tail(1, n, 0.0) == 0.0
    with pytest.raises(ValueError, match="k must be in"):
        binomial_tail(n + 1, n, 0.5)


def test_planted_contradictions_are_found():
    certified = [row(index, 1.0) for index in range(20)]
    attacked = [hit(index, 0.5 if index in (3, 11, 17) else 1.5) for index in range(20)]
    made = audit(certified, attacked, norm="l2", **ALPHAS)
    assert [each.index for each in made.contradictions] == [3, 11, 17]
    first = made.contradictions[0]
    assert (first.certified, first.answer, first.radius, first.norm) == (0, 1, 1.0, 0.5)
    assert (made.inputs, made.inside) == (20, 3)
    assert made.allowed == pytest.approx(20 * 0.003)
    assert made.p_value == pytest.approx(float(exact_tail(3, 20, Fraction(3, 1000))), rel=1e-12)
    assert made.alarm


@pytest.mark.parametrize(
    ("certified", "attacked"),
    [
        (row(0, 1.0), hit(0, 1.0)),  # the ball is open
        (row(0, 1.0), hit(0, math.nextafter(1.0, 2))),
        (row(0, 1.0), hit(0, 0.5, None)),  # an abstention
        (row(0, 1.0), kept(0, 0.5)),
        (abstained(0), hit(0, 0.5)),
        (row(0, 0.0), hit(0, 0.0)),  # a ball without a point
        (wrong(0, 1.0), hit(0, 0.5, clean=1)),  # certified as 1, and answered 1
        (row(0, 1.0), hit(0, 0.0, None, clean=None)),
    ],
)
def test_what_contradicts_nothing(certified, attacked):
    assert found([certified], [attacked]) == []


@pytest.mark.parametrize(
    ("certified", "attacked"),
    [
        (row(0, 1.0), hit(0, math.nextafter(1.0, 0))),
        (row(0, math.inf), hit(0, 1e9)),
        (wrong(0, 1.0), kept(0, 0.5)),  # certified as 1, answered 0: right or wrong is no matter
        (row(0, 1.0), hit(0, 0.0, 1, clean=1)),  # at the input itself, where no attack was needed
        (row(0, 1.0), hit(0, 5.0, 0, clean=1)),  # the same, whatever came after
        (wrong(0, 0.1), hit(0, 0.3)),  # answered 0 at the input
    ],
)
def test_what_does(certified, attacked):
    assert found([certified], [attacked]) == [0]


def test_norms_are_those_of_the_certificate():
    certified, attacked = [row(0, 1.0)], [hit(0, 0.8)]  # l1 norm 1.6, linf norm 0.4
    assert found(certified, attacked, "l1") == []
    assert found(certified, attacked, "l2") == found(certified, attacked, "linf") == [0]


def test_runs_are_joined_by_index_and_abstentions_are_counted_as_inputs():
    certified = [row(5), row(2), abstained(7), row(9)]
    attacked = [hit(9, 0.1), hit(7, 0.1), hit(2, 0.1), hit(1, 0.1)]
    made = audit(certified, attacked, norm="l2", **ALPHAS)
    assert [each.index for each in made.contradictions] == [2, 9]
    assert (made.inputs, made.inside) == (3, 2)


def test_a_few_are_what_alpha_allows():
    assert not Audit("l2", 500, 400, (), 0.003).alarm
    assert Audit("l2", 500, 400, (), 0.003).p_value == 1.0
    made = audit(
        [row(i) for i in range(500)],
        [hit(i, 0.5) if i < 3 else kept(i, 0.5) for i in range(500)],
        norm="l2",
        **ALPHAS,
    )
    assert made.allowed == pytest.approx(1.5)
    assert 0.05 < made.p_value < 0.5
    assert not made.alarm


def test_alarms_are_rare_where_every_statement_errs_as_often_as_it_may():
    generator = np.random.default_rng(0)
    inputs, alphas = 100, {"alpha_certify": 0.01, "alpha_attack": 0.02}
    alarms, runs = 0, 1000
    certified = [row(i) for i in range(inputs)]
    rows = {
        broken: [hit(i, 0.5) if broken else kept(i, 0.5) for i in range(inputs)]
        for broken in (0, 1)
    }
    for _ in range(runs):
        errs = generator.random(inputs) < 0.05
        attacked = [rows[int(err)][i] for i, err in enumerate(errs)]
        alarms += audit(certified, attacked, norm="l2", **alphas).alarm
    # Of 1,000 runs at most 50 are expected; 75 or more have a probability of 4e-4.
    assert 0 < alarms < 75


def test_one_classifier_has_one_base_noise_precision_and_kind_of_votes():
    certified = {**CERTIFIED, "base_sha256": ATTACKED["base_sha256"]}
    assert classifier_of(certified) == classifier_of(ATTACKED) is not None
    for key, value in (
        *(("base_sha256", "00" * 32), ("noise", "gaussian:sigma=1.0"), ("precision", "bfloat16")),
        ("vote", "soft"),
    ):
        assert classifier_of({**certified, key: value}) != classifier_of(ATTACKED)
    assert classifier_of(CERTIFIED) is None


def test_why_a_pair_is_not_audited():
    assert why_not(CERTIFIED, ATTACKED) is None
    assert "different data" in str(why_not(CERTIFIED, {**ATTACKED, "data_fingerprint": "00"}))
    assert "different data" in str(why_not({**CERTIFIED, "data_fingerprint": None}, ATTACKED))
    assert "norms in l0" in str(why_not({**CERTIFIED, "norm": "l0"}, ATTACKED))
    domain = "inputs whose coordinates are multiples of 1/255"
    assert domain in str(why_not({**CERTIFIED, "domain": domain}, ATTACKED))
