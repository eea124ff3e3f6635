"""Ledgers and exports: damaged files, other schemas, and values of other types."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from radii.evaluation import AttackLedger, Ledger, LedgerWriter, open_run, write_export
from tests.fuzz.oracle import answered, command, state
from tests.fuzz.strategies import damaged_text, fuzzed, mutated, plain, texts
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import SPEC, abstained, row, write, wrong

ROWS = [row(0, 0.3), row(1, 0.6), wrong(2, 0.5), abstained(3)]
MORE = {
    "num_classes": 3,
    "input_shape": [1, 2, 2],
    "class_names": ["a", "b", "c"],
    "data": "nothing",
    "base": "nothing",
    "base_sha256": BASE,
    "base_training": {"objective": "gaussian", "noise": "gaussian:sigma=0.5"},
    "base_seed": 3,
    "versions": {"radii": "1"},
    "created": "2024-01-01T00:00:00+00:00",
    "vote": "hard",
    "stop": "never",
    "precision": "float32",
    "compile": "off",
    "generator": "philox",
    "git_revision": None,
    "domain": None,
    "device_name": "cpu",
}
READERS = (
    ("report", "{0}"),
    ("report", "{0}", "--out", "{1}/report.html"),
    ("report", "{0}", "--out", "{1}/report.json"),
    ("report", "{0}", "--out", "{1}/site"),
    ("report", "{0}", "--format=md", "--envelope"),
    ("report", "{0}", "--format=csv"),
    ("report", "{0}", "--format=latex"),
    ("report", "{0}", "--alpha=0.01"),
    ("report", "{0}", "--certificate=gaussian_l2", "--project=500"),
    ("report", "{0}", "--rho=0.001"),
    ("compare", "{0}", "{2}"),
    ("compare", "{2}", "{0}", "--json"),
    ("export", "{0}"),
    ("export", "{0}", "--out", "{1}/run.csv"),
    ("verify", "{0}"),
)
QUICK = (0, 5, 6, 12)
OFTEN = (*READERS, *(READERS[at] for at in QUICK * 3))  # the others draw pictures
ENVELOPES = ("report", "{0}", "{2}", "--out", "{1}/both.html")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write(folder / "good", ROWS, **MORE)
    write_attack(folder / "attack", [hit(0, 0.4), hit(1, 0.9, None), kept(2, 2.0)], **MORE)
    (folder / "out").mkdir()
    return folder


def _ask(reader: tuple[str, ...], run: Path, other: Path, out: Path, *files: Path) -> int:
    line = [part.format(run, out, other) for part in reader]
    code, _, _ = command(*line, files=[run, other, *files])
    left = [each.name for each in run.parent.iterdir() if each.name.startswith(".")]
    assert not left, left  # of something half written
    shutil.rmtree(out)
    out.mkdir()
    return code


@pytest.mark.parametrize("reader", [*READERS, ENVELOPES], ids=" ".join)
def test_a_good_run_is_read(folder: Path, reader: tuple[str, ...]) -> None:
    code = _ask(reader, folder / "good", folder / "good", folder / "out")
    assert code == (1 if reader[0] == "verify" else 0)  # votes written by hand fit no bound
    if reader[0] not in ("compare", "verify") and "=" not in str(reader):
        assert _ask(reader, folder / "attack", folder / "good", folder / "out") == 0


@fuzzed(25, st.data(), st.sampled_from(OFTEN), st.booleans())
def test_bytes(folder: Path, data: st.DataObject, reader: tuple[str, ...], attack: bool) -> None:
    """Cut off, or with other bytes, in the header, in a page of the tree or in the middle."""
    source = (folder / ("attack" if attack else "good")).read_bytes()
    page = 4096 * data.draw(st.integers(0, len(source) // 4096 - 1))
    end = data.draw(st.sampled_from((page + 4096, len(source))))
    content = source[:page] + data.draw(mutated(source[page:end])) + source[end:]
    path = folder / "damaged"
    path.write_bytes(content)
    _ask(reader, path, folder / "good", folder / "out")


def _written(folder: Path, attack: bool, statements: list[tuple[str, tuple[Any, ...]]]) -> Path:
    path = folder / "changed"
    shutil.copy(folder / ("attack" if attack else "good"), path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement, values in statements:
            connection.execute(statement, values)
    return path


def _json(value: object) -> str:
    return json.dumps(value)


@fuzzed(50, st.data(), st.sampled_from((*OFTEN, ENVELOPES)), st.booleans())
def test_specs(folder: Path, data: st.DataObject, reader: tuple[str, ...], attack: bool) -> None:
    """JSON of another type under a key of `meta`, or what is no JSON."""
    kind = AttackLedger if attack else Ledger
    keys = sorted(kind(folder / ("attack" if attack else "good")).meta)
    key = data.draw(st.sampled_from((*keys, "reread_of", "imported", "minimal", "batch", "attack")))
    change = data.draw(st.integers(0, 5))
    if change == 0:
        statement, values = "DELETE FROM meta WHERE key = ?", (key,)
    elif change == 1:
        text = data.draw(
            st.sampled_from(("", "{", "[" * 5_000, "nul", "\x00", b"\xff", "1e999", 3))
        )
        statement, values = "REPLACE INTO meta VALUES (?, ?)", (key, text)
    else:
        value = data.draw(plain())
        if data.draw(st.booleans()):
            value = data.draw(
                st.sampled_from((None, 0, -1, 10**12, 10**400, 1.5, [], {}, "", True))
            )
        statement, values = "REPLACE INTO meta VALUES (?, ?)", (key, _json(value))
    path = _written(folder, attack, [(statement, values)])
    _ask(reader, path, folder / "good", folder / "out")


CELLS = st.one_of(
    st.sampled_from((None, -1, 2**62, -(2**63), 1e308, float("inf"), 0.5, b"\xff", b"")),
    st.sampled_from(("", "x", "nan", "{}", "[]", "null", "3", '{"a": 1}', '{"0": -5}', '[0]')),
    st.sampled_from(('{"0": NaN}', '{"0": 1e999}', '{"99999999999": 1}', '{"-1": 5}', "[" * 3_000)),
    st.sampled_from(('{"0": [1]}', '{"0": [1, 2, 3]}', '{"0": null}', "[1, 2]", "[null, 1]")),
    st.sampled_from(('{"0": ' + "9" * 400 + "}", '{"' + "9" * 5_000 + '": 1}', '{"0": 990.5}')),
)  # fmt: skip


@fuzzed(60, st.data(), st.sampled_from((*OFTEN, ENVELOPES)), st.booleans())
def test_cells(folder: Path, data: st.DataObject, reader: tuple[str, ...], attack: bool) -> None:
    """SQLite stores a value of any type in any column."""
    kind, table = (AttackLedger, "attacks") if attack else (Ledger, "inputs")
    columns = [name for name in kind.layout.columns if name != "index"]
    statements: list[tuple[str, tuple[Any, ...]]] = []
    for _ in range(data.draw(st.integers(1, 2))):
        name, at = data.draw(st.sampled_from(columns)), data.draw(st.integers(0, 2))
        value = data.draw(CELLS)
        statements.append(
            (f'UPDATE OR IGNORE {table} SET "{name}" = ? WHERE "index" = {at}', (value,))
        )
    path = _written(folder, attack, statements)
    _ask(reader, path, folder / "good", folder / "out")


SCHEMAS = (
    "CREATE TABLE meta (x)",
    "CREATE TABLE meta (key, value)",
    "CREATE TABLE meta (key, value); CREATE TABLE inputs (x)",
    'CREATE TABLE meta (key, value); CREATE VIEW inputs AS SELECT 1 AS "index"',
    'CREATE TABLE meta (key, value); CREATE TABLE inputs ("index", label, prediction, radius)',
    # A view that never ends.
    'CREATE TABLE meta (key, value); CREATE VIEW inputs AS WITH RECURSIVE n("index") AS '
    '(SELECT 1 UNION ALL SELECT "index" + 1 FROM n) SELECT * FROM n',
    "CREATE VIEW meta AS WITH RECURSIVE n(key, value) AS (SELECT '1', '1' UNION ALL SELECT key, "
    "value FROM n) SELECT * FROM n",
    "",
)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("reader", READERS[::3], ids=" ".join)
def test_schemas(folder: Path, schema: str, reader: tuple[str, ...]) -> None:
    path = folder / "other"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(schema)
        if "TABLE meta (key" in schema:
            spec = {"format": "radii-ledger/1", **SPEC, "data_examples": 4}
            rows = [(key, json.dumps(value)) for key, value in spec.items()]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    assert _ask(reader, path, folder / "good", folder / "out") != 0


@fuzzed(25, st.data())
def test_a_damaged_ledger_is_not_resumed(folder: Path, data: st.DataObject) -> None:
    """Whoever writes leaves what is no ledger, or one of another run, as it was."""
    source = (folder / "good").read_bytes()
    path = folder / "resumed"
    path.write_bytes(data.draw(mutated(source)) or b"x")  # an empty file may become a ledger
    before = state(path)

    def work() -> None:
        with LedgerWriter(path, {**SPEC, "n": 7}, {}):
            raise AssertionError("a run of another spec was opened")

    answered(work)
    assert state(path) == before
    for each in folder.glob("resumed*"):
        each.unlink()


@pytest.fixture(scope="module", params=[".csv", ".tsv", ".parquet"])
def export(request: pytest.FixtureRequest, folder: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    path = folder / f"export{request.param}"
    write_export(open_run(folder / "good"), path)
    return path


def test_tables(folder: Path, export: Path) -> None:
    content = export.read_bytes()
    path = folder / f"changed{export.suffix}"
    header = export.with_name(f"{export.name}.meta.json")
    beside = path.with_name(f"{path.name}.meta.json")
    tables = mutated(content)
    if export.suffix != ".parquet":
        tables = tables | damaged_text(content.decode()).map(lambda t: t.encode("utf-8", "replace"))

    @fuzzed(12, tables, st.sampled_from((*OFTEN, ENVELOPES)))
    def check(table: bytes, reader: tuple[str, ...]) -> None:
        path.write_bytes(table)
        if header.exists():
            beside.write_bytes(header.read_bytes())
        _ask(reader, path, folder / "good", folder / "out")

    check()


@fuzzed(25, st.data(), st.sampled_from(OFTEN))
def test_headers_of_tables(folder: Path, data: st.DataObject, reader: tuple[str, ...]) -> None:
    path = folder / "headed.csv"
    if not path.exists():
        write_export(open_run(folder / "good"), path)
    beside = path.with_name(f"{path.name}.meta.json")
    content = {"format": "radii-export/1", "meta": Ledger(folder / "good").meta, "rows": 4}
    at = content if data.draw(st.integers(0, 3)) == 0 else content["meta"]
    at[data.draw(st.sampled_from(sorted(at)))] = data.draw(plain())  # type: ignore[index]
    text = json.dumps(content)
    if data.draw(st.integers(0, 3)) == 0:
        text = data.draw(damaged_text(text))
    beside.write_bytes(text.encode("utf-8", "replace"))
    _ask(reader, path, folder / "good", folder / "out", beside)


@fuzzed(8, texts() | damaged_text("0,0.25,1.5"), texts() | st.sampled_from(("0.01", "l1", "x")))
def test_options(folder: Path, radii: str, other: str) -> None:
    run = folder / "good"
    command("report", run, f"--radii={radii}", files=[run])
    command("compare", run, run, f"--radii={radii}", files=[run])
    for option in ("certificate", "norm", "alpha", "bound", "project", "rho"):
        command("report", run, f"--{option}={other}", files=[run])
    command("verify", run, f"--sample={other}", files=[run])
