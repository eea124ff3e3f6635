from __future__ import annotations

import json
import math
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from radii.errors import LedgerError
from radii.evaluation import Ledger, LedgerWriter, Row
from radii.records import Certification, Claim, Counts, SoftVotes
from tests.unit.evaluation.ledgers import SPEC, abstained, python, row, soft, write, wrong

WRITE = """
import sys
from radii.errors import LedgerError
from radii.evaluation import LedgerWriter
from tests.unit.evaluation.ledgers import SPEC, row
try:
    with LedgerWriter(sys.argv[1], SPEC, {}) as ledger:
        %s
except LedgerError as error:
    print("refused:", error, flush=True)
"""

BATCH = 200
ENDLESS = (
    WRITE
    % f"""\
for start in range(len(ledger.done), 10**9, {BATCH}):
            ledger.add([row(i, i / 7) for i in range(start, start + {BATCH})])
            print(start + {BATCH}, flush=True)
"""
)
WAITING = (
    WRITE
    % """\
print("open", flush=True)
        sys.stdin.readline()
"""
)
OPENING = WRITE % 'print("opened", flush=True)'


def test_rows_come_back_as_they_were_by_index(tmp_path):
    rows = [
        row(4, math.pi / 3),
        replace(row(0, math.inf), pA_lower=1 - 2**-53, pB_upper=5e-324, seconds=1e-9),
        abstained(2),
        wrong(1, 0.1 + 0.2),
        replace(row(3), n0_votes={}, n_votes={999: 10**12}, samples=10**12),
    ]
    path = write(tmp_path / "run.sqlite", rows)
    ledger = Ledger(path)
    assert list(ledger.rows()) == sorted(rows, key=lambda r: r.index)
    assert len(ledger) == 5
    assert [type(r.prediction) for r in ledger.rows()] == [int, int, type(None), int, int]


def test_meta_holds_spec_notes_and_format(tmp_path):
    path = tmp_path / "new" / "folder" / "run.sqlite"
    with LedgerWriter(path, SPEC, {"versions": {"radii": "1.2"}, "names": ["a", "ü"]}):
        pass
    assert Ledger(path).meta == {
        **SPEC,
        "versions": {"radii": "1.2"},
        "names": ["a", "ü"],
        "format": "radii-ledger/1",
    }


def test_a_run_is_resumed_and_its_notes_stay(tmp_path):
    path = tmp_path / "run.sqlite"
    with LedgerWriter(path, SPEC, {"created": "monday"}) as ledger:
        assert ledger.done == frozenset()
        ledger.add([row(3), row(1)])
        assert ledger.done == {1, 3}
    with LedgerWriter(path, SPEC, {"created": "tuesday"}) as ledger:
        assert ledger.done == {1, 3}
        ledger.add([row(2)])
    assert [r.index for r in Ledger(path).rows()] == [1, 2, 3]
    assert Ledger(path).meta["created"] == "monday"


def test_a_batch_with_an_input_twice_is_not_stored_at_all(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)], data_examples=None)
    with LedgerWriter(path, SPEC, {}) as ledger:
        with pytest.raises(sqlite3.IntegrityError):
            ledger.add([row(1), row(0, 2.0)])
        assert ledger.done == {0}
    assert list(Ledger(path).rows()) == [row(0)]


@pytest.mark.parametrize(
    ("key", "value"), [("alpha", 0.01), ("noise", "gaussian:sigma=1.0"), ("subset", "first:3")]
)
def test_a_ledger_of_another_spec_is_refused_and_the_difference_named(tmp_path, key, value):
    path = write(tmp_path / "run.sqlite", [row(0)])
    with (
        pytest.raises(LedgerError, match=rf"with {key} {SPEC[key]!r}, not {value!r}"),
        LedgerWriter(path, {**SPEC, key: value}, {}),
    ):
        pass
    assert list(Ledger(path).rows()) == [row(0)]


def test_a_key_that_the_ledger_does_not_have_is_another_spec(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)])
    with pytest.raises(LedgerError, match="stop"), LedgerWriter(path, {**SPEC, "stop": "x"}, {}):
        pass


def test_no_file(tmp_path):
    with pytest.raises(LedgerError, match=r"no run at .*radii certify"):
        Ledger(tmp_path / "run.sqlite")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"idx\tlabel\tpredict\n" * 100, b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)
    with pytest.raises(LedgerError, match="not a ledger"), LedgerWriter(path, SPEC, {}):
        pass
    assert path.read_bytes() == content


def test_another_database_is_refused_and_keeps_its_content(tmp_path):
    path = tmp_path / "run.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE thesis (chapter TEXT)")
        connection.execute("INSERT INTO thesis VALUES ('one')")
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)
    with pytest.raises(LedgerError, match="not a ledger"), LedgerWriter(path, SPEC, {}):
        pass
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert tables == [("thesis",)]
        assert connection.execute("SELECT * FROM thesis").fetchall() == [("one",)]


def test_a_later_format_is_refused(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)])
    with closing(sqlite3.connect(path)) as connection, connection:
        text = json.dumps("radii-ledger/9")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (text,))
    with pytest.raises(LedgerError, match=r"'radii-ledger/9', this version reads 'radii-ledger/1'"):
        Ledger(path)
    with pytest.raises(LedgerError, match="radii-ledger/9"), LedgerWriter(path, SPEC, {}):
        pass


def test_an_empty_file_becomes_a_ledger(tmp_path):
    path = tmp_path / "run.sqlite"
    path.touch()
    write(path, [row(0)])
    assert len(Ledger(path)) == 1


def test_a_second_writer_is_refused_while_the_first_has_it(tmp_path):
    path = tmp_path / "run.sqlite"
    with LedgerWriter(path, SPEC, {}) as ledger:
        said, _ = python(OPENING, str(path)).communicate(timeout=60)
        assert said.startswith("refused:")
        assert "being written by another process" in said
        ledger.add([row(0)])
    said, _ = python(OPENING, str(path)).communicate(timeout=60)
    assert said == "opened\n"


def test_a_writer_in_another_process_is_respected_and_read_along(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)], data_examples=None)
    other = python(WAITING, str(path))
    assert other.stdout.readline() == "open\n"
    with pytest.raises(LedgerError, match="another process"), LedgerWriter(path, SPEC, {}):
        pass
    assert list(Ledger(path).rows()) == [row(0)]
    other.communicate("\n", timeout=60)
    with LedgerWriter(path, SPEC, {}) as ledger:
        assert ledger.done == {0}


def test_a_writer_that_is_refused_does_not_hold_the_ledger(tmp_path):
    path = write(tmp_path / "run.sqlite", [row(0)], data_examples=None)
    with pytest.raises(LedgerError), LedgerWriter(path, {**SPEC, "n": 5}, {}):
        pass
    with LedgerWriter(path, SPEC, {}) as ledger:
        assert ledger.done == {0}


def test_a_killed_writer_leaves_whole_batches_and_no_lock(tmp_path):
    path = tmp_path / "run.sqlite"
    other = python(ENDLESS, str(path))
    stored = [int(other.stdout.readline()) for _ in range(5)][-1]
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert other.returncode == -signal.SIGKILL

    ledger = Ledger(path)
    count = len(ledger)
    assert count >= stored
    assert count % BATCH == 0
    expected = [row(i, i / 7) for i in range(count)]
    assert list(ledger.rows()) == expected

    with LedgerWriter(path, SPEC, {}) as writer:
        assert writer.done == set(range(count))
        writer.add([row(count)])
    assert list(ledger.rows()) == [*expected, row(count)]


def test_plain_sqlite_reads_along(tmp_path):
    path = tmp_path / "run.sqlite"
    with LedgerWriter(path, SPEC, {}) as ledger:
        ledger.add([row(0, 1.5), abstained(1)])
        with closing(sqlite3.connect(path)) as connection:
            query = 'SELECT "index", prediction, radius, n_votes FROM inputs ORDER BY "index"'
            first, second = connection.execute(query).fetchall()
            assert first == (0, 0, 1.5, '{"0": 990, "2": 10}')
            assert second == (1, None, 0.0, '{"0": 500, "2": 500}')
            meta = dict(connection.execute("SELECT key, value FROM meta"))
            assert json.loads(meta["alpha"]) == 0.001
        ledger.add([row(2)])
        assert len(Ledger(path)) == 3


def test_a_finished_ledger_is_one_file_that_a_read_only_folder_can_hold(tmp_path):
    path = tmp_path / "run.sqlite"
    with LedgerWriter(path, SPEC, {}) as writer:
        assert _journal_mode(path) == "wal"
        writer.add([row(0)])
    assert _journal_mode(path) == "delete"
    assert {file.name for file in tmp_path.iterdir()} <= {"run.sqlite", "run.sqlite.lock"}
    # What SQLite does where it cannot make a -shm file: read the file as it lies there.
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    assert connection.execute("SELECT count(*) FROM inputs").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize("content", [b"x", b"hello " * 100])
def test_a_foreign_file_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="not a ledger"), LedgerWriter(path, {}, {}):
        pass
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_foreign_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (value TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="not a ledger"), LedgerWriter(path, {}, {}):
        pass
    assert path.read_bytes() == before
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger(path)


def _journal_mode(path):
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]
    finally:
        connection.close()


# As the first version made them.
FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE inputs (
    "index" INTEGER PRIMARY KEY,
    label INTEGER NOT NULL,
    prediction INTEGER,
    radius REAL NOT NULL,
    pA_lower REAL NOT NULL,
    pB_upper REAL NOT NULL,
    n0_votes TEXT NOT NULL,
    n_votes TEXT NOT NULL,
    samples INTEGER NOT NULL,
    seconds REAL NOT NULL
);
"""
SINCE_THEN = {"vote": "hard", "stop": "never", "compile": "off"}


@pytest.fixture
def first_format(tmp_path):
    """A ledger of two inputs, without the column and the keys that came later."""
    path = tmp_path / "first.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FIRST)
        meta = {"format": "radii-ledger/1", **SPEC, "data_examples": 3}
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in meta.items()]
        )
        votes = ('{"0": 90, "1": 10}', '{"0": 990, "2": 10}')
        connection.execute(
            "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (0, 0, 0, 1.5, 0.98, 0.02, *votes, 1100, 0.25),
        )
        votes = ('{"0": 90, "1": 10}', '{"0": 500, "2": 500}')
        connection.execute(
            "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (1, 0, None, 0.0, 0.45, 0.55, *votes, 1100, 0.25),
        )
    return path


def test_a_ledger_of_the_first_format_is_read(first_format):
    before = first_format.read_bytes()
    ledger = Ledger(first_format)
    assert list(ledger.rows()) == [row(0, 1.5), abstained(1)]
    assert len(ledger) == 2
    assert ledger.meta["noise"] == SPEC["noise"]
    assert first_format.read_bytes() == before


def test_a_ledger_of_the_first_format_is_resumed(first_format):
    with LedgerWriter(first_format, {**SPEC, **SINCE_THEN}, {}) as ledger:
        assert ledger.done == {0, 1}
        ledger.add([row(2)])
    for _ in range(2):  # and once more, with the column there
        with LedgerWriter(first_format, {**SPEC, **SINCE_THEN}, {}) as ledger:
            assert ledger.done == {0, 1, 2}
    assert list(Ledger(first_format).rows()) == [row(0, 1.5), abstained(1), row(2)]


@pytest.mark.parametrize(
    ("key", "value"), [("stop", "at_radius:radius=0.5"), ("vote", "soft"), ("compile", "on")]
)
def test_the_first_format_holds_what_later_keys_would_have_said(first_format, key, value):
    before = first_format.read_bytes()
    with (
        pytest.raises(LedgerError, match=rf"with {key} {SINCE_THEN[key]!r}, not {value!r}"),
        LedgerWriter(first_format, {**SPEC, **SINCE_THEN, key: value}, {}),
    ):
        pass
    assert first_format.read_bytes() == before


def test_soft_votes_and_claims_come_back_as_they_were(tmp_path):
    rows = [
        soft(0),
        replace(row(1), claim=Claim(300, 299), n_votes={0: 480, 2: 20}, samples=600),
        replace(abstained(2), claim=Claim(0, 0)),
        row(3),
        replace(soft(4), n0_votes={}, n0_squares={}),
    ]
    path = write(tmp_path / "run.sqlite", rows)
    found = list(Ledger(path).rows())
    assert found == rows
    assert [r.claim for r in found] == [None, Claim(300, 299), Claim(0, 0), None, None]
    assert found[0].n_squares[2] == 1 / 3
    assert {type(votes) for votes in found[3].n_votes.values()} == {int}
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute('SELECT claim, n_votes FROM inputs ORDER BY "index"').fetchall()
    assert [claim for claim, _ in stored] == [None, "[300, 299]", "[0, 0]", None, None]
    assert stored[3][1] == '{"0": 990, "2": 10}'


def test_a_row_of_a_certification_holds_all_its_votes():
    soft_votes = SoftVotes(np.array([7.5, 0.0, 2.5]), np.array([6.0, 0.0, 1.0]), np.array(10))
    result = Certification(0, 0.3, 0.6, 0.4, soft_votes, soft_votes)
    stored = Row.of(4, 0, result, 0.5)
    assert stored.samples == 20
    assert (stored.n_votes, stored.n_squares) == ({0: 7.5, 2: 2.5}, {0: 6.0, 2: 1.0})
    assert (stored.n0_votes, stored.n0_squares) == (stored.n_votes, stored.n_squares)

    hard_votes = Counts(np.array([97, 0, 3]))
    early = Certification(0, 0.5, 0.9, 0.1, hard_votes, hard_votes, Claim(50, 49))
    stored = Row.of(4, 0, early, 0.5)
    assert (stored.n_votes, stored.n_squares) == ({0: 97, 2: 3}, {})
    assert stored.claim == Claim(50, 49)

    exact = Certification(0, 0.5, 0.97, 0.03, None, hard_votes)
    stored = Row.of(4, 0, exact, 0.5)
    assert (stored.n0_votes, stored.samples, stored.claim) == ({}, 100, None)


def test_another_spec_may_take_the_place_of_a_run_without_inputs(tmp_path):
    path = write(tmp_path / "empty", [])
    for rows, said in (
        ([], "it has no input yet: remove the file, or write"),
        ([row(0)], "; write"),
    ):
        with LedgerWriter(path, {**SPEC, "data_examples": 0}, {}) as ledger:
            ledger.add(rows)
        with (
            pytest.raises(LedgerError, match=f"alpha 0.001, not 0.1; ?{said.removeprefix(';')}"),
            LedgerWriter(path, {**SPEC, "alpha": 0.1}, {}),
        ):
            pass


def test_a_spec_that_could_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "run"
    with (
        pytest.raises(LedgerError, match=r"seed in its spec must be a whole number .* got -1"),
        LedgerWriter(path, {**SPEC, "seed": -1}, {}),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_ledger(tmp_path):
    with (
        pytest.raises(LedgerError, match="must be a file, got a folder"),
        LedgerWriter(tmp_path, SPEC, {}),
    ):
        pass
