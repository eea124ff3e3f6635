"""The rows of a ledger as a table that other programs read, and such a table as a run again.

The columns are those of the ledger. What defines the run, its `meta`, goes along: in Parquet in the
metadata of the schema, under `radii`; for CSV and TSV in a file beside it, `FILE.meta.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radii.errors import LedgerError
from radii.evaluation import _parquet, _text_table
from radii.evaluation.ledger import FORMAT, Ledger, Row, check_format, may_be_sqlite
from radii.models.checkpoint import replace_file

EXPORT_FORMAT = "radii-export/1"
ENDINGS = (*_text_table.DELIMITERS, ".parquet")


class Export:
    """An exported run, opened for reading.

    Args:
        path: The table.

    Attributes:
        path: The table.
        meta: The spec of the run, as the ledger had it.

    Raises:
        LedgerError: If there is no such file, or it is no export of a format known here.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._ending = ending_of(self.path)
        if not self.path.is_file():
            raise LedgerError(f"no run at {str(path)!r}; write one with `radii export`.")
        header = self._header()
        check_format(self.path, "export", header.get("format"), EXPORT_FORMAT)
        self.meta: dict[str, Any] = header["meta"]
        check_format(self.path, "ledger", self.meta.get("format"), FORMAT)
        self._count: int | None = header.get("rows")

    def __len__(self) -> int:
        return sum(1 for _ in self.rows(votes=False))

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input, by index.

        Args:
            votes: Whether to read votes and claims too; without, the rows have none.

        Raises:
            LedgerError: If the table is damaged or cut off.
        """
        count, before = 0, -1
        try:
            for values in self._values():
                row = Row.from_values(values if votes else [*values[:6], "{}", "{}", *values[8:10]])
                if not row.radius >= 0:
                    raise ValueError(f"radius must be at least 0, got {row.radius!r}")
                if row.index <= before:
                    raise ValueError(f"index must be above the one before, got {row.index!r}")
                count, before = count + 1, row.index
                yield row
        except (AttributeError, OSError, TypeError, ValueError) as error:
            raise LedgerError(
                f"row {count + 1} of {str(self.path)!r} cannot be read: {error}; "
                f"export the run again."
            ) from error
        if self._count not in (None, count):
            raise LedgerError(
                f"{str(self.path)!r} must have {self._count:,} rows, as its spec says, "
                f"got {count:,}; export the run again."
            )

    def row(self, index: int) -> Row:
        """One input.

        Raises:
            KeyError: If it is not in the table.
        """
        for row in self.rows():
            if row.index == index:
                return row
        raise KeyError(index)

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""
        return sum(
            list(row.n_votes) == [row.prediction] and not row.n_squares for row in self.rows()
        )

    def _values(self) -> Iterator[tuple[Any, ...]]:
        if self._ending == ".parquet":
            return _parquet.read(self.path)
        return _text_table.read(self.path, _text_table.DELIMITERS[self._ending])

    def _header(self) -> dict[str, Any]:
        try:
            if self._ending == ".parquet":
                text = _parquet.header_of(self.path)
            else:
                text = beside(self.path).read_text("utf-8")
            header = json.loads(text or "")
        except FileNotFoundError:
            raise LedgerError(
                f"{str(self.path)!r} lacks its spec, the file {beside(self.path).name!r} beside "
                f"it; copy both, or export the run again."
            ) from None
        except (OSError, ValueError) as error:
            raise _no_export(self.path) from error
        if not (isinstance(header, dict) and isinstance(header.get("meta"), dict)):
            raise _no_export(self.path)
        return header


Recorded = Ledger | Export


def read_export(path: Path | str) -> Export:
    """The run in a table that `write_export` wrote."""
    return Export(path)


def open_run(path: Path | str) -> Recorded:
    """A run: an export if the file has the ending of one and is no SQLite file, else a ledger."""
    place = Path(path)
    sqlite = place.is_file() and place.stat().st_size > 0 and may_be_sqlite(place)
    return Export(place) if place.suffix.lower() in ENDINGS and not sqlite else Ledger(place)


def write_export(run: Recorded, path: Path) -> None:
    """Writes a run as CSV, TSV or Parquet, as the ending says; files appear whole or not at all.

    Args:
        run: What is exported; all that is there of it.
        path: The table; its folder is made if it is missing.

    Raises:
        ValueError: If the ending is another, or the file is the one that holds the run.
        LedgerError: If Parquet is asked for and not installed.
    """
    ending = ending_of(path)
    if path.exists() and path.samefile(run.path):
        raise ValueError(f"an export must be another file than the run, got {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (row.values() for row in run.rows())
    header: dict[str, Any] = {"format": EXPORT_FORMAT, "meta": run.meta}
    if ending == ".parquet":
        with _whole(path) as temporary:
            _parquet.write(rows, json.dumps(header), temporary)
        return
    beside(path).unlink(missing_ok=True)  # a kill must not leave it beside another table
    with _whole(path) as temporary:
        header["rows"] = _text_table.write(rows, temporary, _text_table.DELIMITERS[ending])
    replace_file(beside(path), f"{json.dumps(header, indent=2)}\n".encode())


def csv_lines(run: Recorded) -> Iterator[str]:
    """The lines of a run's CSV, ends of line included."""
    return _text_table.lines(row.values() for row in run.rows())


def beside(path: Path) -> Path:
    """Where the spec of a CSV or TSV stands."""
    return path.with_name(f"{path.name}.meta.json")


def ending_of(path: Path) -> str:
    """The format of an export.

    Raises:
        ValueError: If the file has another ending.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"an export must end in {', '.join(ENDINGS)}, got {str(path)!r}")
    return ending


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` if all goes well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _no_export(path: Path) -> LedgerError:
    return LedgerError(f"{str(path)!r} is not an export of radii; write one with `radii export`.")
