from __future__ import annotations

import math
from dataclasses import replace

import pytest

from radii.errors import LedgerError
from radii.evaluation.report import Report
from radii.records import Claim
from tests.unit.evaluation.ledgers import abstained, row, soft, write, wrong

ROWS = [row(0, 1.3), wrong(1, 9.0), abstained(2), row(3, 0.7)]


def caveats(*paths) -> str:
    return "\n".join(Report.of(paths).caveats)


def test_a_run_in_numbers(tmp_path):
    path = write(tmp_path / "run.sqlite", ROWS)
    (summary,) = Report.of([path], [0, 0.7, 1]).summaries
    assert summary.run == str(path)
    assert (summary.noise, summary.norm, summary.n0, summary.n, summary.alpha) == (
        *("gaussian:sigma=0.5", "l2", 100, 1000, 0.001),
    )
    assert (summary.bound, summary.certificate) == ("clopper_pearson", "gaussian_l2")
    assert (summary.examples, summary.expected, summary.coverage) == (4, 4, "complete")
    assert (summary.standard_accuracy, summary.abstention_rate) == (2 / 4, 1 / 4)
    assert summary.acr == 2.0 / 4
    assert (summary.samples_total, summary.seconds_total) == (4400, 1.0)
    assert [(radius, s.value) for radius, s in summary.certified_accuracy] == [
        *((0.0, 2 / 4), (0.7, 2 / 4), (1.0, 1 / 4)),
    ]
    assert summary.indices == (0, 1, 2, 3)
    assert summary.meta["seed"] == 7


@pytest.mark.parametrize(
    ("largest", "radii"),
    [(0.0, [0, 0.25]), (0.1, [0, 0.25]), (0.25, [0, 0.25]), (0.8, [0, 0.25, 0.5, 0.75])],
)
def test_radii_reach_to_the_largest_of_a_right_class(tmp_path, largest, radii):
    rows = [row(0, largest), wrong(1, 5.0), row(2, math.inf)]
    assert list(Report.of([write(tmp_path / "a", rows)]).radii) == radii


def test_radii_reach_to_the_largest_of_any_run(tmp_path):
    paths = [write(tmp_path / "a", [row(0, 0.3)]), write(tmp_path / "b", [row(0, 1.0)])]
    assert Report.of(paths).radii == (0, 0.25, 0.5, 0.75, 1)


def test_large_radii_are_taken_in_larger_steps(tmp_path):
    radii = Report.of([write(tmp_path / "a", [row(0, 300.0)])]).radii
    assert radii == tuple(8.0 * step for step in range(38))


def test_radii_are_sorted_and_checked(tmp_path):
    path = write(tmp_path / "a", ROWS)
    assert Report.of([path], [1, 0, 1.0]).radii == (0.0, 1.0)
    for radius in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite numbers of at least 0"):
            Report.of([path], [radius])


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        Report.of([])
    with pytest.raises(LedgerError, match="no run at"):
        Report.of([tmp_path / "a"])


def test_a_run_without_inputs_is_refused(tmp_path):
    with pytest.raises(LedgerError, match=r"holds none; run `radii certify` with the same --out"):
        Report.of([write(tmp_path / "a", [])])


def test_a_ledger_of_something_else_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="has no n0, bound"):
        Report.of([write(tmp_path / "a", [row(0)], n0=None, bound=None)])


def test_a_complete_run_has_only_the_caveat_of_the_acr(tmp_path):
    assert Report.of([write(tmp_path / "a", ROWS)]).caveats == [
        "ACR grows with n, so compare it at equal n only."
    ]


def test_caveat_of_the_acr_counts_unanimous_inputs(tmp_path):
    rows = [
        replace(row(0), n_votes={0: 1000}),
        replace(wrong(1), n_votes={1: 1000}),
        replace(abstained(2), n_votes={0: 1000}),
        replace(row(3), n_votes={0: 999, 1: 1}),
        replace(row(4), n_votes={}),
    ]
    path = write(tmp_path / "a", rows)
    assert Report.of([path]).summaries[0].unanimous == 2
    assert "All n draws agreed on 2 of 5 inputs:" in caveats(path)


def test_caveat_of_an_unfinished_run(tmp_path):
    path = write(tmp_path / "a", ROWS, data_examples=500)
    assert Report.of([path]).summaries[0].expected == 500
    assert "The run holds 4 of 500 inputs" in caveats(path)
    sample = write(tmp_path / "b", ROWS, data_examples=5000, subset="random:137,seed=1")
    assert "The run holds 4 of 137 inputs" in caveats(sample)


@pytest.mark.parametrize(
    ("subset", "warns"), [("first:4", True), ("every:3", True), ("all", False)]
)
def test_caveat_of_a_part_of_the_data(tmp_path, subset, warns):
    path = write(tmp_path / "a", ROWS, data_examples=12, subset=subset)
    assert (f"covers {subset}, a fixed part of the 12 inputs" in caveats(path)) == warns


def test_a_random_sample_needs_no_caveat(tmp_path):
    path = write(tmp_path / "a", ROWS, data_examples=12, subset="random:4,seed=1")
    assert Report.of([path]).summaries[0].coverage == "random"
    assert len(Report.of([path]).caveats) == 1


def test_caveat_of_unknown_inputs(tmp_path):
    path = write(tmp_path / "a", ROWS, subset=None)
    assert Report.of([path]).summaries[0].expected is None
    assert "does not say which inputs" in caveats(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n": 100_000}, "The runs differ in n (1,000, 100,000)"),
        ({"alpha": 0.01}, "The runs differ in alpha (0.001, 0.01)"),
        ({"norm": "l1"}, "The runs differ in norm (l1, l2)"),
        ({"bound": "hoeffding"}, "The runs differ in bound (clopper_pearson, hoeffding)"),
        ({"certificate": "gaussian_l2_renyi"}, "The runs differ in certificate (gaussian_l2, "),
        ({"data_fingerprint": "cd" * 32}, "The runs are about different inputs"),
    ],
)
def test_caveats_of_two_runs(tmp_path, changes, sentence):
    first = write(tmp_path / "a", ROWS)
    assert sentence not in caveats(first, write(tmp_path / "b", ROWS))
    assert sentence in caveats(first, write(tmp_path / "c", ROWS, **changes))


def test_a_bound_that_is_not_the_papers_is_said(tmp_path):
    other = write(tmp_path / "a", ROWS, bound="runner_up_clopper_pearson:share=0.5")
    assert "The run bounds its votes by runner_up_clopper_pearson:share=0.5" in caveats(other)
    report = Report.of([other])
    assert report.names == ["gaussian:sigma=0.5, bound=runner_up_clopper_pearson:share=0.5"]
    assert report.labels[0].endswith("alpha=0.001, bound=runner_up_clopper_pearson:share=0.5")
    for fields in ({}, {"bound": "exact"}, {"bound": "hoeffding", "vote": "soft"}):
        path = write(tmp_path / f"b{len(fields)}{fields.get('vote')}", ROWS, **fields)
        assert "bounds its votes by" not in caveats(path)
        assert "bound=" not in Report.of([path]).labels[0]


def test_other_stopping_rules_and_noises_have_other_bounds_and_certificates(tmp_path):
    first = write(tmp_path / "a", ROWS)
    early = write(tmp_path / "b", ROWS, stop="precision:rel=0.1", bound="hybrid:cap=1000")
    assert "differ in bound" not in caveats(first, early)
    later = write(tmp_path / "c", ROWS, stop="precision:rel=0.1", bound="betting")
    assert "differ in bound (betting, hybrid:cap=1000)" in caveats(first, early, later)
    laplace = {"noise": "laplace:b=0.5", "norm": "l1", "certificate": "laplace_l1"}
    assert "differ in certificate" not in caveats(first, write(tmp_path / "d", ROWS, **laplace))


def test_caveat_of_other_inputs_of_one_data_set(tmp_path):
    first = write(tmp_path / "a", ROWS, data_examples=12, subset="random:4,seed=1")
    other = [replace(r, index=r.index + 1) for r in ROWS]
    second = write(tmp_path / "b", other, data_examples=12, subset="random:4,seed=2")
    assert "The runs are about different inputs" in caveats(first, second)


def test_an_infinite_radius_makes_the_acr_infinite_and_is_said(tmp_path):
    path = write(tmp_path / "a", [*ROWS, row(4, math.inf)])
    (summary,) = Report.of([path]).summaries
    assert summary.acr == math.inf
    assert summary.acr_se is None
    assert "infinite ACR, because 1 of its 5 inputs" in caveats(path)


def test_names_and_labels_tell_runs_apart(tmp_path):
    paths = [write(tmp_path / "a", ROWS), write(tmp_path / "b", ROWS, noise="gaussian:sigma=1.0")]
    report = Report.of(paths)
    assert report.names == ["gaussian:sigma=0.5", "gaussian:sigma=1.0"]
    assert report.labels == [f"{name}, n=1,000, alpha=0.001" for name in report.names]

    report = Report.of([paths[0], write(tmp_path / "c", ROWS, n=2000)])
    assert report.names == [str(tmp_path / "a"), str(tmp_path / "c")]
    assert report.labels[1] == "gaussian:sigma=0.5, n=2,000, alpha=0.001"

    report = Report.of([paths[0], write(tmp_path / "d", ROWS)])
    assert report.labels[1] == f"{tmp_path / 'd'}: gaussian:sigma=0.5, n=1,000, alpha=0.001"


def test_a_run_that_stopped_early(tmp_path):
    rows = [
        replace(row(0, 0.5), claim=Claim(100, 100), n_votes={0: 100}, samples=200),
        replace(abstained(1), claim=Claim(0, 0), n_votes={0: 50, 2: 50}, samples=200),
    ]
    path = write(
        tmp_path / "a", rows, stop="at_radius:radius=0.5,futility=0.01", bound="calibrated"
    )
    report = Report.of([path])
    (summary,) = report.summaries
    assert summary.stop == "at_radius:radius=0.5,futility=0.01"
    assert (summary.n, summary.samples_total, summary.acr) == (1000, 400, 0.25)
    assert report.labels == [f"gaussian:sigma=0.5, n=1,000, alpha=0.001, stop={summary.stop}"]
    (said,) = report.caveats  # of equal n there is nothing to say
    assert "stopped early (at_radius:radius=0.5,futility=0.01)" in said
    assert "its ACR is a lower bound of the one at n=1,000" in said
    assert "So is its certified accuracy at radii that it did not decide" in said

    fixed = write(tmp_path / "b", ROWS)
    both = Report.of([path, fixed]).caveats
    assert sum("stopped early" in sentence for sentence in both) == 1
    assert "ACR grows with n, so compare it at equal n only." in both


def test_the_stop_of_a_ledger_that_does_not_say_is_never(tmp_path):
    (summary,) = Report.of([write(tmp_path / "a", ROWS)]).summaries
    assert summary.stop == "never"
    assert "stopped early" not in caveats(tmp_path / "a")


def test_an_exact_run_is_about_its_domain_and_does_not_grow_with_n(tmp_path):
    rows = [replace(row(0), n0_votes={}, n_votes={0: 255}, samples=255)]
    path = write(
        *(tmp_path / "a", rows),
        **{"noise": "splitting:half_width=0.5,deterministic=true", "certificate": "splitting_l1"},
        **{"bound": "exact", "n0": 0, "n": 255, "alpha": 0, "norm": "l1"},
        domain="inputs whose coordinates are multiples of 1/255",
    )
    report = Report.of([path])
    assert (report.summaries[0].alpha, report.summaries[0].n0) == (0, 0)
    assert report.caveats == [
        "The run is about inputs whose coordinates are multiples of 1/255: "
        "a radius says nothing about other points of the ball."
    ]
    assert "is about" not in caveats(write(tmp_path / "b", ROWS, domain=None))


def test_soft_votes_are_another_classifier(tmp_path):
    path = write(tmp_path / "a", [soft(0), soft(1, 0.7)], vote="soft", bound="empirical_bernstein")
    report = Report.of([path])
    (summary,) = report.summaries
    assert summary.unanimous == 0
    assert summary.acr == pytest.approx(0.6)
    assert "adds up softmax scores in place of votes" in report.caveats[0]
    assert report.caveats[1:] == ["ACR grows with n, so compare it at equal n only."]
    assert "softmax" not in caveats(write(tmp_path / "b", ROWS, vote="hard"))
