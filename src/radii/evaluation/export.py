"""The rows of a ledger as a table that other programs read, and such a table as a run again.

The columns are those of the ledger. What defines the run, its `meta`, goes along: in Parquet in the
metadata of the schema, under `radii`; for CSV and TSV in a file beside it, `FILE.meta.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from radii.evaluation import _exported
from radii.evaluation._exported import ENDINGS as ENDINGS
from radii.evaluation._exported import Exported, Tabular
from radii.evaluation._exported import beside as beside
from radii.evaluation._exported import ending_of as ending_of
from radii.evaluation._exported import holds_run as holds_run
from radii.evaluation._layout import Layout
from radii.evaluation.attack_ledger import AttackLedger
from radii.evaluation.ledger import Ledger, Row

_LAYOUTS = {kind.layout.format: kind.layout for kind in (Ledger, AttackLedger)}


class Recorded(Protocol):
    """A run that was certified: its ledger, an export of it, or a reading through other eyes."""

    @property
    def path(self) -> Path:
        """The file that holds the votes."""

    @property
    def meta(self) -> dict[str, Any]:
        """The spec of the run."""

    def __len__(self) -> int: ...

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input, by index; votes and claims may be left out."""

    def row(self, index: int) -> Row:
        """One input."""

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""


class Export(Exported[Row]):
    """An exported run, opened for reading.

    Args:
        path: The table.

    Attributes:
        path: The table.
        meta: The spec of the run, as the ledger had it.

    Raises:
        LedgerError: If there is no such file, or it is no export of a format known here.
    """

    layout = Ledger.layout

    def __len__(self) -> int:
        return sum(1 for _ in self.rows(votes=False))

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input, by index.

        Args:
            votes: Whether to read votes, claims and fits too; without, the rows have none.

        Raises:
            LedgerError: If the table is damaged or cut off.
        """
        return self._read(self._row if votes else self._without_votes)

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""
        return sum(
            list(row.n_votes) == [row.prediction] and not row.n_squares for row in self.rows()
        )

    @staticmethod
    def _row(values: tuple[Any, ...]) -> Row:
        row = Row.from_values(values)
        if not row.radius >= 0:
            raise ValueError(f"radius must be at least 0, got {row.radius!r}")
        return row

    @classmethod
    def _without_votes(cls, values: tuple[Any, ...]) -> Row:
        return cls._row((*values[:6], "{}", "{}", *values[8:10]))


def read_export(path: Path | str) -> Export:
    """The run in a table that `write_export` wrote."""
    return Export(path)


def open_run(path: Path | str) -> Ledger | Export:
    """A run: an export if the file has the ending of one and is no SQLite file, else a ledger."""
    place = Path(path)
    return Export(place) if _exported.is_export(place) else Ledger(place)


def write_export(run: Tabular, path: Path) -> None:
    """Writes a run as CSV, TSV or Parquet, as the ending says; files appear whole or not at all.

    Args:
        run: What is exported, certified or attacked; all that is there of it, but for the perturbed
            inputs of an attack.
        path: The table; its folder is made if it is missing.

    Raises:
        ValueError: If the ending is another, or the file is the one that holds the run.
        LedgerError: If Parquet is asked for and not installed.
    """
    _exported.write(_layout_of(run), run, path)


def csv_lines(run: Tabular) -> Iterator[str]:
    """The lines of a run's CSV, ends of line included."""
    return _exported.lines(_layout_of(run), run)


def _layout_of(run: Tabular) -> Layout:
    return _LAYOUTS[run.meta["format"]]
