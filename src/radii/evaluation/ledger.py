"""The ledger: one SQLite file a run, with the spec of everything and a row per input.

    meta(key TEXT PRIMARY KEY, value TEXT)      value is JSON
    inputs("index" INTEGER PRIMARY KEY, label INTEGER, prediction INTEGER, radius REAL,
           pA_lower REAL, pB_upper REAL, n0_votes TEXT, n_votes TEXT, samples INTEGER, seconds REAL,
           claim TEXT, fits TEXT, checksum TEXT)

`prediction` is NULL where the run abstained. `n0_votes` and `n_votes` are JSON objects from class
to votes, with every class that got one. In a run with soft votes a class has the pair of the sum of
its scores and the sum of their squares. `n0_votes` is empty where the noise was enumerated. `claim`
is the JSON pair of draws and votes at the look that gave `pA_lower`, in a run that stops early, and
otherwise NULL. `fits` is the JSON pair of the least and the most votes for the class selected that
fit what was published, in a run that was imported and so has no `n_votes`. `checksum` is 32 hex
digits over the row and the spec of the run; see `checksums.py`. The first ledgers lack the last
three columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radii.evaluation import _sqlite
from radii.evaluation._checked import check_row, pair_of, votes_of
from radii.evaluation._faults import damaged
from radii.evaluation._layout import Layout
from radii.records import Certification, Claim, SoftVotes, Votes

FORMAT = "radii-ledger/1"
_LAYOUT = Layout(
    format=FORMAT,
    table="inputs",
    columns={
        "index": "INTEGER PRIMARY KEY",
        "label": "INTEGER NOT NULL",
        "prediction": "INTEGER",
        "radius": "REAL NOT NULL",
        "pA_lower": "REAL NOT NULL",
        "pB_upper": "REAL NOT NULL",
        "n0_votes": "TEXT NOT NULL",
        "n_votes": "TEXT NOT NULL",
        "samples": "INTEGER NOT NULL",
        "seconds": "REAL NOT NULL",
        "claim": "TEXT",
        "fits": "TEXT",
        "checksum": "TEXT",
    },
    since_then={"vote": "hard", "stop": "never", "compile": "off"},
    added=("claim", "fits", "checksum"),
)
COLUMNS = tuple(_LAYOUT.columns)

_WITHOUT_VOTES = (
    "\"index\", label, prediction, radius, pA_lower, pB_upper, '{}', '{}', samples, seconds"
)


@dataclass(frozen=True)
class Row:
    """One input of a run.

    Attributes:
        index: Of the input in its data set.
        label: The true class.
        prediction: The class certified, or None where the run abstained.
        radius: Certified radius in input units, unrounded; 0 where it abstained.
        pA_lower: Bound below the probability of the class selected.
        pB_upper: Bound above the probability of every other class.
        n0_votes: Class to votes, of the draws that selected the class; soft votes are the sum of
            the scores of a class.
        n_votes: Class to votes, of the draws that bounded its probability.
        samples: Draws spent on this input.
        seconds: Wall-clock time spent on it.
        n0_squares: Class to the sum of squared scores behind `n0_votes`; empty for hard votes.
        n_squares: The same behind `n_votes`.
        claim: The look that gave `pA_lower`; None in a run that does not stop early.
        fits: In a run that was imported, the least and the most votes for the class selected that
            fit what was published; else None.
        checksum: As it was read; the ledger that stores a row gives it its own.
    """

    index: int
    label: int
    prediction: int | None
    radius: float
    pA_lower: float
    pB_upper: float
    n0_votes: Mapping[int, float]
    n_votes: Mapping[int, float]
    samples: int
    seconds: float
    n0_squares: Mapping[int, float] = field(default_factory=dict)
    n_squares: Mapping[int, float] = field(default_factory=dict)
    claim: Claim | None = None
    fits: tuple[int, int] | None = None
    checksum: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, index: int, label: int, result: Certification, seconds: float) -> Row:
        """The row that stores a certification."""
        return cls(
            index=index,
            label=label,
            prediction=result.prediction,
            radius=result.radius,
            pA_lower=result.pA_lower,
            pB_upper=result.pB_upper,
            n0_votes=_votes(result.selection),
            n_votes=_votes(result.estimation),
            samples=sum(int(votes.n) for votes in (result.selection, result.estimation) if votes),
            seconds=seconds,
            n0_squares=_squares(result.selection),
            n_squares=_squares(result.estimation),
            claim=result.claim,
        )

    @classmethod
    def from_values(cls, values: Sequence[Any]) -> Row:
        """The row whose `values()` these are; older ledgers leave the last of them out.

        Raises:
            ValueError: If one of them cannot stand there.
            TypeError: The same.
        """
        check_row(COLUMNS, values)
        found = [votes_of(text) for text in values[6:8]]
        sums = [{k: v[0] if isinstance(v, list) else v for k, v in each.items()} for each in found]
        squares = [{k: v[1] for k, v in each.items() if isinstance(v, list)} for each in found]
        look = pair_of("claim", values[10]) if len(values) > 10 else None
        claim = None if look is None else Claim(*look)
        fits = pair_of("fits", values[11]) if len(values) > 11 else None
        checksum = values[12] if len(values) > 12 else None
        return cls(*[*values[:6], *sums, *values[8:10], *squares, claim, fits, checksum])

    def values(self) -> tuple[Any, ...]:
        """What stands under `COLUMNS`: numbers, None, JSON texts of votes, claim and fits."""
        assert not math.isnan(self.radius)
        return (
            self.index,
            self.label,
            self.prediction,
            self.radius,
            self.pA_lower,
            self.pB_upper,
            _paired(self.n0_votes, self.n0_squares),
            _paired(self.n_votes, self.n_squares),
            self.samples,
            self.seconds,
            None if self.claim is None else json.dumps([self.claim.draws, self.claim.votes]),
            None if self.fits is None else f"[{self.fits[0]}, {self.fits[1]}]",
            self.checksum,
        )


class Ledger(_sqlite.Reader):
    """A run, opened for reading; another process may be writing it.

    Args:
        path: The file.

    Attributes:
        path: The file.
        meta: The spec of the run: `format`, `base`, `noise`, `plan` and so on.

    Raises:
        LedgerError: If there is no such file, or it is no ledger of a format known here.
    """

    layout = _LAYOUT

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input so far, by index.

        Args:
            votes: Whether to read votes, claims and fits too. With very many classes they take most
                of the time and memory; without, the rows have none, and no checksum is compared.

        Raises:
            LedgerError: If the file is damaged, or a row does not fit its checksum.
        """
        for values in self._rows("*" if votes else _WITHOUT_VOTES):
            yield self._row_of(values)

    def row(self, index: int) -> Row:
        """One input.

        Raises:
            KeyError: If it is not in the ledger.
        """
        return self._row_of(self._values(index))

    def _row_of(self, values: Sequence[Any]) -> Row:
        try:
            return Row.from_values(values)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise damaged(self.path, f"input {values[0]!r} cannot be read, {error}") from None

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""
        with self._reading() as connection:
            (count,) = connection.execute(
                """SELECT count(*) FROM inputs WHERE instr(n_votes, ',') = 0
                   AND n_votes LIKE '{"' || prediction || '":%'"""
            ).fetchone()
            return int(count)


class LedgerWriter(_sqlite.Writer[Row]):
    """A run, opened for writing by one process at a time; a context manager.

    A new file is made with `spec`; an existing one is continued if its spec is the same.

    Args:
        path: The file.
        spec: What defines the run; compared key by key when the run is resumed.
        notes: What is recorded once, when the file is made, and may differ when it is resumed.

    Attributes:
        done: Indices of the inputs that are in the ledger already.

    Raises:
        LedgerError: If the file holds a run of another spec, is no ledger, or is being written.
    """

    layout = _LAYOUT


def _votes(votes: Votes | None) -> dict[int, float]:
    if isinstance(votes, SoftVotes):
        return {label: float(votes.sums[label]) for label in np.flatnonzero(votes.sums).tolist()}
    if votes is None:
        return {}
    return {label: int(votes.votes[label]) for label in np.flatnonzero(votes.votes).tolist()}


def _squares(votes: Votes | None) -> dict[int, float]:
    if not isinstance(votes, SoftVotes):
        return {}
    return {label: float(votes.squares[label]) for label in np.flatnonzero(votes.sums).tolist()}


def _paired(sums: Mapping[int, float], squares: Mapping[int, float]) -> str:
    """JSON of votes, with the squares beside them if they are soft."""
    if not sums:
        return "{}"
    return json.dumps({k: [v, squares[k]] for k, v in sums.items()} if squares else dict(sums))
