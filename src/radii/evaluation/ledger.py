"""The ledger: one SQLite file a run, with the spec of everything and a row per input.

    meta(key TEXT PRIMARY KEY, value TEXT)      value is JSON
    inputs("index" INTEGER PRIMARY KEY, label INTEGER, prediction INTEGER, radius REAL,
           pA_lower REAL, pB_upper REAL, n0_votes TEXT, n_votes TEXT, samples INTEGER, seconds REAL,
           claim TEXT)

`prediction` is NULL where the run abstained. `n0_votes` and `n_votes` are JSON objects from class
to votes, with every class that got one. In a run with soft votes a class has the pair of the sum of
its scores and the sum of their squares. `n0_votes` is empty where the noise was enumerated. `claim`
is the JSON pair of draws and votes at the look that gave `pA_lower`, in a run that stops early, and
otherwise NULL. The first ledgers have no such column.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock
import numpy as np

from radii.errors import LedgerError
from radii.records import Certification, Claim, SoftVotes, Votes

FORMAT = "radii-ledger/1"
# What keys that the first ledgers do not have would have said.
_SINCE_THEN = {"vote": "hard", "stop": "never", "compile": "off"}

COLUMNS = (
    *("index", "label", "prediction", "radius", "pA_lower", "pB_upper"),
    *("n0_votes", "n_votes", "samples", "seconds", "claim"),
)

_INDICES = 'SELECT "index" FROM inputs'

_WITHOUT_VOTES = (
    "\"index\", label, prediction, radius, pA_lower, pB_upper, '{}', '{}', samples, seconds"
)
_SCHEMA = """
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
    seconds REAL NOT NULL,
    claim TEXT
);
"""


@dataclass(frozen=True)
class Row:
    """One input of a run.

    Attributes:
        index: Of the input in its data set.
        label: The true class.
        prediction: The class certified, or None where the run abstained.
        radius: Certified radius in input units, unrounded; 0 where it abstained.
        pA_lower: Bound below the probability of the class selected.
        pB_upper: Bound above the probability of every other class.
        n0_votes: Class to votes, of the draws that selected the class; soft votes are the sum of
            the scores of a class.
        n_votes: Class to votes, of the draws that bounded its probability.
        samples: Draws spent on this input.
        seconds: Wall-clock time spent on it.
        n0_squares: Class to the sum of squared scores behind `n0_votes`; empty for hard votes.
        n_squares: The same behind `n_votes`.
        claim: The look that gave `pA_lower`; None in a run that does not stop early.
    """

    index: int
    label: int
    prediction: int | None
    radius: float
    pA_lower: float
    pB_upper: float
    n0_votes: Mapping[int, float]
    n_votes: Mapping[int, float]
    samples: int
    seconds: float
    n0_squares: Mapping[int, float] = field(default_factory=dict)
    n_squares: Mapping[int, float] = field(default_factory=dict)
    claim: Claim | None = None

    @classmethod
    def of(cls, index: int, label: int, result: Certification, seconds: float) -> Row:
        """The row that stores a certification."""
        return cls(
            index=index,
            label=label,
            prediction=result.prediction,
            radius=result.radius,
            pA_lower=result.pA_lower,
            pB_upper=result.pB_upper,
            n0_votes=_votes(result.selection),
            n_votes=_votes(result.estimation),
            samples=sum(int(votes.n) for votes in (result.selection, result.estimation) if votes),
            seconds=seconds,
            n0_squares=_squares(result.selection),
            n_squares=_squares(result.estimation),
            claim=result.claim,
        )

    @classmethod
    def from_values(cls, values: Sequence[Any]) -> Row:
        """The row whose `values()` these are; the first ledgers leave the last of them out."""
        found = [{int(k): v for k, v in json.loads(text).items()} for text in values[6:8]]
        sums = [{k: v[0] if isinstance(v, list) else v for k, v in each.items()} for each in found]
        squares = [{k: v[1] for k, v in each.items() if isinstance(v, list)} for each in found]
        claim = Claim(*json.loads(values[10])) if len(values) > 10 and values[10] else None
        return cls(*[*values[:6], *sums, *values[8:10], *squares, claim])

    def values(self) -> tuple[Any, ...]:
        """What stands under `COLUMNS`: numbers, None, and JSON texts of votes and claim."""
        assert not math.isnan(self.radius)
        return (
            self.index,
            self.label,
            self.prediction,
            self.radius,
            self.pA_lower,
            self.pB_upper,
            _paired(self.n0_votes, self.n0_squares),
            _paired(self.n_votes, self.n_squares),
            self.samples,
            self.seconds,
            None if self.claim is None else json.dumps([self.claim.draws, self.claim.votes]),
        )


class Ledger:
    """A run, opened for reading; another process may be writing it.

    Args:
        path: The file.

    Attributes:
        path: The file.
        meta: The spec of the run: `format`, `base`, `noise`, `plan` and so on.

    Raises:
        LedgerError: If there is no such file, or it is no ledger of a format known here.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise LedgerError(f"no run at {str(self.path)!r}; write one with `radii certify`.")
        with closing(self._connect()) as connection:
            self.meta = _read_meta(connection, self.path)

    def __len__(self) -> int:
        with closing(self._connect()) as connection:
            (count,) = connection.execute("SELECT count(*) FROM inputs").fetchone()
            return int(count)

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input so far, by index.

        Args:
            votes: Whether to read votes and claims too. With very many classes they take most of
                the time and memory; without, the rows have none.
        """
        with closing(self._connect()) as connection:
            chosen = "*" if votes else _WITHOUT_VOTES
            for values in connection.execute(f'SELECT {chosen} FROM inputs ORDER BY "index"'):  # noqa: S608
                yield Row.from_values(values)

    def row(self, index: int) -> Row:
        """One input.

        Raises:
            KeyError: If it is not in the ledger.
        """
        with closing(self._connect()) as connection:
            found = connection.execute(
                'SELECT * FROM inputs WHERE "index" = ?', (index,)
            ).fetchone()
        if found is None:
            raise KeyError(index)
        return Row.from_values(found)

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""
        with closing(self._connect()) as connection:
            (count,) = connection.execute(
                """SELECT count(*) FROM inputs WHERE instr(n_votes, ',') = 0
                   AND n_votes LIKE '{"' || prediction || '":%'"""
            ).fetchone()
            return int(count)

    def done(self) -> frozenset[int]:
        """Indices of the inputs so far."""
        with closing(self._connect()) as connection:
            return frozenset(index for (index,) in connection.execute(_INDICES))

    def check(self, spec: Mapping[str, Any]) -> None:
        """Refuses a spec that is not the one of this run.

        Raises:
            LedgerError: If a value differs; it names the first.
        """
        _compare(self.path, self.meta, {"format": FORMAT, **spec})

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)


class LedgerWriter:
    """A run, opened for writing by one process at a time; a context manager.

    A new file is made with `spec`; an existing one is continued if its spec is the same.

    Args:
        path: The file.
        spec: What defines the run; compared key by key when the run is resumed.
        notes: What is recorded once, when the file is made, and may differ when it is resumed.

    Attributes:
        done: Indices of the inputs that are in the ledger already.

    Raises:
        LedgerError: If the file holds a run of another spec, is no ledger, or is being written.
    """

    def __init__(self, path: Path | str, spec: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._spec = {"format": FORMAT, **spec}
        self._notes = dict(notes)
        self.done: frozenset[int] = frozenset()
        self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)

    def __enter__(self) -> LedgerWriter:
        if self.path.exists() and not may_be_sqlite(self.path):
            raise _no_ledger(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise LedgerError(
                f"{str(self.path)!r} is being written by another process; wait for it to end, "
                f"or write to another --out."
            ) from None
        try:
            self._connection = self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Back to one plain file, which can be copied and read where nothing can be written; not
        # while somebody reads it.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        self._lock.release()

    def add(self, rows: Sequence[Row]) -> None:
        """Stores finished inputs, all in one transaction."""
        with self._connection:
            self._connection.executemany(
                "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row.values() for row in rows],
            )
        self.done |= {row.index for row in rows}

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables:
                _compare(self.path, _read_meta(connection, self.path), self._spec)
                columns = connection.execute("PRAGMA table_info(inputs)").fetchall()
                if "claim" not in {column[1] for column in columns}:
                    connection.execute("ALTER TABLE inputs ADD COLUMN claim TEXT")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if not tables:
                self._create(connection)
            self.done = frozenset(index for (index,) in connection.execute(_INDICES))
        except sqlite3.DatabaseError as error:
            connection.close()
            raise _unreadable(self.path, error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        meta = {**self._spec, **self._notes}
        with connection:
            connection.execute("BEGIN")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in meta.items()],
            )


def _compare(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    there = {**_SINCE_THEN, **there}
    for key, value in here.items():
        if there.get(key) != value:
            raise LedgerError(
                f"{str(path)!r} holds a run with {key} {there.get(key)!r}, "
                f"not {value!r}; write to another --out."
            )


def _votes(votes: Votes | None) -> dict[int, float]:
    if isinstance(votes, SoftVotes):
        return {label: float(votes.sums[label]) for label in np.flatnonzero(votes.sums).tolist()}
    if votes is None:
        return {}
    return {label: int(votes.votes[label]) for label in np.flatnonzero(votes.votes).tolist()}


def _squares(votes: Votes | None) -> dict[int, float]:
    if not isinstance(votes, SoftVotes):
        return {}
    return {label: float(votes.squares[label]) for label in np.flatnonzero(votes.sums).tolist()}


def _paired(sums: Mapping[int, float], squares: Mapping[int, float]) -> str:
    """JSON of votes, with the squares beside them if they are soft."""
    return json.dumps({k: [v, squares[k]] for k, v in sums.items()} if squares else dict(sums))


def _read_meta(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    try:
        pairs = connection.execute("SELECT key, value FROM meta").fetchall()
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from None
    meta = {key: json.loads(value) for key, value in pairs}
    check_format(path, "ledger", meta.get("format"), FORMAT)
    return meta


def check_format(path: Path, what: str, found: object, known: str) -> None:
    """Refuses a format of another version.

    Raises:
        LedgerError: If the format found in the file is not the one known here.
    """
    if found != known:
        raise LedgerError(
            f"{str(path)!r} has {what} format {found!r}, this version reads {known!r}; "
            f"use the version of radii that wrote it."
        )


def may_be_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database by its first bytes, or empty."""
    with path.open("rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\0")


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    """What to say of a file that SQLite cannot read as a ledger."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_NOTADB) & 0xFF
    if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB):  # no table called meta, no database
        return _no_ledger(path)
    return LedgerError(
        f"{str(path)!r} cannot be opened: {error}; if a run was broken off, its last rows are in "
        f"a file ending in -wal: copy both to a folder that can be written."
    )


def _no_ledger(path: Path) -> LedgerError:
    return LedgerError(f"{str(path)!r} is not a ledger of radii; choose another file.")
