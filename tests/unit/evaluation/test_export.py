from __future__ import annotations

import csv
import io
import json
import math
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from radii.errors import LedgerError, RadiiError
from radii.evaluation import Export, Ledger, Outcomes, open_run, read_export, write_export
from radii.evaluation.export import beside, csv_lines
from radii.evaluation.ledger import COLUMNS
from radii.evaluation.report import Report, as_json
from radii.records import Claim
from tests.unit.evaluation.ledgers import abstained, row, soft, write, wrong

ROWS = [
    row(0, math.pi / 3),
    abstained(2),
    wrong(3, 0.1 + 0.2),
    replace(row(5, math.inf), pA_lower=1 - 2**-53, pB_upper=5e-324, seconds=1e-9),
    replace(row(6), n0_votes={}, n_votes={0: 10**12}, samples=10**12),
    replace(row(7), claim=Claim(200, 199), n_votes={0: 199, 1: 1}),
    soft(8),
]


@pytest.fixture(params=[".csv", ".tsv", ".parquet"])
def ending(request) -> str:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: radii[parquet]")
    return request.param


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(write(tmp_path / "run.sqlite", ROWS, class_names=["a", "ü"]))


def exported(ledger: Ledger, ending: str = ".csv") -> Path:
    path = ledger.path.with_name(f"out{ending}")
    write_export(ledger, path)
    return path


def test_an_export_is_the_run_again(ledger, ending):
    found = read_export(exported(ledger, ending))
    assert found.meta == ledger.meta
    assert list(found.rows()) == list(ledger.rows()) == ROWS
    assert list(found.rows(votes=False)) == list(ledger.rows(votes=False))
    assert len(found) == len(ledger) == 7
    assert found.unanimous() == ledger.unanimous() == 1
    assert found.row(7) == ledger.row(7)
    with pytest.raises(KeyError):
        found.row(1)
    types = [type(value) for each in found.rows() for value in each.values()[:-1]]
    assert types == [type(value) for each in ROWS for value in each.values()[:-1]]


def test_an_export_of_an_export_is_the_same_file(ledger, ending):
    first = exported(ledger, ending)
    again = first.with_name(f"again{ending.upper()}")
    write_export(read_export(first), again)
    assert list(Export(again).rows()) == ROWS
    assert again.read_bytes() == first.read_bytes()


def test_reports_and_metrics_of_an_export_are_those_of_the_ledger(tmp_path, ending):
    rows = [row(0, 1.3), wrong(1, 9.0), abstained(2), replace(row(3, 0.7), n_votes={0: 1000})]
    ledger = Ledger(write(tmp_path / "run.sqlite", rows))
    path = exported(ledger, ending)
    one, other = (json.loads(as_json(Report.of([p]))) for p in (ledger.path, path))
    assert one["runs"][0].pop("run") == str(ledger.path)
    assert other["runs"][0].pop("run") == str(path)
    assert one == other
    assert Report.of([path]).caveats == Report.of([ledger.path]).caveats
    assert Outcomes.of(Export(path).rows()).correct_radius.tolist() == [1.3, 0.0, 0.0, 0.7]


def test_the_cells_are_what_the_ledger_holds(ledger, ending):
    if ending == ".parquet":
        pytest.skip("Parquet has no text")
    path = exported(ledger, ending)
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file, delimiter={".csv": ",", ".tsv": "\t"}[ending])
    assert tuple(head) == COLUMNS
    with closing(sqlite3.connect(ledger.path)) as connection:
        stored = connection.execute('SELECT * FROM inputs ORDER BY "index"').fetchall()
    assert lines == [["" if value is None else str(value) for value in line] for line in stored]
    assert lines[2][3] == "0.30000000000000004"
    assert lines[1][2] == ""  # abstained
    assert lines[5][-3:-1] == ["[200, 199]", ""]
    assert lines[0][7] == '{"0": 990, "2": 10}'


def test_parquet_is_read_by_others(ledger):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = parquet.read_table(exported(ledger, ".parquet"))
    assert tuple(table.column_names) == COLUMNS
    assert [str(field.type) for field in table.schema] == [
        *("int64", "int64", "int64", "double", "double", "double"),
        *("string", "string", "int64", "double", "string", "string", "string"),
    ]
    assert table.column("prediction").to_pylist() == [r.prediction for r in ROWS]
    assert table.column("radius").to_pylist() == [r.radius for r in ROWS]
    header = json.loads(table.schema.metadata[b"radii"])
    assert header == {"format": "radii-export/1", "meta": ledger.meta}


def test_the_spec_of_a_text_stands_beside_it(ledger):
    path = exported(ledger)
    assert beside(path).name == "out.csv.meta.json"
    assert json.loads(beside(path).read_text("utf-8")) == {
        "format": "radii-export/1",
        "meta": ledger.meta,
        "rows": 7,
    }


def test_lines_for_other_programs(ledger):
    text = "".join(csv_lines(ledger))
    assert text == exported(ledger).read_text("utf-8")
    found = list(csv.DictReader(io.StringIO(text)))
    assert [float(line["radius"]) for line in found] == [r.radius for r in ROWS]


def test_votes_of_very_many_classes_come_back(tmp_path):
    limit = csv.field_size_limit()
    many = replace(row(0), n_votes={label: 1 for label in range(30_000)})
    path = exported(Ledger(write(tmp_path / "run.sqlite", [many])))
    assert path.stat().st_size > limit
    assert list(Export(path).rows()) == [many]
    assert csv.field_size_limit() == limit


def test_parquet_of_more_rows_than_are_held_in_memory(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: radii[parquet]")
    rows = [row(index, index / 7) for index in range(2500)]
    path = exported(Ledger(write(tmp_path / "run.sqlite", rows)), ".parquet")
    assert list(Export(path).rows()) == rows


def test_a_run_without_inputs(tmp_path, ending):
    path = exported(Ledger(write(tmp_path / "run.sqlite", [])), ending)
    assert list(Export(path).rows()) == []
    with pytest.raises(LedgerError, match="holds none"):
        Report.of([path])


def test_a_ledger_without_claims_is_exported(tmp_path, ending):
    path = write(tmp_path / "run.sqlite", [row(0), row(1)])
    with closing(sqlite3.connect(path)) as connection:
        for column in ("checksum", "fits", "claim"):
            connection.execute(f"ALTER TABLE inputs DROP COLUMN {column}")
    assert list(Export(exported(Ledger(path), ending)).rows()) == [row(0), row(1)]


def test_an_export_without_fits_is_read(ledger, ending):
    path = exported(ledger, ending)
    if ending == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        parquet.write_table(parquet.read_table(path).drop_columns(["fits", "checksum"]), path)
    else:
        mark = {".csv": ",", ".tsv": "\t"}[ending]
        lines = path.read_text("utf-8").splitlines()
        path.write_text("".join(line.rsplit(mark, 2)[0] + "\n" for line in lines))
    assert list(Export(path).rows()) == ROWS


def test_fits_come_back(tmp_path, ending):
    rows = [replace(row(0), n0_votes={}, n_votes={}, fits=(960, 985)), row(1)]
    run = Ledger(write(tmp_path / "run.sqlite", rows))
    assert [each.fits for each in run.rows()] == [(960, 985), None]
    assert run.unanimous() == 0
    table = Export(exported(run, ending))
    assert list(table.rows()) == list(run.rows()) == rows
    assert table.unanimous() == 0


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.csv.gz", ".csv"])
def test_other_endings_are_refused(ledger, tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.csv, \.tsv, \.parquet, got"):
        write_export(ledger, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} <= {"run.sqlite", "run.sqlite.lock"}


def test_a_run_is_not_overwritten_by_its_export(tmp_path):
    path = write(tmp_path / "run.csv", ROWS)
    assert isinstance(open_run(path), Ledger)  # a ledger may have any name
    with pytest.raises(ValueError, match="must be another file than the run"):
        write_export(open_run(path), path)
    assert list(Ledger(path).rows()) == ROWS


def test_a_folder_is_made_and_nothing_else_is_left(ledger, tmp_path, ending):
    path = tmp_path / "new" / "folder" / f"out{ending}"
    write_export(ledger, path)
    expected = {path.name} | ({beside(path).name} if ending != ".parquet" else set())
    assert {each.name for each in path.parent.iterdir()} == expected


def test_what_breaks_off_leaves_the_old_file(ledger, ending, monkeypatch):
    path = exported(ledger, ending)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}

    def rows(self, *, votes=True):
        yield ROWS[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "rows", rows)
    with pytest.raises(KeyboardInterrupt):
        write_export(ledger, path)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before
    monkeypatch.undo()
    assert list(read_export(path).rows()) == ROWS


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_no_table_is_ever_beside_the_spec_of_another_run(ledger, tmp_path, ending, monkeypatch):
    path = exported(ledger, ending)
    other = Ledger(write(tmp_path / "other.sqlite", [row(0)], noise="gaussian:sigma=1.0"))
    replaced = os.replace

    def killed(old, new):
        replaced(old, new)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_export(other, path)
    with pytest.raises(LedgerError, match="lacks its spec"):
        Export(path)


def test_without_pyarrow_the_extra_is_named(ledger, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RadiiError, match=r'^radii\[parquet\] is not installed: pip install "ra'):
        write_export(ledger, tmp_path / "out.parquet")
    (tmp_path / "there.parquet").write_bytes(b"PAR1")
    with pytest.raises(RadiiError, match=r"^radii\[parquet\] is not installed"):
        open_run(tmp_path / "there.parquet")
    assert not list(tmp_path.glob("*out*"))


LINE = '{index},0,0,1.0,0.9,0.1,"{{""0"": 9}}","{{""0"": 9}}",18,0.5,,,\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("index,label\n0,1\n", "its columns must be index, label, prediction"),
        ("", "its columns must be"),
        ("{head}0,1\n", "row 1 .* a row must have 13 cells, got 2"),
        ("{head}" + LINE.format(index=0).replace(",0,0,", ",0,0.0,"), "prediction must be a whole"),
        ("{head}" + LINE.format(index=0).replace("1.0", "one"), "radius must be a number, got 'on"),
        ("{head}" + LINE.format(index=0).replace("1.0", "nan"), "radius must be at least 0"),
        ("{head}" + LINE.format(index=0).replace("9}", "9"), "row 1 of .* cannot be read"),
        ("{head}" + LINE.format(index=3) * 2, "row 2 .* index must be above the one before, got 3"),
        ("{head}" + LINE.format(index=3), "must have 7 rows, as its spec says, got 1"),
    ],
)
def test_a_damaged_table_is_refused(ledger, body, said):
    path = exported(ledger)
    path.write_text(body.replace("{head}", ",".join(COLUMNS) + "\n"))
    with pytest.raises(LedgerError, match=said):
        list(Export(path).rows())
    with pytest.raises(LedgerError, match=r"cannot be read: |must have 7 rows"):
        Report.of([path])


def test_a_table_that_excel_marked_as_unicode_is_read(ledger):
    path = exported(ledger)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert list(Export(path).rows()) == ROWS


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{", "is not an export of radii"),
        ("[1]", "is not an export"),
        ('{"format": "radii-export/1"}', "is not an export"),
        ('{"format": "radii-export/2", "meta": {}}', "export format 'radii-export/2'"),
        ('{"format": "radii-export/1", "meta": {"format": "radii-ledger/9"}}', "ledger format"),
    ],
)
def test_a_damaged_spec_is_refused(ledger, header, said):
    path = exported(ledger)
    beside(path).write_text(header)
    with pytest.raises(LedgerError, match=said):
        Export(path)


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: radii[parquet]")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"nothing of the kind")
    for name in ("a.parquet", "b.parquet"):
        with pytest.raises(LedgerError, match="is not an export of radii"):
            open_run(tmp_path / name)


def test_no_file(tmp_path):
    with pytest.raises(LedgerError, match=r"no run at .*; write one with `radii export`"):
        open_run(tmp_path / "a.csv")
    with pytest.raises(LedgerError, match=r"no run at .*; write one with `radii certify`"):
        open_run(tmp_path / "a.sqlite")
    os.mkdir(tmp_path / "b.csv")
    with pytest.raises(LedgerError, match="no run at"):
        open_run(tmp_path / "b.csv")
