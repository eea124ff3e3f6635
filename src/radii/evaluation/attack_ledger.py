"""The ledger of an attack: one SQLite file a run, with the spec of everything and a row per input.

    meta(key TEXT PRIMARY KEY, value TEXT)      value is JSON
    attacks("index" INTEGER PRIMARY KEY, label INTEGER, clean INTEGER, prediction INTEGER,
            clean_votes TEXT, votes TEXT, l1 REAL, l2 REAL, linf REAL, queries INTEGER,
            samples INTEGER, seconds REAL, facts TEXT, x BLOB, checksum TEXT)

`clean` and `prediction` are NULL where the smoothed classifier abstained. Votes are JSON objects
from class to votes, with every class that got one; `facts` is one from name to number. `x` is the
perturbed input, float32 in little-endian order, row by row in the shape `input_shape` of `meta`; it
is NULL in a run that does not keep its inputs. `checksum` is 32 hex digits over the row, its `x`
included, and the spec of the run; see `checksums.py`. The first ledgers lack it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.evaluation import _sqlite
from radii.evaluation._checked import check_row, votes_of
from radii.evaluation._faults import damaged
from radii.evaluation._layout import Layout

FORMAT = "radii-attack/1"
_LAYOUT = Layout(
    format=FORMAT,
    table="attacks",
    columns={
        "index": "INTEGER PRIMARY KEY",
        "label": "INTEGER NOT NULL",
        "clean": "INTEGER",
        "prediction": "INTEGER",
        "clean_votes": "TEXT NOT NULL",
        "votes": "TEXT NOT NULL",
        "l1": "REAL NOT NULL",
        "l2": "REAL NOT NULL",
        "linf": "REAL NOT NULL",
        "queries": "INTEGER NOT NULL",
        "samples": "INTEGER NOT NULL",
        "seconds": "REAL NOT NULL",
        "facts": "TEXT NOT NULL",
        "x": "BLOB",
        "checksum": "TEXT",
    },
    added=("checksum",),
)
_COLUMNS = tuple(_LAYOUT.columns)
_X = _COLUMNS.index("x")
_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True)
class AttackRow:
    """One input of an attack run; two are equal if all but `x` is.

    Attributes:
        index: Of the input in its data set.
        label: The true class, from which the attack drives away.
        clean: What the smoothed classifier answers at the input, or None where it abstains.
        prediction: What it answers at the perturbed input, or None where it abstains.
        clean_votes: Class to votes, at the input.
        votes: The same at the perturbed input.
        l1: The l1 norm of the perturbation, in input units.
        l2: Its l2 norm.
        linf: Its linf norm.
        queries: How often the attack asked its model about this input.
        samples: Draws spent on the predictions, before and after.
        seconds: Wall-clock time; inputs attacked together share it alike.
        facts: What else the attack has to say: name to number.
        x: `(*shape)` float32. The perturbed input; None if it was not kept, or not read.
    """

    index: int
    label: int
    clean: int | None
    prediction: int | None
    clean_votes: Mapping[int, int]
    votes: Mapping[int, int]
    l1: float
    l2: float
    linf: float
    queries: int
    samples: int
    seconds: float
    facts: Mapping[str, float] = field(default_factory=dict)
    x: npt.NDArray[np.float32] | None = field(default=None, compare=False)

    @property
    def success(self) -> bool:
        """Whether a right answer became a wrong one; abstaining is none."""
        return self.clean == self.label and self.prediction not in (None, self.label)

    def norm(self, name: str) -> float:
        """The norm of the perturbation: `l1`, `l2` or `linf`.

        Raises:
            ValueError: If it is not stored.
        """
        norms = {"l1": self.l1, "l2": self.l2, "linf": self.linf}
        if name not in norms:
            raise ValueError(f"norm must be one of {', '.join(norms)}, got {name!r}")
        return norms[name]

    @classmethod
    def from_values(cls, values: Sequence[Any], shape: Sequence[int] | None = None) -> AttackRow:
        """The row whose `values()` these are.

        Args:
            values: The last of them, `x` and the checksum, may be missing; without, or with None
                for `x`, the row has none.
            shape: Of one input; needed where there is an `x`.

        Raises:
            ValueError: If one of them cannot stand there.
            TypeError: The same.
        """
        check_row(_COLUMNS, values)
        clean_votes, votes = (votes_of(text) for text in values[4:6])
        if not all(
            isinstance(count, int) for each in (clean_votes, votes) for count in each.values()
        ):
            raise ValueError(f"votes must be whole numbers, got {values[4]!r} and {values[5]!r}")
        blob = values[_X] if len(values) > _X else None
        x = None
        if blob is not None:
            if shape is None:
                raise ValueError("its spec must have input_shape, as it has inputs")
            x = np.frombuffer(blob, _FLOAT32).astype(np.float32).reshape(shape)
        facts = json.loads(values[12])
        if not (
            isinstance(facts, dict)
            and all(type(fact) in (int, float) and math.isfinite(fact) for fact in facts.values())
        ):
            raise ValueError("facts must be a JSON object from names to finite numbers")
        return cls(*[*values[:4], clean_votes, votes, *values[6:12], facts, x])

    def values(self) -> tuple[Any, ...]:
        """What stands in the table: numbers, None, JSON texts, bytes of `x`; no checksum yet."""
        return (
            *(self.index, self.label, self.clean, self.prediction),
            *(json.dumps(dict(votes)) for votes in (self.clean_votes, self.votes)),
            *(self.l1, self.l2, self.linf, self.queries, self.samples, self.seconds),
            json.dumps(dict(self.facts), allow_nan=False),
            None if self.x is None else self.x.astype(_FLOAT32).tobytes(),
            None,
        )


class AttackLedger(_sqlite.Reader):
    """An attack run, opened for reading; another process may be writing it.

    Args:
        path: The file.

    Attributes:
        path: The file.
        meta: The spec of the run: `format`, `attack`, `base`, `noise` and so on.

    Raises:
        LedgerError: If there is no such file, or it is no ledger of a format known here.
    """

    layout = _LAYOUT

    def rows(self, *, inputs: bool = False) -> Iterator[AttackRow]:
        """Every input so far, by index.

        Args:
            inputs: Whether the rows have the perturbed inputs.

        Raises:
            LedgerError: If the file is damaged, or a row does not fit its checksum.
        """
        for values in self._rows():
            yield self._row_of(values if inputs else values[:_X])

    def row(self, index: int) -> AttackRow:
        """One input, with what it was perturbed to if that was kept.

        Raises:
            KeyError: If it is not in the ledger.
        """
        return self._row_of(self._values(index))

    def _row_of(self, values: Sequence[Any]) -> AttackRow:
        try:
            return AttackRow.from_values(values, self.meta.get("input_shape"))
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise damaged(self.path, f"input {values[0]!r} cannot be read, {error}") from None


class AttackLedgerWriter(_sqlite.Writer[AttackRow]):
    """An attack run, opened for writing; see `LedgerWriter`, which does the same for a run."""

    layout = _LAYOUT
