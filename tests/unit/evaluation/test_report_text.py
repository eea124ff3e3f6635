from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest

from radii.cli.console import print_report
from radii.evaluation.report import Report, as_csv, as_json, as_latex, as_markdown
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

# 1.2399 and a third of 0.8 are rounded up by formatting: 1.240 and 0.26667.
ROWS = [row(0, 1.2399), wrong(1, 9.0), abstained(2)]


@pytest.fixture
def report(tmp_path) -> Report:
    paths = [write(tmp_path / "a|b_1", ROWS), write(tmp_path / "c", ROWS, noise="gaussian:sigma=1")]
    return Report.of(paths, [0, 0.25, 1.2399])


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_json_has_the_documented_keys_and_unrounded_numbers(report):
    text = as_json(report)
    content = json.loads(text, parse_constant=no_constant)
    assert list(content) == ["runs", "groups", "attacks", "audits"]
    assert content["groups"] == content["attacks"] == content["audits"] == []
    for run, summary in zip(content["runs"], report.summaries, strict=True):
        assert set(run) == {
            *("run", "noise", "norm", "n0", "n", "alpha", "bound", "stop"),
            *("certificate", "examples"),
            *("standard_accuracy", "abstention_rate", "acr", "acr_se", "samples_total"),
            *("certified_accuracy", "sentence", "expected", "coverage", "acr_interval"),
            *("median_radius", "radius_quantiles", "pA_lower", "per_class", "unanimous"),
            "seconds_total",
        }
        assert run["acr"] == summary.acr == 1.2399 / 3
        assert run["samples_total"] == 3300
        for entry, (radius, share) in zip(
            run["certified_accuracy"], summary.certified_accuracy, strict=True
        ):
            assert entry == {
                "radius": radius,
                "value": share.value,
                "lower": share.lower,
                "upper": share.upper,
            }


def test_json_has_no_infinity(tmp_path):
    report = Report.of([write(tmp_path / "a", [row(0, math.inf), row(1)])])
    (run,) = json.loads(as_json(report), parse_constant=no_constant)["runs"]
    assert run["acr"] is None
    assert run["acr_se"] is None


def test_json_has_all_that_the_page_has(report):
    run = json.loads(as_json(report))["runs"][0]
    summary = report.summaries[0]
    assert (run["expected"], run["coverage"], run["unanimous"]) == (3, "complete", 0)
    assert run["median_radius"] == 0
    assert run["seconds_total"] == 0.75
    assert run["acr_interval"] == {
        "lower": summary.acr_interval.lower,
        "upper": summary.acr_interval.upper,
    }
    assert run["acr_interval"]["lower"] <= run["acr"] <= run["acr_interval"]["upper"]
    assert run["radius_quantiles"][-1] == {"share": 0.9, "radius": 1.2399}
    found = run["pA_lower"]
    assert sum(found["right"] + found["wrong"] + found["abstained"]) == 3
    assert found["abstained"][0] == 1  # its bound is .45
    (of_class,) = run["per_class"]
    assert (of_class["class"], of_class["name"], of_class["examples"]) == (0, "0", 3)
    assert of_class["acr"] == run["acr"]
    assert of_class["certified_accuracy"] == run["certified_accuracy"]


def test_many_inputs_have_no_bootstrap_interval(tmp_path, monkeypatch):
    path = write(tmp_path / "a", ROWS)
    monkeypatch.setattr("radii.evaluation.report.report.BOOTSTRAP_INPUTS", 2)
    report = Report.of([path])
    assert json.loads(as_json(report))["runs"][0]["acr_interval"] is None
    assert "| 95 % interval of ACR | - |" in as_markdown(report)
    assert next(csv.DictReader(io.StringIO(as_csv(report))))["acr_lower"] == ""


def test_csv_has_a_line_a_run_and_radius(report):
    lines = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert len(lines) == 6
    assert [float(line["radius"]) for line in lines[:3]] == [0, 0.25, 1.2399]
    assert {line["run"] for line in lines} == {s.run for s in report.summaries}
    share = report.summaries[1].certified_accuracy[2][1]
    last = lines[-1]
    assert [float(last[k]) for k in ("certified_accuracy", "lower", "upper")] == [
        *(share.value, share.lower, share.upper),
    ]
    assert float(last["acr"]) == 1.2399 / 3
    assert (float(last["median_radius"]), float(last["seconds_total"])) == (0, 0.75)
    ends = report.summaries[1].acr_interval
    assert (float(last["acr_lower"]), float(last["acr_upper"])) == (ends.lower, ends.upper)


def test_csv_leaves_what_has_no_value_empty(tmp_path):
    report = Report.of([write(tmp_path / "a", [row(0)])], [0])
    (line,) = csv.DictReader(io.StringIO(as_csv(report)))
    assert line["acr_se"] == ""


def test_markdown_tables_are_whole_and_floored(report):
    text = as_markdown(report)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    per_class = re.findall(r"by true class:\n\n((?:\|.*\n)+)", text)
    assert len(per_class) == 2
    tables = [line for line in tables if not any(line in each for each in per_class)]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {4}
    assert "| ACR | 0.413 | 0.413 |" in text  # 0.4133
    assert "| Standard accuracy (%) | 33.3 | 33.3 |" in text
    assert "| Abstained (%) | 33.4 | 33.4 |" in text
    # One of three: [0.84 %, 90.57 %] by R's binom.test(1, 3).
    assert "| 1.2399 | 33.3 [0.8, 90.6] | 33.3 [0.8, 90.6] |" in text
    for caveat in report.caveats:
        assert caveat.split("(")[0].split(str(report.summaries[0].run))[0] in text


def test_latex_is_balanced_escaped_and_floored(report):
    text = as_latex(report)
    columns = text.split(r"\begin{tabular}{")[1].split("}")[0]
    assert columns == "lrrrr"
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in rows[1:]] == [4] * 5
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert "gaussian:sigma=0.5 & 0.413 & 33.3 & 33.3 & 33.3" in text
    assert all(f"% {caveat}" in text for caveat in report.caveats)


def test_latex_has_the_best_in_bold_among_runs_that_can_be_compared(tmp_path):
    better = [row(0, 2.0), *ROWS[1:]]
    paths = [
        write(tmp_path / "a", ROWS),
        write(tmp_path / "b", better),
        write(tmp_path / "c", [row(0, 9.0)]),  # on other inputs
        write(tmp_path / "d", better, n=2000),
    ]
    text = as_latex(Report.of(paths, [0, 1.5]))
    assert text.count(r"\textbf") == 2
    assert r"& \textbf{0.666} & 33.3 & \textbf{33.3} \\" in text


def test_latex_escapes_paths(tmp_path):
    paths = [write(tmp_path / name, ROWS) for name in ("50%_#1", r"a&b~^")]
    text = as_latex(Report.of(paths))
    assert r"50\%\_\#1" in text
    assert r"a\&b\textasciitilde{}\textasciicircum{}" in text


FORGED = "cat\n\n| real | 99.9 |\n\x0b\u2028\\bottomrule see http://a.b WWW.a.b"


def test_names_forge_no_line_and_no_link(tmp_path, capsys):
    rows = [row(0), row(1, label=1, prediction=1)]
    path = write(tmp_path / "run", rows, class_names=[FORGED, "dog"], noise=FORGED, data=FORGED)
    plain = write(tmp_path / "plain", rows, class_names=["cat", "dog"], noise="cat", data="cat")
    forged, honest = (Report.of([each], [0, 0.5]) for each in (path, plain))
    for made in (as_markdown, as_latex):
        text = made(forged)
        assert len(text.splitlines()) == len(made(honest).splitlines())
    assert not re.search(r"(?i)http://|www\.", as_markdown(forged))
    shown = []
    for each in (forged, honest):
        print_report(each)
        shown.append(capsys.readouterr().out)
    assert len(shown[0].splitlines()) == len(shown[1].splitlines())


def test_latex_takes_no_path_for_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [write(tmp_path / name, ROWS).relative_to(tmp_path) for name in ("a", "[2cm] b")]
    text = as_latex(Report.of(paths))
    assert not re.search(r"\\\\\s*\[", text)
    assert "{[}2cm] b" in text


def test_a_single_input_has_no_standard_error(tmp_path):
    report = Report.of([write(tmp_path / "a", [row(0)])])
    assert "| SE of ACR | - |" in as_markdown(report)
    assert r"\pm" not in as_latex(report)


def test_an_infinite_acr_is_shown(tmp_path):
    report = Report.of([write(tmp_path / "a", [row(0, math.inf)])])
    assert "| ACR | \N{INFINITY} |" in as_markdown(report)
    assert r"& $\infty$ &" in as_latex(report)
    assert math.isinf(float(next(csv.DictReader(io.StringIO(as_csv(report))))["acr"]))
