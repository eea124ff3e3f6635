"""Runs as they are read for a report: outcomes as arrays, rows only where they are needed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.errors import LedgerError
from radii.evaluation._checked import MOST_CLASSES
from radii.evaluation._faults import damaged, unreadable
from radii.evaluation.attack_export import Attacked, is_attack_run, open_attack_run
from radii.evaluation.attack_ledger import AttackRow
from radii.evaluation.export import Recorded, open_run
from radii.evaluation.ledger import Ledger, Row
from radii.evaluation.metrics import Outcomes
from radii.evaluation.readings import name_of
from radii.evaluation.report.attacks import NEEDED as NEEDED_OF_ATTACKS

NEEDED = ("noise", "norm", "n0", "n", "alpha", "bound", "certificate")
_INF = math.inf
_LABELS = (-1, MOST_CLASSES - 1)
_RANGES = ((0, 2**53), (0, _LABELS[1]), _LABELS, (0, _INF), (0, 1), (0, 2**53), (0, 1e300))
_WHOLE = (0, 1, 2, 5)  # of these
_ROWS = 20_000  # in memory at a time
_COLUMNS = """SELECT "index", label, coalesce(prediction, -1), radius, pA_lower, samples, seconds
              FROM inputs ORDER BY "index" """


@dataclass(frozen=True, eq=False)
class CertifiedRun:
    """A certified run.

    Attributes:
        run: The path, as it was given, and what it was read again with.
        meta: The spec of the run.
        outcomes: The outcome of each input, by index.
        indices: Of the inputs in their data set, ascending.
        unanimous: Inputs with a certified class that got every vote of the estimation.
        source: Where its rows are.
    """

    run: str
    meta: Mapping[str, Any]
    outcomes: Outcomes
    indices: tuple[int, ...] = field(repr=False)
    unanimous: int
    source: Recorded = field(repr=False)

    def rows(self) -> list[Row]:
        """Every input, without its votes."""
        return list(self.source.rows(votes=False))


@dataclass(frozen=True, eq=False)
class AttackedRun:
    """An attack run.

    Attributes:
        run: The path, as it was given.
        meta: The spec of the run.
        rows: Every attacked input, by index.
        source: Where its rows are.
    """

    run: str
    meta: Mapping[str, Any]
    rows: Sequence[AttackRow] = field(repr=False)
    source: Attacked = field(repr=False)


def read(source: Path | str | Recorded) -> CertifiedRun | AttackedRun:
    """A run of either kind, from its file or opened already.

    Raises:
        LedgerError: If the file is no run, lacks something, or holds no input yet.
    """
    if not isinstance(source, (Path, str)):
        return _certified(source.path, source)
    return _attacked(source) if is_attack_run(source) else _certified(source, open_run(source))


def _certified(path: Path | str, ledger: Recorded) -> CertifiedRun:
    run = name_of(path, ledger.meta)
    _check(run, ledger.meta, NEEDED, "radii certify")
    if isinstance(ledger, Ledger):
        ledger.check_pages()
        indices, outcomes = _columns(ledger.path)
    else:
        rows = list(ledger.rows(votes=False))
        indices, outcomes = tuple(row.index for row in rows), Outcomes.of(rows)
    _check_any(run, len(outcomes), "radii certify")
    return CertifiedRun(run, ledger.meta, outcomes, indices, ledger.unanimous(), ledger)


def _attacked(source: Path | str) -> AttackedRun:
    ledger = open_attack_run(source)
    _check(str(source), ledger.meta, NEEDED_OF_ATTACKS, "radii attack")
    rows = list(ledger.rows())
    _check_any(str(source), len(rows), "radii attack")
    return AttackedRun(str(source), ledger.meta, rows, ledger)


def _columns(path: Path) -> tuple[tuple[int, ...], Outcomes]:
    """Indices and outcomes of a ledger, without a `Row` an input on the way."""
    parts = [np.empty((0, 7))]
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            cursor = connection.execute(_COLUMNS)
            while rows := cursor.fetchmany(_ROWS):
                parts.append(np.array(rows, dtype=np.float64))
    except sqlite3.Error as error:
        raise unreadable(path, error) from None
    except (OverflowError, TypeError, ValueError) as error:
        raise damaged(path, f"a row cannot be read, {error}") from None
    table = np.concatenate(parts)
    del parts
    for column, (least, most) in enumerate(_RANGES):
        wrong = ~((table[:, column] >= least) & (table[:, column] <= most))
        if column in _WHOLE:
            wrong |= table[:, column] != np.rint(table[:, column])
        for at in np.flatnonzero(wrong)[:1]:
            name = "index label prediction radius pA_lower samples seconds".split()[column]
            raise damaged(path, f"{name} of input {table[at, 0]:.0f} is {table[at, column]!r}")

    def whole(column: int) -> npt.NDArray[np.int64]:
        return table[:, column].astype(np.int64)

    label, prediction = whole(1), whole(2)
    outcomes = Outcomes(
        correct=label == prediction,
        abstained=prediction < 0,
        radius=table[:, 3].copy(),
        pA_lower=table[:, 4].copy(),
        samples=int(whole(5).sum()),
        seconds=math.fsum(table[:, 6]),
        label=label,
    )
    return tuple(whole(0).tolist()), outcomes


def _check(run: str, meta: Mapping[str, Any], needed: Sequence[str], command: str) -> None:
    missing = [key for key in needed if key not in meta]
    if missing:
        raise LedgerError(
            f"a report needs a run of `{command}`, but the spec in {run!r} has no "
            f"{', '.join(missing)}; choose another file."
        )


def _check_any(run: str, examples: int, command: str) -> None:
    if not examples:
        raise LedgerError(
            f"a run must hold at least one input to be reported, {run!r} holds none; "
            f"run `{command}` with the same --out to go on with it."
        )
