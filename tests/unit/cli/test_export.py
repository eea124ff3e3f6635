from __future__ import annotations

import pytest

from radii.cli.main import run
from radii.evaluation import AttackLedger, Ledger, read_attack_export, read_export
from tests.unit.evaluation.attack_ledgers import hit, kept, write_attack
from tests.unit.evaluation.ledgers import row, write


@pytest.fixture
def attacked(tmp_path) -> str:
    return str(write_attack(tmp_path / "attacked.sqlite", [hit(0, 0.4), kept(1)]))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_an_attack_run(attacked, tmp_path, capsys, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: radii[parquet]")
    out = tmp_path / "new" / name
    assert run(["export", attacked, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"2 inputs in {out}; `radii report {out}` reads it\n"
    assert list(read_attack_export(out).rows()) == list(AttackLedger(attacked).rows())
    assert run(["report", str(out)]) == 0
    assert "Accuracy under attack in %" in capsys.readouterr().out
    page = out.with_suffix(".html")
    assert run(["report", str(out), "--out", str(page)]) == 0
    assert page.stat().st_size > 1000


def test_both_kinds_to_stdout(attacked, tmp_path, capsys):
    certified = write(tmp_path / "certified.sqlite", [row(0)])
    assert run(["export", attacked]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("index,label,clean,prediction,clean_votes,votes,l1,l2,linf,")
    assert run(["export", str(certified)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["export", str(certified), "--out", str(tmp_path / "c.csv")]) == 0
    assert list(read_export(tmp_path / "c.csv").rows()) == list(Ledger(certified).rows())


def test_what_is_wrong_is_said(attacked, tmp_path, capsys):
    assert run(["export", attacked, "--out", str(tmp_path / "a.xlsx")]) == 2
    assert "must end in .csv, .tsv, .parquet" in capsys.readouterr().err
    assert run(["export", str(tmp_path / "none.sqlite")]) == 1
    assert "no run at" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("nothing of the kind")
    assert run(["export", str(tmp_path / "notes.txt")]) == 1
    assert "is not a ledger of radii" in capsys.readouterr().err
    assert run(["export", attacked, "--out", attacked]) == 2
    assert "must end in" in capsys.readouterr().err
