"""The table of an attack run as a run again; `write_export` writes it, as it does certified runs.

The columns are those of the ledger, but for the perturbed inputs, which no table of text can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radii.evaluation import _exported, _stored
from radii.evaluation._exported import Exported
from radii.evaluation.attack_ledger import AttackLedger, AttackRow


class AttackExport(Exported[AttackRow]):
    """An exported attack run, opened for reading; its rows have no perturbed inputs.

    Args:
        path: The table.

    Attributes:
        path: The table.
        meta: The spec of the run, as the ledger had it.

    Raises:
        LedgerError: If there is no such file, or it is no export of a format known here.
    """

    layout = AttackLedger.layout

    def rows(self) -> Iterator[AttackRow]:
        """Every input, by index.

        Raises:
            LedgerError: If the table is damaged or cut off.
        """
        return self._read(self._row)

    @staticmethod
    def _row(values: tuple[Any, ...]) -> AttackRow:
        row = AttackRow.from_values(values)
        for name in ("l1", "l2", "linf"):
            if not row.norm(name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {row.norm(name)!r}")
        return row


Attacked = AttackLedger | AttackExport


def read_attack_export(path: Path | str) -> AttackExport:
    """The attack run in a table that `write_export` wrote."""
    return AttackExport(path)


def open_attack_run(path: Path | str) -> Attacked:
    """An attack run: an export if the file has the ending of one and is no SQLite file."""
    place = Path(path)
    return AttackExport(place) if _exported.is_export(place) else AttackLedger(place)


def is_attack_run(path: Path | str) -> bool:
    """Whether a ledger, or an export, is that of an attack.

    Raises:
        LedgerError: If the file is missing, or is neither.
    """
    place = Path(path)
    if _exported.is_export(place):
        found = _exported.header_of(place)["meta"].get("format")
    else:
        found = _stored.format_of(place)
    return str(found).startswith("radii-attack/")
