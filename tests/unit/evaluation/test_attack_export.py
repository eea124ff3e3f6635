from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radii.errors import LedgerError, RadiiError
from radii.evaluation import (
    AttackExport,
    AttackLedger,
    Export,
    is_attack_run,
    open_attack_run,
    open_run,
    read_attack_export,
    write_export,
)
from radii.evaluation.attack_metrics import AttackOutcomes, empirical_accuracy
from radii.evaluation.export import beside, csv_lines
from radii.evaluation.report import Report, as_json
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import row, write

COLUMNS = (
    *("index", "label", "clean", "prediction", "clean_votes", "votes", "l1", "l2", "linf"),
    *("queries", "samples", "seconds", "facts"),
)
X = np.array([[[0.25, -1.5], [1e-7, 3.0]]], dtype=np.float32)
ROWS = [
    hit(0, 0.1 + 0.2, x=X),
    hit(2, prediction=None, clean=None),
    kept(3, 5e-324),
    replace(hit(7, 1e9), clean_votes={}, votes={12: 10**12}, queries=10**15, facts={}),
    replace(hit(8), facts={"gradient_variance": 1 / 3, "found": 1.0}, seconds=1e-9),
]


@pytest.fixture(params=[".csv", ".tsv", ".parquet"])
def ending(request) -> str:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: radii[parquet]")
    return request.param


@pytest.fixture
def ledger(tmp_path) -> AttackLedger:
    return AttackLedger(write_attack(tmp_path / "run.sqlite", ROWS, class_names=["a", "ü"]))


def exported(ledger: AttackLedger, ending: str = ".csv") -> Path:
    path = ledger.path.with_name(f"out{ending}")
    write_export(ledger, path)
    return path


def test_an_export_is_the_run_again_without_its_inputs(ledger, ending):
    found = read_attack_export(exported(ledger, ending))
    assert found.meta == ledger.meta
    assert list(found.rows()) == list(ledger.rows()) == ROWS
    assert len(found) == len(ledger) == 5
    assert found.row(7) == ROWS[3]
    with pytest.raises(KeyError):
        found.row(1)
    cells = [value for each in found.rows() for value in each.values()]
    assert cells == [value for each in ledger.rows() for value in each.values()]
    assert list(map(type, cells)) == [type(v) for r in ledger.rows() for v in r.values()]
    assert ledger.row(0).x is not None
    assert found.row(0).x is None


def test_an_export_of_an_export_is_the_same_file(ledger, ending):
    first = exported(ledger, ending)
    again = first.with_name(f"again{ending}")
    write_export(read_attack_export(first), again)
    assert again.read_bytes() == first.read_bytes()


def test_the_columns_are_those_of_the_ledger_but_for_bytes(ledger):
    path = exported(ledger)
    head, *lines = csv.reader(path.read_text("utf-8").splitlines())
    assert tuple(head) == COLUMNS
    assert lines[0][7] == "0.30000000000000004"
    assert lines[1][2:4] == ["", ""]  # abstained, before and after
    assert "".join(csv_lines(ledger)) == path.read_text("utf-8")
    header = json.loads(beside(path).read_text("utf-8"))
    assert header == {"format": "radii-export/1", "meta": ledger.meta, "rows": 5}


def test_parquet_is_read_by_others(ledger):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = parquet.read_table(exported(ledger, ".parquet"))
    assert tuple(table.column_names) == COLUMNS
    assert [str(field.type) for field in table.schema] == [
        *("int64", "int64", "int64", "int64", "string", "string", "double", "double", "double"),
        *("int64", "int64", "double", "string"),
    ]
    assert [f.name for f in table.schema if f.nullable] == ["clean", "prediction"]
    assert table.column("l2").to_pylist() == [r.l2 for r in ROWS]


def test_both_kinds_are_told_apart(tmp_path, ledger, ending):
    attacked = exported(ledger, ending)
    certified = tmp_path / f"certified{ending}"
    write_export(open_run(write(tmp_path / "certified.sqlite", [row(0)])), certified)
    assert [is_attack_run(p) for p in (attacked, certified, ledger.path)] == [True, False, True]
    assert isinstance(open_attack_run(attacked), AttackExport)
    assert isinstance(open_attack_run(ledger.path), AttackLedger)
    with pytest.raises(LedgerError, match="holds a run of `radii certify`, where one of `radii at"):
        open_attack_run(certified)
    with pytest.raises(LedgerError, match="holds a run of `radii attack`, where one of `radii ce"):
        Export(attacked)


def test_a_report_of_exports_is_that_of_the_ledgers(tmp_path, ending):
    attacked = write_attack(tmp_path / "attacked", [hit(0, 0.4), kept(1), hit(2, 0.2)])
    certified = write(tmp_path / "certified", [row(0, 0.3), row(1), row(2, 0.9)], base_sha256=BASE)
    paths = [tmp_path / f"a{ending}", tmp_path / f"c{ending}"]
    for run, path in zip((AttackLedger(attacked), open_run(certified)), paths, strict=True):
        write_export(run, path)
    one, other = (json.loads(as_json(Report.of(p))) for p in ([attacked, certified], paths))
    for each in (one, other):
        for part in (*each["runs"], *each["attacks"]):
            part.pop("run")
    for each in (one, other):
        names = [each["audits"][0].pop(key) for key in ("run", "attack_run")]
        assert all(names)
    assert len(one["audits"][0]["contradictions"]) == 1
    assert one == other
    outcomes = AttackOutcomes.of(AttackExport(paths[0]).rows())
    assert [s.value for s in empirical_accuracy(outcomes, [0.2, 0.3, 0.4], "l2")] == [
        *(2 / 3, 2 / 3, 1 / 3),
    ]


LINE = '3,0,0,1,"{""0"": 9}","{""1"": 9}",2.0,1.0,0.5,20,18,0.5,{}\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("index,label\n0,1\n", "its columns must be index, label, clean, prediction"),
        ("{head}0,1\n", "row 1 .* a row must have 13 cells, got 2"),
        ("{head}" + LINE.replace("2.0", "nan"), "row 1 .* l1 must be at least 0, got nan"),
        ("{head}" + LINE.replace("1.0", "-1.0"), "l2 must be at least 0, got -1"),
        ("{head}" + LINE.replace(",20,", ",2e1,"), "queries must be a whole number, got '2e1'"),
        ("{head}" + LINE.replace("9}", "9"), "row 1 of .* cannot be read"),
        ("{head}" + LINE.replace("{}", ""), "row 1 of .* cannot be read"),
        ("{head}" + LINE * 2, "row 2 .* index must be above the one before, got 3"),
        ("{head}" + LINE, "must have 5 rows, as its spec says, got 1"),
    ],
)
def test_a_damaged_table_is_refused(ledger, body, said):
    path = exported(ledger)
    path.write_text(body.replace("{head}", ",".join(COLUMNS) + "\n"))
    with pytest.raises(LedgerError, match=said):
        list(AttackExport(path).rows())
    with pytest.raises(LedgerError, match=r"cannot be read: |must have 5 rows"):
        Report.of([path])


def test_a_table_cut_off_is_refused(ledger, ending):
    path = exported(ledger, ending)
    path.write_bytes(path.read_bytes()[:-90])
    with pytest.raises(LedgerError, match=r"cannot be read|must have 5 rows|not an export"):
        list(AttackExport(path).rows())


def test_a_table_without_its_spec_is_refused(ledger):
    path = exported(ledger)
    beside(path).unlink()
    for opens in (open_attack_run, is_attack_run):
        with pytest.raises(LedgerError, match=r"lacks its spec, the file 'out\.csv\.meta\.json'"):
            opens(path)


def test_a_run_is_not_overwritten_by_its_export(tmp_path):
    path = write_attack(tmp_path / "run.csv", ROWS)
    assert is_attack_run(path)  # a ledger may have any name
    with pytest.raises(ValueError, match="must be another file than the run"):
        write_export(open_attack_run(path), path)
    assert list(AttackLedger(path).rows()) == ROWS


def test_without_pyarrow_the_extra_is_named(ledger, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RadiiError, match=r'^radii\[parquet\] is not installed: pip install "ra'):
        write_export(ledger, tmp_path / "out.parquet")
