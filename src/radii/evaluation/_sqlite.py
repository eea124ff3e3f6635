"""The file of a run: what defines it, a row per input, one writer at a time.

meta(key TEXT PRIMARY KEY, value TEXT)      value is JSON
a table of rows, with the column "index"
"""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import filelock

from radii.errors import LedgerError
from radii.evaluation._checked import check_spec
from radii.evaluation._faults import check_ledger, no_ledger, unreadable, unwritable
from radii.evaluation._layout import Layout, Storable
from radii.evaluation._stored import (
    OF_SQLITE,
    check_row,
    check_structure,
    compare,
    may_be_sqlite,
    must_have_checksums,
    pairs_of,
    read_meta,
)
from radii.evaluation.checksums import checksum_of, hash_of_spec
from radii.models.checkpoint import sync_folder

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"


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
        self._checked = True
        with self._reading() as connection:
            self.meta = read_meta(connection, self.path, self.layout)
        self._hash_of_spec = hash_of_spec(self.meta)

    def unchecked(self) -> Self:
        """The same run, whose rows are given as they are stored, whatever their checksums say."""
        other = copy.copy(self)
        other._checked = False
        return other

    def __len__(self) -> int:
        with self._reading() as connection:
            (count,) = connection.execute(self.layout.count).fetchone()
            return int(count)

    def cells(self) -> Iterator[tuple[Any, ...]]:
        """What stands in each row, by index, as it is stored and not checked."""
        query = f'SELECT * FROM {self.layout.table} ORDER BY "index"'  # noqa: S608
        with closing(self._connect()) as connection:
            yield from connection.execute(query)

    def integrity(self) -> str:
        """`ok`, or what SQLite finds wrong with the file."""
        try:
            with closing(self._connect()) as connection:
                found = connection.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)
        return "; ".join(str(line) for (line,) in found)

    def done(self) -> frozenset[int]:
        """Indices of the inputs so far."""
        with self._reading() as connection:
            return frozenset(index for (index,) in connection.execute(self.layout.indices))

    def check(self, spec: Mapping[str, Any]) -> None:
        """Refuses a spec that is not the one of this run.

        Raises:
            LedgerError: If a value differs; it names the first.
        """
        here = {"format": self.layout.format, **spec}
        compare(self.path, self.layout, self.meta, here, len(self))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)

    def _values(self, index: int) -> tuple[Any, ...]:
        """What stands in the row of an input.

        Raises:
            KeyError: If it is not in the ledger.
        """
        query = f'SELECT * FROM {self.layout.table} WHERE "index" = ?'  # noqa: S608
        with self._reading() as connection:
            found: tuple[Any, ...] | None = connection.execute(query, (index,)).fetchone()
            if found is None:
                raise KeyError(index)
            self._check_row(connection, found)
        return found

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection; what SQLite finds wrong with the file becomes a `LedgerError`."""
        try:
            with closing(self._connect()) as connection:
                yield connection
        except OF_SQLITE as error:
            raise unreadable(self.path, error) from None

    def check_pages(self) -> None:
        """Refuses a file whose pages do not fit together.

        Raises:
            LedgerError: If SQLite finds it so.
        """
        with self._reading() as connection:
            check_structure(connection, self.path, self.layout)

    def _rows(self, chosen: str = "*") -> Iterator[tuple[Any, ...]]:
        """All rows by index, once the structure of the file and their checksums are found right.

        Args:
            chosen: Columns; checksums are compared only where these are all of them.
        """
        query = f'SELECT {chosen} FROM {self.layout.table} ORDER BY "index"'  # noqa: S608
        with self._reading() as connection:
            if self._checked:
                check_structure(connection, self.path, self.layout)
            must = must_have_checksums(connection, self.layout)
            for values in connection.execute(query):
                if chosen == "*" and self._checked:
                    check_row(self.path, self.layout, values, self._hash_of_spec, must=must)
                yield values

    def _check_row(self, connection: sqlite3.Connection, values: tuple[Any, ...]) -> None:
        if self._checked:
            must = must_have_checksums(connection, self.layout)
            check_row(self.path, self.layout, values, self._hash_of_spec, must=must)


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
        LedgerError: If the file holds a run of another spec, is no ledger, or is being written, or
            if the spec could not be read again.
    """

    layout: ClassVar[Layout]

    def __init__(self, path: Path | str, spec: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._spec = {"format": self.layout.format, **spec}
        self._notes = dict(notes)
        self.done: frozenset[int] = frozenset()
        self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)

    def __enter__(self) -> Self:
        check_ledger(self.path)
        try:
            check_spec({**self._spec, **self._notes})
        except ValueError as error:  # nobody could read it
            raise LedgerError(f"{str(self.path)!r} cannot be written: {error}.") from None
        if self.path.exists() and not may_be_sqlite(self.path):
            raise no_ledger(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout:
            raise LedgerError(
                f"{str(self.path)!r} is being written by another process; wait for it to end, "
                f"or write to another --out."
            ) from None
        except OSError as error:
            raise unwritable(self.path, error) from None
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
        try:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()
        finally:
            self._lock.release()

    def add(self, rows: Sequence[R]) -> None:
        """Stores finished inputs, all in one transaction, which outlasts a power loss.

        Raises:
            LedgerError: If they cannot be written; none of them is then stored.
        """
        values = [self._stored(row.values()) for row in rows]
        try:
            with self._connection:
                self._connection.executemany(self.layout.insertion, values)
        except sqlite3.IntegrityError:  # an input twice
            raise
        except sqlite3.Error as error:
            raise unwritable(self.path, error, len(self.done)) from None
        self.done |= {row.index for row in rows}

    def _stored(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values of a row, with its checksum in the last column."""
        return (*values[:-1], checksum_of(self.layout.columns, values, self._hash_of_spec))

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path)
        except sqlite3.Error as error:
            raise unwritable(self.path, error) from None
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables:
                self._check(connection)
            self._prepare(connection, new=not tables)
            self._hash_of_spec = hash_of_spec(pairs_of(connection, self.path))
        except OF_SQLITE as error:
            connection.close()
            raise unreadable(self.path, error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Refuses a file of another run, or with a row that is not what was stored."""
        meta = read_meta(connection, self.path, self.layout)
        check_structure(connection, self.path, self.layout)
        (inputs,) = connection.execute(self.layout.count).fetchone()
        compare(self.path, self.layout, meta, self._spec, inputs)
        query = f"SELECT * FROM {self.layout.table}"  # noqa: S608
        must, spec = must_have_checksums(connection, self.layout), hash_of_spec(meta)
        done = set()
        for values in connection.execute(query):
            check_row(self.path, self.layout, values, spec, must=must)
            done.add(values[0])
        self.done = frozenset(done)

    def _prepare(self, connection: sqlite3.Connection, *, new: bool) -> None:
        """Makes the file ready for rows: what is added is on the disk before `add` returns."""
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if new:
                self._create(connection)
                sync_folder(self.path.parent)
            else:
                self._add_columns(connection)
        except sqlite3.OperationalError as error:
            raise unwritable(self.path, error) from None

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
