"""The file of a run: what defines it, a row per input, one writer at a time.

meta(key TEXT PRIMARY KEY, value TEXT)      value is JSON
a table of rows, with the column "index"
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import filelock

from radii.errors import LedgerError

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_WRITTEN_BY = {"radii-ledger": "radii certify", "radii-attack": "radii attack"}


@dataclass(frozen=True)
class Layout:
    """What tells the files of one kind of run from those of another.

    Attributes:
        format: Stands in `meta`, with its version.
        table: The name of the table of rows.
        columns: Each column of it with its type, in order; the first is the index.
        since_then: What keys that the first files do not have would have said.
        added: Columns that the first files do not have.
    """

    format: str
    table: str
    columns: Mapping[str, str]
    since_then: Mapping[str, Any] = field(default_factory=dict)
    added: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What writes such files."""
        return _WRITTEN_BY[self.format.partition("/")[0]]

    @property
    def indices(self) -> str:
        """The query for the indices of all rows."""
        return f'SELECT "index" FROM {self.table}'  # noqa: S608

    @property
    def insertion(self) -> str:
        """The statement that adds a row."""
        values = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.table} VALUES ({values})"  # noqa: S608

    @property
    def creation(self) -> str:
        """The statement that makes the table of rows."""
        columns = ",\n    ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        return f"CREATE TABLE {self.table} (\n    {columns}\n)"


class Reader:
    """A run, opened for reading; another process may be writing it.

    Args:
        path: The file.

    Attributes:
        path: The file.
        meta: The spec of the run: `format`, `base`, `noise` and so on.

    Raises:
        LedgerError: If there is no such file, or it is no ledger of a format known here.
    """

    layout: ClassVar[Layout]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise LedgerError(
                f"no run at {str(self.path)!r}; write one with `{self.layout.command}`."
            )
        with closing(self._connect()) as connection:
            self.meta = _read_meta(connection, self.path, self.layout)

    def __len__(self) -> int:
        with closing(self._connect()) as connection:
            query = f"SELECT count(*) FROM {self.layout.table}"  # noqa: S608
            (count,) = connection.execute(query).fetchone()
            return int(count)

    def done(self) -> frozenset[int]:
        """Indices of the inputs so far."""
        with closing(self._connect()) as connection:
            return frozenset(index for (index,) in connection.execute(self.layout.indices))

    def check(self, spec: Mapping[str, Any]) -> None:
        """Refuses a spec that is not the one of this run.

        Raises:
            LedgerError: If a value differs; it names the first.
        """
        _compare(self.path, self.layout, self.meta, {"format": self.layout.format, **spec})

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)

    def _values(self, index: int) -> tuple[Any, ...]:
        """What stands in the row of an input.

        Raises:
            KeyError: If it is not in the ledger.
        """
        query = f'SELECT * FROM {self.layout.table} WHERE "index" = ?'  # noqa: S608
        with closing(self._connect()) as connection:
            found: tuple[Any, ...] | None = connection.execute(query, (index,)).fetchone()
        if found is None:
            raise KeyError(index)
        return found


class Storable(Protocol):
    """A row."""

    @property
    def index(self) -> int:
        """Of the input in its data set."""

    def values(self) -> tuple[Any, ...]:
        """What stands under the columns."""


R = TypeVar("R", bound=Storable)


class Writer(Generic[R]):
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

    layout: ClassVar[Layout]

    def __init__(self, path: Path | str, spec: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._spec = {"format": self.layout.format, **spec}
        self._notes = dict(notes)
        self.done: frozenset[int] = frozenset()
        self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)

    def __enter__(self) -> Self:
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

    def add(self, rows: Sequence[R]) -> None:
        """Stores finished inputs, all in one transaction."""
        with self._connection:
            self._connection.executemany(self.layout.insertion, [row.values() for row in rows])
        self.done |= {row.index for row in rows}

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path)
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables:
                meta = _read_meta(connection, self.path, self.layout)
                _compare(self.path, self.layout, meta, self._spec)
                self._add_columns(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if not tables:
                self._create(connection)
            self.done = frozenset(index for (index,) in connection.execute(self.layout.indices))
        except sqlite3.DatabaseError as error:
            connection.close()
            raise _unreadable(self.path, error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _add_columns(self, connection: sqlite3.Connection) -> None:
        table, columns = self.layout.table, self.layout.columns
        there = {each[1] for each in connection.execute(f"PRAGMA table_info({table})").fetchall()}
        for name in self.layout.added:
            if name not in there:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def _create(self, connection: sqlite3.Connection) -> None:
        meta = {**self._spec, **self._notes}
        with connection:
            connection.execute("BEGIN")
            connection.execute(_META)
            connection.execute(self.layout.creation)
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in meta.items()],
            )


def _compare(path: Path, layout: Layout, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    there = {**layout.since_then, **there}
    for key, value in here.items():
        if there.get(key) != value:
            raise LedgerError(
                f"{str(path)!r} holds a run with {key} {there.get(key)!r}, "
                f"not {value!r}; write to another --out."
            )


def _read_meta(connection: sqlite3.Connection, path: Path, layout: Layout) -> dict[str, Any]:
    meta = _pairs(connection, path)
    check_format(path, "ledger", meta.get("format"), layout.format)
    return meta


def _pairs(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    try:
        pairs = connection.execute("SELECT key, value FROM meta").fetchall()
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from None
    return {key: json.loads(value) for key, value in pairs}


def format_of(path: Path) -> str | None:
    """The format that a ledger says it has; None if it says nothing.

    Raises:
        LedgerError: If the file is missing or is no ledger.
    """
    if not path.is_file():
        raise LedgerError(f"no run at {str(path)!r}; write one with `radii certify`.")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        found = _pairs(connection, path).get("format")
    return found if isinstance(found, str) else None


def check_format(path: Path, what: str, found: object, known: str) -> None:
    """Refuses a format of another version, or of another kind of run.

    Raises:
        LedgerError: If the format found in the file is not the one known here.
    """
    if found == known:
        return
    writer = _WRITTEN_BY.get(str(found).partition("/")[0])
    wanted = _WRITTEN_BY.get(known.partition("/")[0])
    if writer and wanted and writer != wanted:
        raise LedgerError(
            f"{str(path)!r} holds a run of `{writer}`, where one of `{wanted}` is wanted; "
            f"choose another file."
        )
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
