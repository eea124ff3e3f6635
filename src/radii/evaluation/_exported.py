"""A run as a table in a file, whatever kind of run it is: written whole, and read with care.

What defines the run, its `meta`, goes along: in Parquet in the metadata of the schema, under
`radii`; for CSV and TSV in a file beside it, `FILE.meta.json`.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from radii.errors import LedgerError
from radii.evaluation import _parquet, _text_table
from radii.evaluation._checked import check_spec
from radii.evaluation._faults import damaged
from radii.evaluation._layout import Layout, Storable, check_format
from radii.evaluation._stored import may_be_sqlite
from radii.evaluation._table import Table
from radii.models.checkpoint import sync_folder

EXPORT_FORMAT = "radii-export/1"
ENDINGS = (*_text_table.DELIMITERS, ".parquet")
R = TypeVar("R", bound=Storable)


class Tabular(Protocol):
    """What can be exported: a ledger of any kind, an export, or a run read again."""

    @property
    def path(self) -> Path:
        """The file that holds it."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """The spec of the run."""

    def rows(self) -> Iterator[Storable]:
        """Every input, by index."""


class Exported(ABC, Generic[R]):
    """An exported run, opened for reading.

    Args:
        path: The table.

    Attributes:
        path: The table.
        meta: The spec of the run, as the ledger had it.

    Raises:
        LedgerError: If there is no such file, or it is no export of a format known here.
    """

    layout: ClassVar[Layout]

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header = header_of(self.path)
        self.meta: dict[str, Any] = header["meta"]
        check_format(self.path, "ledger", self.meta.get("format"), self.layout.format)
        try:
            check_spec(self.meta)
        except ValueError as error:
            raise damaged(self.path, str(error)) from None
        self._count: int | None = header.get("rows")

    def __len__(self) -> int:
        return sum(1 for _ in self._read(self._row))

    def row(self, index: int) -> R:
        """One input.

        Raises:
            KeyError: If it is not in the table.
        """
        for row in self._read(self._row):
            if row.index == index:
                return row
        raise KeyError(index)

    @staticmethod
    @abstractmethod
    def _row(values: tuple[Any, ...]) -> R:
        """The row with these cells.

        Raises:
            ValueError: If it cannot be one.
        """

    def _read(self, make: Callable[[tuple[Any, ...]], R]) -> Iterator[R]:
        """What `make` gives for each row, by index.

        Raises:
            LedgerError: If the table is damaged or cut off.
        """
        count, before = 0, -1
        try:
            for values in self._values():
                row = make(values)
                if row.index <= before:
                    raise ValueError(f"index must be above the one before, got {row.index!r}")
                count, before = count + 1, row.index
                yield row
        except (
            *(AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError),
            *(MemoryError, OverflowError, NotImplementedError),
        ) as error:
            why = " ".join(str(error).split())[:200]
            raise LedgerError(
                f"row {count + 1} of {str(self.path)!r} cannot be read: {why}; "
                f"export the run again."
            ) from error
        if self._count not in (None, count):
            raise LedgerError(
                f"{str(self.path)!r} must have {self._count:,} rows, as its spec says, "
                f"got {count:,}; export the run again."
            )

    def _values(self) -> Iterator[tuple[Any, ...]]:
        table, ending = Table.of(self.layout), ending_of(self.path)
        if ending == ".parquet":
            return _parquet.read(table, self.path)
        return _text_table.read(table, self.path, _text_table.DELIMITERS[ending])


def write(layout: Layout, run: Tabular, path: Path) -> None:
    """Writes a run as CSV, TSV or Parquet, as the ending says; files appear whole or not at all.

    Args:
        layout: Of the run's ledger.
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
    table, rows = Table.of(layout), cells(layout, run)
    header: dict[str, Any] = {"format": EXPORT_FORMAT, "meta": run.meta}
    if ending == ".parquet":
        with _whole(path) as temporary:
            _parquet.write(table, rows, json.dumps(header), temporary)
        return
    mark = _text_table.DELIMITERS[ending]
    # A kill must not leave one run's spec beside another's table: the old one is gone between them.
    with _whole(beside(path)) as spec, _whole(path, outdated=beside(path)) as temporary:
        header["rows"] = _text_table.write(table, rows, temporary, mark)
        spec.write_text(f"{json.dumps(header, indent=2)}\n", "utf-8")


def lines(layout: Layout, run: Tabular) -> Iterator[str]:
    """The lines of a run's CSV, ends of line included."""
    return _text_table.lines(Table.of(layout), cells(layout, run))


def cells(layout: Layout, run: Tabular) -> Iterator[tuple[Any, ...]]:
    """What stands under the columns of the table, a tuple a row."""
    width = len(Table.of(layout).columns)
    return (row.values()[:width] for row in run.rows())


def header_of(path: Path) -> dict[str, Any]:
    """What an export says of itself; its `meta` is the spec of the run.

    Raises:
        ValueError: If the file has another ending.
        LedgerError: If there is no such file, or it is no export of the format known here.
    """
    ending = ending_of(path)
    if not path.is_file():
        raise LedgerError(f"no run at {str(path)!r}; write one with `radii export`.")
    try:
        if ending == ".parquet":
            text = _parquet.header_of(path)
        else:
            text = beside(path).read_text("utf-8")
        header = json.loads(text or "")
    except FileNotFoundError:
        raise LedgerError(
            f"{str(path)!r} lacks its spec, the file {beside(path).name!r} beside "
            f"it; copy both, or export the run again."
        ) from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise _no_export(path) from error
    if not (isinstance(header, dict) and isinstance(header.get("meta"), dict)):
        raise _no_export(path)
    if type(header.get("rows", 0)) is not int:
        raise _no_export(path)
    check_format(path, "export", header.get("format"), EXPORT_FORMAT)
    return header


def is_export(path: Path) -> bool:
    """Whether a file is to be read as an export: by its ending, unless it is a SQLite file."""
    sqlite = path.is_file() and path.stat().st_size > 0 and may_be_sqlite(path)
    return path.suffix.lower() in ENDINGS and not sqlite


def holds_run(path: Path) -> bool:
    """Whether a file is a ledger of either kind or an export, and so is not to be written over."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    if not is_export(path):
        return may_be_sqlite(path)
    try:
        header_of(path)
    except LedgerError:
        return False
    return True


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
def _whole(path: Path, *, outdated: Path | None = None) -> Iterator[Path]:
    """A file to write, which takes the place of `path` if all goes well.

    Args:
        path: The file.
        outdated: Another file, which is removed before that, and stays if something goes wrong.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if outdated is not None:
            outdated.unlink(missing_ok=True)
            sync_folder(path.parent)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _no_export(path: Path) -> LedgerError:
    return LedgerError(f"{str(path)!r} is not an export of radii; write one with `radii export`.")
