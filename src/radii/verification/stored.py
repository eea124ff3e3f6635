"""The rows of a run as they are stored, of which nothing is believed yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radii.errors import LedgerError
from radii.evaluation import Export, Ledger, Row
from radii.evaluation.rereading import dimension_of

COLUMNS: Mapping[str, str] = Ledger.layout.columns
_LARGEST = 2**53  # up to which floats are whole numbers
_UNREADABLE = (
    *(ArithmeticError, AttributeError, IndexError, KeyError, RecursionError),
    *(TypeError, ValueError),
)


@dataclass(frozen=True, eq=False)
class Stored:
    """A run that was read as far as it can be.

    Attributes:
        run: The ledger or export.
        cells: The values of each row, by index.
        rows: The rows that could be made of them.
        broken: A sentence for each value, or file, that could not be read.
        dim: Number of coordinates of an input, where it is known.
    """

    run: Ledger | Export
    cells: Sequence[tuple[Any, ...]]
    rows: Sequence[Row]
    broken: Sequence[str]
    dim: int | None

    @property
    def meta(self) -> Mapping[str, Any]:
        """The spec of the run."""
        return self.run.meta

    @property
    def imported(self) -> bool:
        """Whether only radii were published, and no votes."""
        return bool(self.meta.get("imported"))

    @property
    def soft(self) -> bool:
        """Whether votes are sums of scores."""
        return bool(self.meta.get("vote", "hard") == "soft")

    @property
    def stops_early(self) -> bool:
        """Whether an input may have fewer draws than n."""
        return bool(self.meta.get("stop", "never") != "never")


def read(run: Ledger | Export, dim: int | None = None) -> Stored:
    """Everything in a run; what is damaged is told, and no reason to stop.

    Args:
        run: The ledger or export.
        dim: Number of coordinates of an input, where it is known; else what the run says is taken.
    """
    cells: list[tuple[Any, ...]] = []
    rows: list[Row] = []
    broken: list[str] = []
    if isinstance(run, Ledger):
        run = run.unchecked()
    try:
        if isinstance(run, Ledger):
            cells.extend(run.cells())
        else:
            cells.extend(row.values() for row in run.rows())
    except (LedgerError, OSError, ValueError) as error:
        broken.append(str(error))
    except Exception as error:
        if type(error).__module__ != "sqlite3":
            raise
        broken.append(f"the file cannot be read to its end: {error}")
    for values in cells:
        try:
            row = Row.from_values(values)
            _check(row)
        except _UNREADABLE as error:
            broken.append(f"input {values[0]!r} cannot be read: {error}")
        else:
            rows.append(row)
    try:
        said = dimension_of(run)
        dim = said if dim is None else dim
    except TypeError:
        broken.append(
            f"input_shape must be a list of whole numbers, got {run.meta['input_shape']!r}"
        )
    return Stored(run, cells, rows, broken, dim)


def _check(row: Row) -> None:
    """Refuses values of another type than theirs."""
    whole = [row.index, row.label, row.samples]
    whole += [] if row.prediction is None else [row.prediction]
    whole += [] if row.claim is None else [row.claim.draws, row.claim.votes]
    whole += [] if row.fits is None else [*row.fits]
    for value in whole:
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
            raise ValueError(f"a whole number is wanted, got {value!r:.80}")
    votes = [*row.n0_votes.values(), *row.n_votes.values()]
    votes += [*row.n0_squares.values(), *row.n_squares.values()]
    for number in (row.radius, row.pA_lower, row.pB_upper, row.seconds, *votes):
        if not isinstance(number, (int, float)) or isinstance(number, bool) or math.isnan(number):
            raise ValueError(f"a number is wanted, got {number!r:.80}")
    if any(abs(number) > _LARGEST for number in votes):
        raise ValueError(f"votes of at most {_LARGEST:,} are wanted")
    if row.radius < 0 or not (0 <= row.pA_lower <= 1 and 0 <= row.pB_upper <= 1):
        raise ValueError(
            f"a radius of at least 0 and bounds in [0, 1] are wanted, "
            f"got {row.radius!r}, {row.pA_lower!r}, {row.pB_upper!r}"
        )
