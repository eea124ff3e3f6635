"""What every bound refuses, beyond what the conformance tests try."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from radii.bounds import BOUNDS, Bound
from radii.bounds._looks import AtLooks
from radii.bounds.base import check, check_counts


@pytest.mark.parametrize("alpha", [-0.5, 1.5, 2, float("inf")])
def test_an_alpha_far_out_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\), got"):
        check(np.array(1), 2, alpha)


def test_the_first_count_that_is_off_is_named() -> None:
    k, n = np.array([[0, 5], [7, -1]]), np.array([[1, 5], [6, 3]])
    with pytest.raises(ValueError, match=r"got k=7 with n=6"):
        check_counts(k, n)
    with pytest.raises(ValueError, match="n must be at least 1, got -3"):
        check_counts(np.array([0, 0]), np.array([2, -3]))


def test_counts_from_none_to_all_are_taken_and_broadcast() -> None:
    k, n = check_counts(np.array([0, 1, 3], dtype=np.int16), 3)
    assert (k.tolist(), n.tolist()) == ([0, 1, 3], [3, 3, 3])
    assert (k.dtype, n.dtype) == (np.int64, np.int64)


@pytest.mark.parametrize("name", BOUNDS.names())
def test_a_bound_stays_as_it_was_checked(name: str) -> None:
    bound = BOUNDS.build(name)
    with pytest.raises(FrozenInstanceError):
        bound.share = 7  # type: ignore[attr-defined]


def test_no_name_that_a_ledger_may_hold_is_lost() -> None:
    of_one_time = "clopper_pearson empirical_bernstein exact hoeffding"
    of_classes = "multiclass_clopper_pearson randomized_clopper_pearson runner_up_clopper_pearson"
    of_both = "randomized_runner_up_clopper_pearson"
    of_all_times = "betting calibrated hybrid staged union_clopper_pearson"
    for name in f"{of_one_time} {of_classes} {of_both} {of_all_times}".split():
        assert BOUNDS.build(name) == BOUNDS[name]()
        assert BOUNDS[name].anytime == (name in of_all_times.split())


@pytest.mark.parametrize(("kind", "verb"), [(Bound, "lower"), (Bound, "upper"), (AtLooks, "looks")])
def test_a_bound_that_lacks_a_verb_cannot_be_made(kind: type, verb: str) -> None:
    others = {name: None for name in ("lower", "upper", "looks") if name != verb}
    with pytest.raises(TypeError, match=f"abstract method '?{verb}"):
        type("Half", (kind,), others)()
