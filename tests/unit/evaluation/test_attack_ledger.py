from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from radii.errors import LedgerError
from radii.evaluation import (
    AttackLedger,
    AttackLedgerWriter,
    AttackRow,
    Ledger,
    LedgerWriter,
    is_attack_run,
)
from tests.unit.evaluation.ledgers import python

SPEC = {
    "attack": "pgd_l2:epsilon=1.0",
    "norm": "l2",
    "noise": "gaussian:sigma=0.5",
    "n": 1000,
    "alpha": 0.001,
    "seed": 7,
    "input_shape": [1, 2, 3],
}
X = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 7

OPENING = """
import json, sys
from radii.errors import LedgerError
from radii.evaluation import AttackLedgerWriter
try:
    with AttackLedgerWriter(sys.argv[1], json.loads(sys.argv[2]), {}):
        print("opened", flush=True)
except LedgerError as error:
    print("refused:", error, flush=True)
"""


def row(index: int, *, prediction: int | None = 1, clean: int | None = 0, x=X) -> AttackRow:
    return AttackRow(
        index=index,
        label=0,
        clean=clean,
        prediction=prediction,
        clean_votes={0: 990, 2: 10},
        votes={1: 800, 0: 200},
        l1=1.5,
        l2=0.1 + 0.2,
        linf=1 / 3,
        queries=40,
        samples=2000,
        seconds=0.25,
        facts={"scale": 1.02},
        x=x,
    )


def write(path, rows):
    with AttackLedgerWriter(path, SPEC, {"created": "monday"}) as writer:
        writer.add(rows)
    return path


def test_rows_come_back_as_they_were_by_index(tmp_path):
    rows = [row(4), row(0, prediction=None), replace(row(2, clean=None), facts={}, votes={0: 1000})]
    ledger = AttackLedger(write(tmp_path / "run.sqlite", rows))
    assert list(ledger.rows()) == sorted(rows, key=lambda r: r.index)
    assert len(ledger) == 3
    assert ledger.done() == {0, 2, 4}
    assert ledger.meta == {**SPEC, "created": "monday", "format": "radii-attack/1"}
    assert ledger.row(0) == rows[1]
    with pytest.raises(KeyError):
        ledger.row(1)


def test_perturbed_inputs_are_read_where_they_are_asked_for(tmp_path):
    other = np.float32([[[np.pi, -0.0, 1e-38], [1, 2**-149, 3e38]]])
    path = write(tmp_path / "run.sqlite", [row(0), row(1, x=other), row(2, x=None)])
    ledger = AttackLedger(path)
    assert [r.x for r in ledger.rows()] == [None] * 3
    found = [r.x for r in ledger.rows(inputs=True)]
    assert found[2] is None
    for x, expected in zip([*found[:2], ledger.row(1).x], (X, other, other), strict=True):
        assert x.dtype == np.float32
        assert x.shape == (1, 2, 3)
        assert x.tobytes() == expected.tobytes()
        assert x.flags.writeable
    with closing(sqlite3.connect(path)) as connection:
        (blob,) = connection.execute('SELECT x FROM attacks WHERE "index" = 1').fetchone()
    assert np.array_equal(np.frombuffer(blob, "<f4"), other.ravel())


@pytest.mark.parametrize(
    ("clean", "prediction", "success"),
    [(0, 1, True), (0, None, False), (0, 0, False), (None, 1, False), (1, 1, False), (1, 2, False)],
)
def test_only_a_right_answer_that_became_a_wrong_one_is_a_success(clean, prediction, success):
    assert row(0, clean=clean, prediction=prediction).success is success


def test_norms_by_name():
    assert [row(0).norm(name) for name in ("l1", "l2", "linf")] == [1.5, 0.1 + 0.2, 1 / 3]
    with pytest.raises(ValueError, match="norm must be one of l1, l2, linf, got 'l0'"):
        row(0).norm("l0")


def test_a_run_of_another_spec_is_refused_and_the_difference_named(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)])
    with (
        pytest.raises(LedgerError, match=r"with attack 'pgd_l2:epsilon=1.0', not 'ddn'"),
        AttackLedgerWriter(path, {**SPEC, "attack": "ddn"}, {}),
    ):
        pass
    with AttackLedgerWriter(path, SPEC, {"created": "tuesday"}) as writer:
        assert writer.done == {0}
        writer.add([row(1)])
    assert list(AttackLedger(path).rows()) == [row(0), row(1)]
    assert AttackLedger(path).meta["created"] == "monday"


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "run.sqlite"
    with AttackLedgerWriter(path, SPEC, {}):
        said, _ = python(OPENING, str(path), json.dumps(SPEC)).communicate(timeout=60)
    assert said.startswith("refused:")
    assert "being written by another process" in said
    said, _ = python(OPENING, str(path), json.dumps(SPEC)).communicate(timeout=60)
    assert said == "opened\n"


def test_runs_of_the_two_kinds_are_told_apart(tmp_path):
    attacked, certified = tmp_path / "attack.sqlite", tmp_path / "certify.sqlite"
    write(attacked, [row(0)])
    with LedgerWriter(certified, {}, {}):
        pass
    assert is_attack_run(attacked)
    assert not is_attack_run(certified)
    with pytest.raises(LedgerError, match="run of `radii attack`, where one of `radii certify`"):
        Ledger(attacked)
    with pytest.raises(LedgerError, match="run of `radii certify`, where one of `radii attack`"):
        AttackLedger(certified)
    with pytest.raises(LedgerError, match="run of `radii certify`"):
        write(certified, [row(0)])


def test_what_is_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match=r"no run at .*radii attack"):
        AttackLedger(tmp_path / "none.sqlite")
    with pytest.raises(LedgerError, match="no run at"):
        is_attack_run(tmp_path / "none.sqlite")
    other = tmp_path / "notes.txt"
    other.write_text("idx\tlabel\n" * 50)
    for opens in (AttackLedger, is_attack_run):
        with pytest.raises(LedgerError, match="not a ledger"):
            opens(other)
    later = write(tmp_path / "later.sqlite", [row(0)])
    with closing(sqlite3.connect(later)) as connection, connection:
        text = json.dumps("radii-attack/2")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (text,))
    with pytest.raises(LedgerError, match="'radii-attack/2', this version reads 'radii-attack/1'"):
        AttackLedger(later)


@pytest.mark.parametrize(
    "change",
    [
        'l2 = 0.31 WHERE "index" = 1',
        'prediction = 0 WHERE "index" = 1',
        'x = zeroblob(24) WHERE "index" = 1',
        'x = NULL WHERE "index" = 1',
        'checksum = NULL WHERE "index" = 1',
        'checksum = (SELECT checksum FROM attacks WHERE "index" = 0) WHERE "index" = 1',
    ],
)
def test_a_row_that_was_edited_is_refused(tmp_path, change):
    path = write(tmp_path / "run.sqlite", [row(0), row(1), row(2)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE attacks SET {change}")
    ledger = AttackLedger(path)
    for read in (
        lambda: list(ledger.rows()),
        lambda: list(ledger.rows(inputs=True)),
        lambda: ledger.row(1),
        lambda: write(path, [row(3)]),
    ):
        with pytest.raises(LedgerError, match="row of input 1 does not fit its checksum"):
            read()
    assert ledger.row(0) == row(0)
    assert [r.index for r in ledger.unchecked().rows()] == [0, 1, 2]


def test_a_row_of_another_run_is_refused(tmp_path):
    one, other = (write(tmp_path / name, [row(0)]) for name in ("one.sqlite", "other.sqlite"))
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("UPDATE meta SET value = '8' WHERE key = 'seed'")
    with pytest.raises(LedgerError, match="row of input 0 does not fit its checksum"):
        list(AttackLedger(other).rows())
    assert list(AttackLedger(one).rows()) == [row(0)]


def test_a_ledger_from_before_checksums_is_read_and_continued(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0), row(1)])
    with closing(sqlite3.connect(path)) as connection, connection:
        (made,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'attacks'"
        ).fetchone()
        first = made.replace(',\n    "checksum" TEXT', "")
        assert first != made
        connection.execute("ALTER TABLE attacks RENAME TO whole")
        connection.execute(first)
        columns = '"index", label, clean, prediction, clean_votes, votes, l1, l2, linf, queries, '
        columns += "samples, seconds, facts, x"
        connection.execute(f"INSERT INTO attacks SELECT {columns} FROM whole")
        connection.execute("DROP TABLE whole")
    assert list(AttackLedger(path).rows()) == [row(0), row(1)]
    write(path, [row(2)])
    assert list(AttackLedger(path).rows()) == [row(0), row(1), row(2)]
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT checksum IS NULL FROM attacks").fetchall()
    assert found == [(1,), (1,), (0,)]


def test_plain_sqlite_reads_it(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(3, prediction=None)])
    query = 'SELECT "index", clean, prediction, clean_votes, votes, l2, facts FROM attacks'
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(query).fetchall()
    assert found == (
        *(3, 0, None, '{"0": 990, "2": 10}', '{"1": 800, "0": 200}', 0.1 + 0.2),
        '{"scale": 1.02}',
    )
