from __future__ import annotations

import json
from pathlib import Path

import pytest

from radii.cli.main import run
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import row, write

ROWS = [row(0, 0.3), row(1, 0.6)]


@pytest.fixture
def runs(tmp_path) -> tuple[str, str]:
    certified = write(tmp_path / "certified.sqlite", ROWS, base_sha256=BASE)
    attacked = write_attack(tmp_path / "attacked.sqlite", [hit(0, 0.4), kept(1)])
    return str(certified), str(attacked)


def test_runs_of_both_kinds_in_the_terminal(runs, capsys):
    assert run(["report", *runs[::-1], "--envelope"]) == 0
    shown = capsys.readouterr().out
    for text in (
        *("Accuracy under attack in %", "Certified accuracy in % by l2 radius"),
        *("Envelope of all runs", "audit: ", "none has an answer inside", "an upper bound"),
    ):
        assert text in shown
    assert "ALARM" not in shown


def test_an_alarm_is_the_first_that_is_said(tmp_path, runs, capsys):
    broken = write_attack(tmp_path / "broken.sqlite", [hit(0, 0.2), hit(1, 0.1)])
    assert run(["report", runs[0], str(broken)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("ALARM: ")
    assert "2 have an answer inside the certified radius" in shown
    assert run(["report", runs[0], str(broken), "--format", "csv"]) == 0
    assert "note: ALARM: " in capsys.readouterr().err


def test_an_attack_run_alone(runs, capsys):
    assert run(["report", runs[1]]) == 0
    shown = capsys.readouterr().out
    assert "Certified accuracy" not in shown
    assert "note: Accuracy under attack is an upper bound" in shown


@pytest.mark.parametrize("name", ["a.html", "a.md", "a.tex", "a.csv", "a.json", "a.svg", "a.png"])
def test_every_format(runs, tmp_path, name):
    assert run(["report", *runs, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 500


def test_the_envelope_in_json(runs, capsys):
    assert run(["report", *runs, "--format", "json", "--radii", "0.5", "--envelope"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["envelope"] == [{"radius": 0.5, "certified": 0.5, "empirical": 0.5}]


@pytest.mark.parametrize("kind", ["csv", "latex"])
def test_an_envelope_where_there_is_none_is_wrong_usage(runs, capsys, kind):
    assert run(["report", *runs, "--format", kind, "--envelope"]) == 2
    assert f"--envelope must go without --format {kind}" in capsys.readouterr().err


def test_an_envelope_over_norms_is_wrong_usage(runs, tmp_path, capsys):
    other = write(tmp_path / "l1.sqlite", ROWS, norm="l1")
    assert run(["report", runs[0], str(other), "--envelope"]) == 2
    assert "one norm, got l1, l2" in capsys.readouterr().err


def test_pictures_need_the_data_set(runs, tmp_path, capsys):
    named = write_attack(tmp_path / "named.sqlite", [hit(0), kept(1)], data="mnist5k@test")
    assert run(["report", str(named), "--out", str(tmp_path / "a.html")]) == 0
    assert "mnist5k@test has changed since" in capsys.readouterr().err


def test_a_run_is_not_written_over(runs, tmp_path, capsys):
    export = tmp_path / "run.csv"
    assert run(["export", runs[0], "--out", str(export)]) == 0
    kept = {path: path.read_bytes() for path in (export, *map(Path, runs))}
    for out, kind in ((export, "csv"), (runs[0], "md"), (runs[1], "json")):
        command = ["report", *runs, "--out", str(out), "--format", kind]
        assert run(command) == 2
        assert f"--out {str(out)!r} holds a run; name another file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in kept} == kept
    other = tmp_path / "table.csv"
    for _ in range(2):  # a report may take the place of a report
        assert run(["report", *runs, "--out", str(other)]) == 0


def test_a_site_beside_the_runs_that_it_is_about(runs, tmp_path, capsys):
    for place in ([str(tmp_path)], list(runs)):
        assert run(["report", *place, "--out", str(tmp_path)]) == 0
        assert "2 runs in" in capsys.readouterr().out
