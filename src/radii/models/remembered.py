"""Answers that were paid for once, in a file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.errors import BaseClassifierError
from radii.models.functions import Array, Function, answered

_FORMAT = 0x52414431  # the file's application id
_TABLES = (
    "CREATE TABLE IF NOT EXISTS classifiers (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, "
    "type TEXT, width INTEGER)",
    "CREATE TABLE IF NOT EXISTS answers (classifier INTEGER NOT NULL, row BLOB NOT NULL, "
    "answer BLOB NOT NULL, PRIMARY KEY (classifier, row)) WITHOUT ROWID",
)
_MOST_VALUES = 500  # in one query
_SECONDS_TO_WAIT = 60.0  # for another process that is writing


class Remembered:
    """A function on arrays that is asked once for each row; its answers are kept in a file.

    Noise is named by its stream (seed, index of the input, stage, block), so a run that is started
    again with the same seed, on the same kind of device, sends the same noisy rows to the last
    bit. Their answers are found under the SHA-256 of each row's shape and bytes, and only rows that
    are missing are asked. What one call answered is in the file before it is used, so a connection
    that breaks, or a program that is killed, costs the call under way at most.

    The file is a SQLite database on a local disk. Any number of threads and processes may use it
    together. If two ask the same row at the same time both use the answer that was first.

    Args:
        function: Float32 arrays `(rows, *shape)` to scores `(rows, num_classes)` or labels
            `(rows,)`. Rows of another type are rounded to float32 before it gets them.
        path: The file; made if it does not exist.
        key: Which classifier answers: name it and its version. Answers kept under another key are
            not used.

    Raises:
        BaseClassifierError: If the file is something else.

    Example:
        >>> import tempfile
        >>> asked = []
        >>> def ask(x):
        ...     asked.append(len(x))
        ...     return x.sum(1) > 1
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     remembered = Remembered(ask, f"{folder}/answers.sqlite", key="sum, version 1")
        ...     x = np.float32([[0, 0], [1, 1]])
        ...     print(remembered(x), remembered(np.float32([[1, 1], [2, 2]])), asked)
        ...     remembered.close()
        [0 1] [1 1] [2, 1]
    """

    def __init__(self, function: Function, path: str | Path, *, key: str) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable, got {type(function).__name__}")
        if not key:
            raise ValueError("key must be a text that names the classifier, got ''")
        self.function = function
        self.path = Path(path)
        self.key = key
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0  # that opened it
        self._number = 0  # of the key, in the file
        self._kind: str | None = None
        self._width = 0  # scores in an answer; 0 for labels
        with self._lock:
            self._opened()

    def __call__(self, rows: npt.NDArray[np.float32]) -> Array:
        """Scores or labels of `(rows, *shape)`."""
        rows = np.asarray(rows, dtype=np.float32)  # as which they are named
        if not len(rows):
            return answered(self.function, rows)
        names = [_name(row) for row in rows]
        known = self._find(names)
        missing = {name: at for at, name in enumerate(names) if name not in known}
        if missing:
            answers = answered(self.function, rows[list(missing.values())])
            self._keep(list(missing), answers)
            known |= self._find(missing)
        kept = np.frombuffer(b"".join(known[name] for name in names), dtype=self._kind)
        return kept.reshape((len(names), self._width) if self._width else (-1,)).copy()

    def __len__(self) -> int:
        """How many rows of this key are in the file."""
        with self._lock:
            query = "SELECT count(*) FROM answers WHERE classifier = ?"
            return int(self._opened().execute(query, (self._number,)).fetchone()[0])

    def close(self) -> None:
        """Closes the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _find(self, names: Iterable[bytes]) -> dict[bytes, bytes]:
        """Answers that are in the file, by the names of their rows."""
        wanted = list(dict.fromkeys(names))
        found: dict[bytes, bytes] = {}
        with self._lock:
            connection = self._opened()
            for first in range(0, len(wanted), _MOST_VALUES):
                part = wanted[first : first + _MOST_VALUES]
                marks = ", ".join("?" * len(part))
                query = f"SELECT row, answer FROM answers WHERE classifier = ? AND row IN ({marks})"  # noqa: S608
                found.update(connection.execute(query, (self._number, *part)))
            self._kind, self._width = connection.execute(
                "SELECT type, width FROM classifiers WHERE id = ?", (self._number,)
            ).fetchone()
        return found

    def _keep(self, names: Sequence[bytes], answers: Array) -> None:
        """Adds answers, all or none of them."""
        answers = answers.astype(answers.dtype.newbyteorder("<"))
        form = (answers.dtype.str, 0 if answers.ndim == 1 else answers.shape[1])
        rows = [
            (self._number, name, answer.tobytes())
            for name, answer in zip(names, answers, strict=True)
        ]
        with self._lock, _transaction(self._opened()) as connection:
            connection.execute(
                "UPDATE classifiers SET type = ?, width = ? WHERE id = ? AND type IS NULL",
                (*form, self._number),
            )
            query = "SELECT type, width FROM classifiers WHERE id = ?"
            told = connection.execute(query, (self._number,)).fetchone()
            if told != form:
                raise BaseClassifierError(
                    f"answers under the key {self.key!r} in {str(self.path)!r} must all be of one "
                    f"kind, {_said(*told)}, got {_said(*form)}; give another classifier another "
                    f"key."
                )
            connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():  # no fork may use it
            try:
                self._connection, self._number = _open(self.path, self.key)
            except sqlite3.DatabaseError as error:
                raise BaseClassifierError(
                    f"{str(self.path)!r} cannot keep answers: {error}; name a new file in a folder "
                    f"that exists."
                ) from error
            self._process = os.getpid()
            weakref.finalize(self, self._connection.close)
        return self._connection

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_connection": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


def _open(path: Path, key: str) -> tuple[sqlite3.Connection, int]:
    """The file, made if need be, and the number that it gives the key."""
    connection = sqlite3.connect(
        path, timeout=_SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
    )
    try:
        with _transaction(connection):
            (told,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and told != _FORMAT:
                raise sqlite3.DatabaseError("it holds another program's tables")
            connection.execute(f"PRAGMA application_id = {_FORMAT}")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT OR IGNORE INTO classifiers (key) VALUES (?)", (key,))
            query = "SELECT id FROM classifiers WHERE key = ?"
            return connection, int(connection.execute(query, (key,)).fetchone()[0])
    except BaseException:
        connection.close()
        raise


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """What is done inside is in the file afterwards, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _name(row: npt.NDArray[np.float32]) -> bytes:
    content = np.ascontiguousarray(row, dtype="<f4")
    return hashlib.sha256(f"{content.shape}".encode() + content.tobytes()).digest()


def _said(kind: str, width: int) -> str:
    return f"{width} scores of type {kind}" if width else f"labels of type {kind}"
