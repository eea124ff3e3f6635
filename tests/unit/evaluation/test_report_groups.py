from __future__ import annotations

import csv
import io
import json
import math
import re

import numpy as np
import pytest
import torch

from radii.data import ArrayDataset, Subset
from radii.evaluation import Ledger, Run
from radii.evaluation.metrics import Outcomes, certified_accuracy, certified_shares
from radii.evaluation.report import (
    Mean,
    Report,
    as_csv,
    as_html,
    as_json,
    as_latex,
    as_markdown,
    figure,
)
from radii.evaluation.report.curves import certified_band
from radii.evaluation.report.style import colour_of
from radii.evaluation.seeds import training_of
from radii.models import Base
from radii.noise import Gaussian
from radii.smoothing import SamplingPlan, SmoothedClassifier
from tests.oracles import HalfSpace
from tests.unit.evaluation.ledgers import TRAINED, abstained, row, sweep, write, wrong

# ACR .5, .6 and .7: mean .6, deviation .1. Right 2, 3 and 4 of 4; abstained 1, 1 and 0.
RUNS = [
    [row(0, 1.0), row(1, 1.0), wrong(2), abstained(3)],
    [row(0, 1.2), row(1, 0.6), row(2, 0.6), abstained(3)],
    [row(0, 0.7), row(1, 0.7), row(2, 0.7), row(3, 0.7)],
]
TRAINING = TRAINED["base_training"]


@pytest.fixture
def report(tmp_path) -> Report:
    """Three seeds of one training between two runs of which no training is known."""
    paths = [
        write(tmp_path / "first", RUNS[0], noise="gaussian:sigma=1.0"),
        *sweep(tmp_path / "sweep", RUNS),
        write(tmp_path / "last", RUNS[0]),
    ]
    return Report.of(paths, [0, 0.65, 1.0])


def grouped(*paths) -> list[tuple[int, ...]]:
    return [group.positions for group in Report.of(paths).groups]


def test_mean_and_deviation_of_a_group(report):
    (group,) = report.groups
    assert group.positions == (1, 2, 3)
    assert [run.run for run in group.runs] == [s.run for s in report.summaries[1:4]]
    assert group.acr.value == pytest.approx(0.6, abs=1e-15)
    assert group.acr.deviation == pytest.approx(0.1, abs=1e-15)
    assert group.standard_accuracy == Mean(9 / 12, 0.25)
    assert group.abstention_rate.value == 2 / 12
    assert group.abstention_rate.deviation == pytest.approx(math.sqrt(1 / 3) / 4, rel=1e-15)
    # At .65 are certified 2, 1 and 4; at 1.0 2, 1 and 0.
    assert [(radius, mean.value) for radius, mean in group.certified_accuracy] == [
        *((0.0, 9 / 12), (0.65, 7 / 12), (1.0, 3 / 12)),
    ]
    assert group.certified_accuracy[1][1].deviation == pytest.approx(math.sqrt(7 / 3) / 4)
    assert group.name == "gaussian under gaussian:sigma=0.5"
    assert group.bases == 3


def test_a_mean_of_shares_is_that_of_the_counts():
    # .28, .29 and .30 of 100 add up to .87 only in exact arithmetic.
    assert Mean.of_shares([0.28, 0.29, 0.30], 100) == Mean(0.29, 0.01)
    assert Mean.of_shares([1 / 3, 1 / 3], 3) == Mean(1 / 3, 0.0)


def test_runs_of_one_training_that_drew_other_noise_are_a_group(tmp_path):
    """As `Run` writes them: each with its own seed and the hash of it."""
    base = HalfSpace(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    inputs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    data = ArrayDataset(inputs, (inputs[:, 0] > 0).astype(np.int64), ("0", "1"), "toy@test")
    run = Run(
        smoothed=SmoothedClassifier(base, Gaussian(0.5), 2),
        base=Base(
            base, "trained", "00" * 32, None, None, None, {"objective": "gaussian", "seed": 0}
        ),
        dataset=data,
        subset=Subset(),
        plan=SamplingPlan(n0=10, n=50),
    )
    paths = [run.certify(tmp_path / name).path for name in ("one.sqlite", "two.sqlite")]
    assert len({Ledger(path).meta["key_sha256"] for path in paths}) == 2
    assert grouped(*paths) == [(0, 1)]


def test_where_a_run_was_computed_does_not_part_it_from_a_group(tmp_path):
    places = ("serial", "processes:2")
    paths = [
        write(tmp_path / str(seed), [row(0)], **TRAINED, seed=seed, executor=place)
        for seed, place in enumerate(places)
    ]
    assert grouped(*paths) == [(0, 1)]


BEFORE = {
    **{"alpha": 0.001, "bound": "clopper_pearson", "certificate": "gaussian_l2", "norm": "l2"},
    "claim": "another",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 2000},
        {"alpha": 0.01},
        {"noise": "gaussian:sigma=0.25"},
        {"certificate": "gaussian_l2_renyi"},
        {"data_fingerprint": "cd" * 32},
        {"data_examples": 12, "subset": "first:4"},
        {"device": "cuda"},
        {"base_training": {**TRAINING, "epochs": 4}},
        {"base_training": {**TRAINING, "objective": "macer"}},
        {"base_training": {**TRAINING, "something_new": 1}},
    ],
)
def test_runs_that_differ_in_more_than_seeds_are_not_one_group(tmp_path, changes):
    first, second = sweep(tmp_path, RUNS[:2])
    (other,) = sweep(tmp_path / "other", RUNS[2:], base_sha256="ff" * 32, **changes)
    assert grouped(first, second) == [(0, 1)]
    assert grouped(first, other) == []
    assert grouped(first, other, second) == [(0, 2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"versions": {"radii": "9"}, "git_revision": "ab+", "created": "later"},
        {"base": "elsewhere", "data": "/copy/of/mnist", "device_name": "another"},
        {"label_agreement": {"with": "float32", "share": 0.99, "draws": 1000}},
        {"input_shape": [1, 28, 28]},
    ],
)
def test_what_may_differ_in_a_group(tmp_path, changes):
    (first,) = sweep(tmp_path / "a", RUNS[:1])
    (second,) = sweep(tmp_path / "b", RUNS[1:2], base_seed=8, base_sha256="ff" * 32, **changes)
    assert grouped(first, second) == [(0, 1)]


def test_readings_of_runs_are_a_group_of_their_own(tmp_path):
    paths = sweep(tmp_path, RUNS[:2], alpha=0.01)
    read = [
        sweep(tmp_path / name, RUNS[:2], alpha=0.01, reread_of={**BEFORE, "run": name})
        for name in ("a", "b")
    ]
    assert grouped(read[0][0], read[1][1]) == [(0, 1)]  # the paths of their parents differ
    assert grouped(*paths, *read[0]) == [(0, 1), (2, 3)]


def test_runs_on_other_inputs_are_not_one_group(tmp_path):
    whole, part = sweep(tmp_path, [RUNS[0], RUNS[1][:3]], data_examples=4)
    assert grouped(whole, part) == []


def test_without_the_training_runs_stay_single(tmp_path):
    assert grouped(write(tmp_path / "a", RUNS[0]), write(tmp_path / "b", RUNS[1], seed=8)) == []


def test_a_run_that_is_given_twice_counts_once(tmp_path):
    first, second = sweep(tmp_path, RUNS[:2])
    assert grouped(first, first) == []
    assert grouped(first, first, second) == [(0, 2)]
    report = Report.of([first, first, second])
    assert report.line_of == [0, 1, 0]


def test_several_runs_of_a_base_classifier_are_said(tmp_path):
    paths = sweep(tmp_path / "a", RUNS[:2])
    again = sweep(tmp_path / "b", RUNS[2:], seed=9)  # of the base classifier of the first
    report = Report.of([*paths, *again])
    assert (len(report.groups[0].runs), report.groups[0].bases) == (3, 2)
    assert any("are of 2 base classifiers, some of which" in said for said in report.caveats)
    one = Report.of([paths[0], *again])
    assert any("says nothing of another training" in said for said in one.caveats)
    assert not any("base classifier" in said for said in Report.of(paths).caveats)


def test_what_a_ledger_keeps_of_a_training():
    details = {
        "architecture": "lenet", "objective": "gaussian", "epochs": 3, "mean": [0.1], "seed": 5,
        "sha256": "ab", "data": "mnist@train", "versions": {}, "git_revision": "c",
        "exported_epoch": 2,
    }  # fmt: skip
    assert training_of(details) == {
        "base_training": {
            "architecture": "lenet", "objective": "gaussian", "epochs": 3, "mean": [0.1]
        },
        "base_seed": 5,
    }  # fmt: skip
    assert training_of({}) == training_of({"architecture": "lenet", "mean": [0.1]}) == {}


def test_groups_have_names_of_their_own(tmp_path):
    one = sweep(tmp_path / "a", RUNS[:2])
    two = sweep(tmp_path / "b", RUNS[:2], n=2000)
    macer = sweep(tmp_path / "c", RUNS[:2], base_training={**TRAINING, "objective": "macer"})
    assert Report.of([*one, *macer]).group_names == [
        *("gaussian under gaussian:sigma=0.5", "macer under gaussian:sigma=0.5"),
    ]
    names = Report.of([*one, *two, *macer]).group_names
    assert names == [
        f"gaussian under gaussian:sigma=0.5, {one[0]} and alike",
        f"gaussian under gaussian:sigma=0.5, {two[0]} and alike",
        "macer under gaussian:sigma=0.5",
    ]


def test_json_of_groups_is_unrounded(report):
    content = json.loads(as_json(report))
    assert len(content["runs"]) == 5
    (group,) = content["groups"]
    assert set(group) == {
        *("name", "runs", "base_classifiers", "base_training", "noise", "norm", "n0", "n", "alpha"),
        *("bound", "stop", "certificate", "examples", "standard_accuracy", "abstention_rate"),
        *("acr", "certified_accuracy"),
    }
    assert group["runs"] == [s.run for s in report.summaries[1:4]]
    assert group["base_training"] == TRAINING
    found = report.groups[0]
    assert group["acr"] == {"mean": found.acr.value, "deviation": found.acr.deviation}
    assert group["standard_accuracy"] == {"mean": 0.75, "deviation": 0.25}
    assert group["certified_accuracy"][1] == {
        "radius": 0.65,
        "mean": 7 / 12,
        "deviation": found.certified_accuracy[1][1].deviation,
    }


def test_json_of_groups_has_no_constants(tmp_path):
    training = {**TRAINING, "rate": math.nan, "steps": [1.0, math.inf]}
    report = Report.of(sweep(tmp_path / "runs", RUNS, base_training=training))
    (group,) = json.loads(as_json(report))["groups"]
    assert group["base_training"] == {**TRAINING, "rate": None, "steps": [1.0, None]}


def test_an_infinite_acr_of_one_run(tmp_path):
    runs = [[row(0, math.inf), row(1)], [row(0), row(1)]]
    report = Report.of(sweep(tmp_path, runs))
    (group,) = json.loads(as_json(report))["groups"]
    assert group["acr"] == {"mean": None, "deviation": None}
    assert group["standard_accuracy"] == {"mean": 1.0, "deviation": 0.0}
    assert "| ACR | \N{INFINITY} |" in as_markdown(report)
    assert r"mean of 2 runs & $\infty$ & $100.0_{\pm 0.0}$" in as_latex(report)


def test_csv_has_lines_of_groups_after_those_of_runs(report):
    lines = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert [line["runs"] for line in lines] == ["1"] * 15 + ["3"] * 3
    at = lines[16]
    assert at["run"] == "gaussian under gaussian:sigma=0.5"
    assert (at["lower"], at["upper"], at["acr_se"]) == ("", "", "")
    assert float(at["radius"]) == 0.65
    assert float(at["certified_accuracy"]) == 7 / 12
    (group,) = report.groups
    assert float(at["certified_accuracy_deviation"]) == group.certified_accuracy[1][1].deviation
    assert float(at["acr_deviation"]) == group.acr.deviation
    assert float(at["standard_accuracy_deviation"]) == 0.25
    assert int(at["samples_total"]) == 3 * 4400
    assert {line["acr_deviation"] for line in lines[:15]} == {""}


def test_means_are_floored_and_deviations_rounded_up(report):
    text = as_markdown(report)
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 4 + 5  # runs, accuracies, groups, pA; and the classes of each run
    assert tables[2].splitlines()[0] == (
        "| Runs that differ only in their seeds | gaussian under gaussian:sigma=0.5 |"
    )
    assert "| Runs | 3 |" in text
    assert "| Standard accuracy (%) | 75.0 ± 25.0 |" in text
    assert "| Abstained (%) | 16.7 ± 14.5 |" in text  # 16.66 and 14.43
    assert "| Certified at 0.65 (%) | 58.3 ± 38.2 |" in text  # 58.33 and 38.18
    latex = as_latex(report)
    assert r"gaussian under gaussian:sigma=0.5, mean of 3 runs & " in latex
    assert r"& $75.0_{\pm 25.0}$ & $58.3_{\pm 38.2}$ & " in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in rows[1:]] == [4] * (1 + 2 * 5 + 1)
    assert re.search(r"<td>58\.3 ± 38\.2</td>", as_html(report))


def test_without_groups_nothing_is_said_of_them(tmp_path):
    report = Report.of([write(tmp_path / "a", RUNS[0]), write(tmp_path / "b", RUNS[1])])
    for text in (as_markdown(report), as_latex(report), as_html(report)):
        assert "mean of" not in text
        assert "seeds" not in text


def test_a_group_is_one_curve_with_its_band(report):
    (axes,) = figure(report).axes
    labels = [text.get_text() for text in figure(report).legends[0].get_texts()]
    assert len(axes.lines) == len(labels) == 3
    assert " ".join(labels[1].split()) == (
        "gaussian under gaussian:sigma=0.5, n=1,000, alpha=0.001: "
        "mean ± standard deviation of 3 runs"
    )
    assert "".join(labels[2].split()).startswith(f"{report.summaries[4].run}:gaussian")
    x, y = (np.asarray(axes.lines[1].get_data()[axis]) for axis in (0, 1))
    for radius in (0.0, 0.6, 0.65, 0.7, np.nextafter(0.7, 1), 1.0, 1.2):
        shares = [certified_accuracy(s.outcomes, [radius])[0].value for s in report.summaries[1:4]]
        assert y[np.searchsorted(x, radius)] == pytest.approx(100 * np.mean(shares))
    heights = {
        round(corner[1], 9) for corner in axes.collections[1].get_paths()[0].vertices.tolist()
    }
    assert {50.0, 100.0} <= heights  # 75 ± 25 at 0
    assert min(heights) == 0


def test_the_curve_of_a_group_is_rounded_as_its_table(tmp_path):
    right = [[row(i) if i < k else wrong(i) for i in range(10)] for k in (6, 7, 8)]
    report = Report.of(sweep(tmp_path / "runs", right), [0.5])
    ((_, mean),) = report.groups[0].certified_accuracy
    band = certified_band(report.groups[0], np.array([0.5]))
    assert band.value.tolist() == [mean.value] == [0.7]
    assert Mean.of([0.5, math.nextafter(0.5, 0)]).value < 0.5


def test_runs_of_a_group_share_its_colour(report):
    assert report.line_of == [0, 1, 1, 1, 2]
    (axes,) = figure(report).axes
    assert [line.get_color() for line in axes.lines] == [colour_of(i) for i in range(3)]
    heads = re.findall(r'<th scope="col"><span class="run">.*?--run-(\d)', as_html(report))
    assert heads == ["1", *"01112", *"01112"]  # groups, certified accuracy, details


def test_shares_at_once_are_those_one_by_one():
    outcomes = Outcomes.of([*RUNS[1], row(4, math.inf), row(5, 0.0), wrong(6, 5.0)])
    radii = np.array([0.0, 0.3, 0.6, np.nextafter(0.6, 1), 1.2, 2.0, 9.0])
    one_by_one = [share.value for share in certified_accuracy(outcomes, radii.tolist())]
    assert certified_shares(outcomes, radii).tolist() == one_by_one
