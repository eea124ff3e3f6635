"""What to say where the file of a run cannot be written, or does not hold what was written."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from radii.errors import LedgerError

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_FOREIGN = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB)  # no table called meta, no database
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_TOOBIG)


def no_ledger(path: Path) -> LedgerError:
    """Of a file that never was one."""
    return LedgerError(f"{str(path)!r} is not a ledger of radii; choose another file.")


def damaged(path: Path, why: str) -> LedgerError:
    """Of a file that holds something else than what was written."""
    return LedgerError(
        f"{str(path)!r} is damaged: {' '.join(why.split())[:200]}; take a copy of it made before, "
        f"or write to another --out (`radii verify` says more)."
    )


def unreadable(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> LedgerError:
    """Of a file that SQLite cannot read as a ledger."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # said by the module, not by SQLite: a text that is none
        return damaged(path, str(error))
    code &= 0xFF
    if code in _FOREIGN and "no such column" not in str(error) and "UTF-8" not in str(error):
        return no_ledger(path)
    if code in (*_DAMAGED, *_FOREIGN):
        return damaged(path, str(error))
    return LedgerError(
        f"{str(path)!r} cannot be opened: {error}; if a run was broken off, its last rows are in "
        f"a file ending in -wal: copy both to a folder that can be written."
    )


def unwritable(path: Path, error: sqlite3.Error | OSError, inputs: int = 0) -> LedgerError:
    """Of a ledger that cannot take more.

    Args:
        path: The ledger.
        error: What came of it.
        inputs: How many it holds.
    """
    held = f"the {inputs:,} inputs stored before stay in it, and " if inputs else ""
    if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _FULL:
        return LedgerError(
            f"{str(path)!r} cannot be written: {error}; {held}the same command goes on once there "
            f"is space."
        )
    why = error.strerror if isinstance(error, OSError) else str(error)
    return LedgerError(
        f"{str(path)!r} cannot be written: {why}; {held}the same command goes on once it can be, "
        f"or write to another --out."
    )


def check_ledger(path: Path) -> None:
    """Refuses, before there is any work, a ledger that will not be written.

    Raises:
        LedgerError: If it is a folder, or `check_writable` says so.
    """
    if path.is_dir():
        raise LedgerError(f"{str(path)!r} must be a file, got a folder; name a file in it.")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Refuses, before there is any work, a file or folder that will not be written.

    Raises:
        LedgerError: If the file, or the folder that it is or will be in, is read-only.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise LedgerError(
            f"{str(path)!r} must be a file that can be written, got a read-only one; change its "
            f"permissions, or write to another --out."
        )
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise LedgerError(
            f"{str(path)!r} must be in a folder that can be written, but {str(folder)!r} is not "
            f"one; change its permissions, or write to another --out."
        )
