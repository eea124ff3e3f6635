"""What stands in the SQLite file of a run, and whether it is what was written there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from radii.errors import LedgerError
from radii.evaluation._checked import check_spec
from radii.evaluation._faults import damaged, no_ledger, unreadable
from radii.evaluation._layout import Layout, check_format
from radii.evaluation.checksums import COLUMN, checksum_of

OF_SQLITE = (sqlite3.Error, UnicodeDecodeError)  # the latter where it quotes a damaged file


def compare(
    path: Path, layout: Layout, there: Mapping[str, Any], here: Mapping[str, Any], inputs: int
) -> None:
    """Refuses a spec that is not the one that is there.

    Args:
        path: Of the file.
        layout: Of its rows.
        there: The spec in it.
        here: The one that is meant.
        inputs: How many it holds.

    Raises:
        LedgerError: If a value differs; it names the first.
    """
    there = {**layout.since_then, **there}
    for key, value in here.items():
        if there.get(key) != value:
            instead = "" if inputs else "it has no input yet: remove the file, or "
            raise LedgerError(
                f"{str(path)!r} holds a run with {key} {there.get(key)!r}, "
                f"not {value!r}; {instead}write to another --out."
            )


def read_meta(connection: sqlite3.Connection, path: Path, layout: Layout) -> dict[str, Any]:
    """The spec of a run, whose types and sizes are checked.

    Raises:
        LedgerError: If the file is no ledger of this layout.
    """
    meta = pairs_of(connection, path)
    check_format(path, "ledger", meta.get("format"), layout.format)
    try:
        check_spec(meta)
    except ValueError as error:
        raise damaged(path, str(error)) from None
    if not _is_table(connection, layout.table):
        raise no_ledger(path)
    return meta


def _is_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether it is a table, and no view, which may have rows without end."""
    query = "SELECT type, sql FROM sqlite_master WHERE name = ?"
    found = connection.execute(query, (name,)).fetchall()
    return [kind for kind, _ in found] == ["table"] and "VIRTUAL" not in str(found[0][1]).upper()


def pairs_of(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """What stands in `meta`, unchecked.

    Raises:
        LedgerError: If there is no such table, or it holds no JSON.
    """
    try:
        if not _is_table(connection, "meta"):
            raise no_ledger(path)
        pairs = connection.execute("SELECT key, value FROM meta").fetchall()
    except OF_SQLITE as error:
        raise unreadable(path, error) from None
    try:
        return {key: json.loads(value) for key, value in pairs}
    except (TypeError, ValueError, RecursionError) as error:
        raise damaged(path, f"its spec is no JSON, {error}") from None


def check_structure(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    """Refuses a file whose pages do not fit together; a row may be lost there, or stand twice.

    Raises:
        LedgerError: If SQLite finds it so.
    """
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, str(found))
    listed = connection.execute(f"PRAGMA table_info({layout.table})").fetchall()
    if not listed:
        raise no_ledger(path)
    lacking = [*layout.columns][len(listed) : len(layout.columns) - len(layout.added)]
    if lacking:
        raise damaged(path, f"its table {layout.table!r} lacks {', '.join(lacking)}")
    for (_, name, kind, _, _, key), wanted in zip(listed, layout.columns.items(), strict=False):
        declared = f"{kind} PRIMARY KEY" if key else kind
        if name != wanted[0] or not wanted[1].startswith(declared):
            raise damaged(path, f"its column {name!r} {declared} must be {' '.join(wanted)}")


def check_row(
    path: Path, layout: Layout, values: Sequence[Any], hash_of_spec: str, *, must: bool
) -> None:
    """Refuses a row that is not the one that was stored.

    Args:
        path: Of the file.
        layout: Of its rows.
        values: All that stands in the row.
        hash_of_spec: Of the run.
        must: Whether the row had a checksum when it was stored; those of older versions had none.

    Raises:
        LedgerError: If the checksum is another.
    """
    stored = values[-1] if len(values) == len(layout.columns) else None
    if stored is None and not must:
        return
    try:
        right = stored == checksum_of(layout.columns, values, hash_of_spec)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise damaged(path, f"the row of input {values[0]!r} does not fit its checksum")


def must_have_checksums(connection: sqlite3.Connection, layout: Layout) -> bool:
    """Whether the table was made with the column of checksums, and did not get it later."""
    made = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = ?", (layout.table,)
    ).fetchone()
    return made is not None and f'"{COLUMN}"' in str(made[0])  # a later one has no quotes


def format_of(path: Path) -> str | None:
    """The format that a ledger says it has; None if it says nothing.

    Raises:
        LedgerError: If the file is missing or is no ledger.
    """
    if not path.is_file():
        raise LedgerError(f"no run at {str(path)!r}; write one with `radii certify`.")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        found = pairs_of(connection, path).get("format")
    return found if isinstance(found, str) else None


def may_be_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database by its first bytes, or empty."""
    with path.open("rb") as file:
        return file.read(16) in (b"", b"SQLite format 3\0")
