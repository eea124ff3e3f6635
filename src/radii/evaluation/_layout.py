"""How the files of a run are laid out, whatever they are stored in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from radii.errors import LedgerError

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
    def count(self) -> str:
        """The query for the number of rows."""
        return f"SELECT count(*) FROM {self.table}"  # noqa: S608

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


class Storable(Protocol):
    """A row."""

    @property
    def index(self) -> int:
        """Of the input in its data set."""

    def values(self) -> tuple[Any, ...]:
        """What stands under the columns."""


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
