from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from radii.bounds import BOUNDS
from radii.records import Counts, SoftVotes
from radii.verification.independent import BOUNDS as KNOWN
from radii.verification.independent import Evidence, bound_of
from radii.verification.independent.numbers import MP, beta_tail, number
from tests.reference.high_precision import upper_tail

ALPHA = 0.001
TIE = 0.3
SPECS = [
    *("clopper_pearson", "multiclass_clopper_pearson", "randomized_clopper_pearson"),
    *("runner_up_clopper_pearson", "runner_up_clopper_pearson:share=0.5"),
    *(f"randomized_runner_up_clopper_pearson{share}" for share in ("", ":share=0.5")),
    *("hoeffding", "empirical_bernstein", "betting", "betting:truncated=true"),
    *("betting:prior=1.0", "hybrid:cap=1000", "hybrid:cap=100,share=0.5"),
    *("union_clopper_pearson", "union_clopper_pearson:cap=60,factor=1.1", "staged"),
]


def test_the_specs_name_every_rule_but_that_of_enumerated_noise():
    assert {spec.partition(":")[0] for spec in SPECS} == set(KNOWN) - {"exact"}


def stored(spec: str, k: int, n: int):
    rest = n - k
    votes = Counts(np.array([k, rest // 2, rest - rest // 2]), tie=np.array(TIE))
    alpha = 0 if spec == "exact" else ALPHA
    bounds = BOUNDS.build(spec).class_bounds(votes, np.array(0), alpha)
    seen = Evidence(k, n, rest - rest // 2, 3, tie=TIE)
    return float(bounds.pA_lower), float(bounds.pB_upper), seen


@pytest.mark.parametrize("spec", [*SPECS, "exact"])
def test_the_library_is_on_the_safe_side_and_close(spec):
    rule = bound_of(spec, 0.0 if spec == "exact" else ALPHA)
    for n in (1, 7, 100, 1000, 20_000):
        if spec.startswith("hybrid:cap=100,") and n > 100:
            continue
        for k in {0, 1, n // 3, n // 2 + 1, n - 1, n}:
            pA, pB, seen = stored(spec, k, n)
            slack = rule(pA, pB, seen)
            assert 0 <= slack.lower < 1e-7, (n, k)
            assert 0 <= slack.upper < 1e-7, (n, k)


@pytest.mark.parametrize("spec", [*SPECS, "exact"])
def test_a_share_of_1e_7_too_much_is_found(spec):
    rule = bound_of(spec, 0.0 if spec == "exact" else ALPHA)
    for k, n in ((990, 1000), (70, 100)):
        pA, pB, seen = stored(spec, k, n)
        if pA > 0:
            assert rule(pA * (1 + 1e-7), pB, seen).lower < 0
        if pB < 1:
            assert rule(pA, pB * (1 - 1e-7), seen).upper < 0


@pytest.mark.parametrize(("k", "n"), [(1, 3), (59, 60), (60, 60), (990, 1000), (99_500, 100_000)])
def test_one_unit_in_the_last_place_above_the_exact_bound_is_found(k, n):
    # The exact bound is between two floats; whole numbers tell which ones.
    rule, seen = bound_of("clopper_pearson", ALPHA), Evidence(k, n, 0, 2)
    p = stored("clopper_pearson", k, n)[0]
    above = p * (1 + 1e-9)
    while math.nextafter(p, 1) < above:
        middle = (p + above) / 2
        p, above = (p, middle) if upper_tail(k, n, Fraction(middle)) > ALPHA else (middle, above)
    assert rule(p, 1.0, seen).lower >= 0
    assert rule(math.nextafter(p, 1), 1.0, seen).lower < 0


@pytest.mark.parametrize("k", [0, 3, 400, 990, 1000])
def test_beta_tails_are_sums_of_binomial_terms(k):
    for p in (0.2, 0.4, 0.99, 1 - 1e-9):
        found = beta_tail(k, 1000 - k + 1, number(p), 1 - number(p)) if k else number(1)
        exact = MP.mpf(upper_tail(k, 1000, p))
        assert abs(found - exact) < MP.mpf(10) ** -38 * max(exact, number(1e-300))


def test_hoeffding_for_scores():
    rng = np.random.default_rng(0)
    draws = rng.dirichlet([9.0, 1.0, 1.0], size=500)
    votes = SoftVotes(draws.sum(0), (draws**2).sum(0), np.array(500))
    for spec in ("hoeffding", "empirical_bernstein", "betting", "betting:truncated=true"):
        bounds = BOUNDS.build(spec).class_bounds(votes, votes.top, ALPHA)
        seen = Evidence(float(votes.sums[0]), 500, 0, 3, float(votes.squares[0]))
        rule = bound_of(spec, ALPHA)
        slack = rule(float(bounds.pA_lower), float(bounds.pB_upper), seen)
        assert 0 <= slack.lower < 1e-7
        assert 0 <= slack.upper < 1e-7
        assert rule(float(bounds.pA_lower) * (1 + 1e-6), 1.0, seen).lower < 0


def test_what_is_not_worked_out_is_said():
    assert bound_of("calibrated:thresholds=0.5/0.9", ALPHA) is None
    assert bound_of("plugged_in", ALPHA) is None
    assert bound_of("betting:unheard_of=1", ALPHA) is None
