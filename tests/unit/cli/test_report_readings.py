"""`radii report` through other certificates, bounds and alphas, and with fewer draws."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from radii.cli.main import run
from radii.evaluation import Ledger, Outcomes, read_export, write_export
from radii.evaluation.metrics import average_certified_radius
from radii.evaluation.projection import project
from radii.evaluation.report import Report
from radii.evaluation.rereading import reread
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import row, soft, write

IDEAS = ["gaussian_l2", "gaussian_l2_renyi", "gaussian_l2_kl", "gaussian_l2_hellinger"]


def voted(index: int, k: int, label: int = 0):
    """An input with k of 1,000 votes for class 0; what it certifies is for `reread` to say."""
    votes = {0: k, 2: 1000 - k} if k < 1000 else {0: k}
    return replace(row(index, label=label), n_votes=votes)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    rows = [voted(0, 1000), voted(1, 970), voted(2, 800), voted(3, 505), voted(4, 999, label=2)]
    raw = Ledger(write(tmp_path / "raw", rows, num_classes=3, input_shape=[1, 2, 2]))
    true = list(reread(raw).rows())  # with the radii that belong to these votes
    return Ledger(
        write(tmp_path / "run.sqlite", true, num_classes=3, input_shape=[1, 2, 2], base_sha256=BASE)
    )


def reported(capsys, *arguments: object) -> dict:
    assert run(["report", *map(str, arguments), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def acr(recorded) -> float:
    return average_certified_radius(Outcomes.of(recorded.rows()))


def test_several_certificates_of_one_run_side_by_side(ledger, capsys):
    found = reported(capsys, ledger.path, "--certificate", ",".join(IDEAS), "--radii", "0,0.5")
    runs = found["runs"]
    assert [each["certificate"] for each in runs] == IDEAS
    assert runs[0]["run"] == str(ledger.path)
    assert "reread_of" not in runs[0]
    for each in runs[1:]:
        assert each["run"] == f"{ledger.path} (read with certificate={each['certificate']})"
        assert (each["reread_of"]["run"], each["reread_of"]["claim"]) == (str(ledger.path), "same")
        assert each["acr"] == acr(reread(ledger, certificate=each["certificate"])) < runs[0]["acr"]
    assert len({each["acr"] for each in runs}) == 4


def test_one_figure_shows_them_and_names_them(ledger, tmp_path, capsys):
    report = Report.of([ledger, *(reread(ledger, certificate=name) for name in IDEAS[1:])])
    start = "gaussian:sigma=0.5, n=1,000, alpha=0.001, certificate="
    assert report.labels == [
        f"{start}gaussian_l2",
        *(f"{start}{name} (read again)" for name in IDEAS[1:]),
    ]
    assert report.names == [
        "gaussian:sigma=0.5, certificate=gaussian_l2",
        *(f"gaussian:sigma=0.5, certificate={name} (read again)" for name in IDEAS[1:]),
    ]
    out = tmp_path / "figure.svg"
    options = ["--certificate", ",".join(IDEAS), "--out", str(out)]
    assert run(["report", str(ledger.path), *options]) == 0
    drawn = " ".join(out.read_text().split())
    assert all(name in drawn for name in IDEAS)
    assert run(["report", str(ledger.path), *options[:2]]) == 0
    shown = capsys.readouterr().out
    assert "The bounds are those of the run, so that all hold together" in shown
    agreed = "All n draws agreed on 1 of 5 inputs in {}: the radius of these"
    assert agreed.format(ledger.path) in shown  # the votes are those of one run, and said once


def test_another_alpha_is_said_to_be_another_claim(ledger, capsys):
    (entry,) = reported(capsys, ledger.path, "--alpha", 0.05)["runs"]
    assert (entry["alpha"], entry["reread_of"]["alpha"]) == (0.05, 0.001)
    assert entry["reread_of"]["claim"] == "another"
    assert entry["acr"] == acr(reread(ledger, alpha=0.05)) > acr(ledger)
    for kind in ("md", "latex"):
        assert run(["report", str(ledger.path), "--bound", "hoeffding", "--format", kind]) == 0
        shown = capsys.readouterr().out
        assert "This is another claim than that of the run" in shown
        assert "another claim)" in shown  # beside the name in the table


def test_an_export_of_a_reading_says_so_too(ledger, tmp_path, capsys):
    write_export(reread(ledger, alpha=0.05), tmp_path / "read.csv")
    assert run(["report", str(tmp_path / "read.csv")]) == 0
    shown = capsys.readouterr().out
    assert "(read again, another claim)" in shown
    assert f"{ledger.path} was read again, with alpha=0.05 in place of 0.001" in shown


def test_the_options_of_the_run_itself_change_nothing(ledger, capsys):
    plain = reported(capsys, ledger.path)
    own = ["--alpha", 0.001, "--bound", "clopper_pearson", "--norm", "l2"]
    assert reported(capsys, ledger.path, *own, "--certificate", "gaussian_l2") == plain


def test_attack_runs_stay_as_they_are(ledger, tmp_path, capsys):
    attacked = write_attack(tmp_path / "attacked", [hit(0, 9.0), kept(1)])
    found = reported(capsys, attacked, ledger.path, "--certificate", "gaussian_l2_renyi")
    assert len(found["runs"]) == len(found["attacks"]) == len(found["audits"]) == 1
    assert found["runs"][0]["certificate"] == "gaussian_l2_renyi"
    for option in (["--alpha", "0.01"], ["--project", "10"]):
        assert run(["report", str(attacked), *option]) == 2
        assert "attack runs only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "options", "code", "said"),
    [
        ({"imported": {"layout": "log"}}, ["--certificate", "gaussian_l2_renyi"], 1, "imported"),
        ({"stop": "at_radius:0.1", "bound": "betting"}, ["--alpha", "0.01"], 2, "stopped early"),
        ({"vote": "soft", "bound": "hoeffding"}, ["--bound", "clopper_pearson"], 2, "hard votes"),
        ({}, ["--alpha", "2"], 2, "alpha must be in"),
        ({}, ["--bound", "clopper"], 2, "no bound is called 'clopper'"),
        ({}, ["--certificate", "gaussian_l2,"], 2, "no certificate is called ''"),
        ({}, ["--certificate", "laplace_l1"], 2, "does not cover"),
        ({}, ["--norm", "l0"], 2, "no certificate covers"),
        ({}, ["--project", "0"], 2, "n must be from 1 to the run's 1,000, got 0"),
        ({}, ["--project", "1001"], 2, "n must be from 1 to the run's 1,000, got 1001"),
        ({}, ["--project", "3"], 2, "can never certify"),
        ({"imported": {"layout": "log"}}, ["--project", "500"], 1, "imported"),
        ({}, ["--project", "500", "--format", "csv"], 2, "must go without --format csv"),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_output(
    tmp_path, capsys, changes, options, code, said
):
    rows = [soft(0)] if changes.get("vote") == "soft" else [voted(0, 990)]
    path = write(tmp_path / "run", rows, num_classes=3, **changes)
    out = tmp_path / "out.md"
    target = [] if "--format" in options else ["--out", str(out)]
    assert run(["report", str(path), *options, *target]) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert not out.exists()


def test_fewer_draws_are_an_expectation(ledger, tmp_path, capsys):
    found = reported(capsys, ledger.path, "--project", 200, "--radii", "0,0.5")
    (entry,) = found["projections"]
    expected = project(ledger, 200, [0, 0.5])
    assert (entry["n"], entry["examples"], entry["acr"]) == (200, 5, expected.acr)
    assert entry["acr"] < found["runs"][0]["acr"]
    assert [tuple(each.values()) for each in entry["certified_accuracy"]] == [
        *expected.certified_accuracy
    ]
    assert found["runs"] == reported(capsys, ledger.path, "--radii", "0,0.5")["runs"]
    assert "projections" not in reported(capsys, ledger.path)
    for kind in ([], ["--format", "md"], ["--format", "html"]):
        assert run(["report", str(ledger.path), "--project", "200", *kind]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "Expected with n=200 draws" in shown
        assert "such numbers are no certificates" in shown


def test_all_draws_give_the_run_itself(ledger, capsys):
    found = reported(capsys, ledger.path, "--project", 1000, "--certificate", "gaussian_l2_renyi")
    (entry,), (itself,) = found["projections"], found["runs"]
    assert entry["run"] == itself["run"]
    assert entry["acr"] == pytest.approx(itself["acr"], rel=1e-12)
    for key in ("standard_accuracy", "abstention_rate"):
        assert entry[key] == pytest.approx(itself[key], abs=1e-12)


def test_certified_accuracy_is_at_least(ledger, capsys):
    found = reported(capsys, ledger.path, "--rho", 0.1, "--radii", "0,0.5")
    (entry,), (itself,) = found["guarantees"], found["runs"]
    loss, alpha = math.log(10) / 5, 0.001  # of five inputs
    slack = alpha + math.sqrt(2 * alpha * (1 - alpha) * loss) + loss / 3
    for least, share in zip(entry["certified_accuracy"], itself["certified_accuracy"], strict=True):
        assert least["radius"] == share["radius"]
        assert least["value"] == pytest.approx(max(share["value"] - slack, 0), abs=1e-12)
    assert found["runs"] == reported(capsys, ledger.path, "--radii", "0,0.5")["runs"]
    assert "guarantees" not in reported(capsys, ledger.path)
    for kind in ([], ["--format", "md"], ["--format", "html"]):
        assert run(["report", str(ledger.path), "--rho", "0.1", *kind]) == 0
        assert "At least, with probability 0.9" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("option", [["--norm", "linf"], ["--certificate", "gaussian_linf"]])
def test_a_dimension_that_a_run_does_not_say(tmp_path, capsys, option):
    path = write(tmp_path / "run", [voted(0, 990)], num_classes=3)
    assert run(["report", str(path), *option]) == 1
    said = capsys.readouterr().err
    assert "does not say the shape of its inputs" in said
    assert "--dim" not in said


def test_a_projection_through_a_dimension_that_a_run_does_not_say(tmp_path, capsys):
    spec = {"norm": "linf", "certificate": "gaussian_linf", "num_classes": 3}
    path = write(tmp_path / "run", [voted(0, 990)], **spec)
    assert run(["report", str(path), "--project", "200"]) == 1
    assert "does not say the shape of its inputs" in capsys.readouterr().err


def test_radii_of_a_log_bound_nothing(tmp_path, capsys):
    path = write(tmp_path / "log", [row(0)], imported={"file": "log"})
    assert run(["report", str(path), "--rho", "0.1"]) == 1
    assert "log' was imported: its radii are those that were published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rho", "0"], "rho must be in (0, 1), got 0.0"),
        (["--rho", "0.1", "--format", "csv"], "--rho must go without --format csv"),
    ],
)
def test_what_certified_accuracy_has_no_bound(ledger, capsys, options, said):
    assert run(["report", str(ledger.path), *options]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_pictures_of_a_reading_are_not_needed_for_its_page(ledger, tmp_path):
    out = tmp_path / "page.html"
    options = ["--certificate", "gaussian_l2,gaussian_l2_renyi", "--out", str(out)]
    assert run(["report", str(ledger.path), *options]) == 0
    assert "certificate=gaussian_l2_renyi" in out.read_text().replace("<wbr>", "")
    write_export(ledger, tmp_path / "a.csv")
    assert run(["report", str(tmp_path / "a.csv"), *options]) == 0
    assert list(read_export(tmp_path / "a.csv").rows()) == list(ledger.rows())
