"""What is reported of runs, before anybody decides how it looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from radii.data import Subset
from radii.errors import LedgerError
from radii.evaluation.export import Recorded, open_run
from radii.evaluation.ledger import Row
from radii.evaluation.metrics import (
    Outcomes,
    Share,
    abstention_rate,
    acr_standard_error,
    average_certified_radius,
    certified_accuracy,
    standard_accuracy,
)
from radii.evaluation.report.caveats import caveats
from radii.evaluation.report.groups import Group, groups_of

_NEEDED = ("noise", "norm", "n0", "n", "alpha", "bound", "certificate")
_STEP = 0.25
_MOST_RADII = 40


@dataclass(frozen=True)
class Summary:
    """One run in numbers, none of them rounded.

    Attributes:
        run: The path of the ledger, as it was given.
        noise: Spec of the smoothing distribution.
        norm: The norm of the radii.
        n0: Draws that selected the class of an input.
        n: Draws that bounded its probability.
        alpha: Probability that what is said of one input is wrong.
        bound: Spec of the bound.
        stop: Spec of the stopping rule.
        certificate: Name of the certificate.
        examples: Inputs in the ledger.
        expected: Inputs in the finished run; None where the ledger does not say.
        coverage: What these are of their data set: `complete`, `random`, `window` or `unknown`.
        standard_accuracy: Share of inputs with the right class certified within some radius.
        abstention_rate: Share of inputs without a certified class.
        acr: Average certified radius; infinite if one of the radii is.
        acr_se: Its standard error over the choice of inputs; None where there is none.
        samples_total: Draws, over all inputs.
        seconds_total: Wall-clock time, over all inputs.
        certified_accuracy: Radius and share of inputs certified right within it.
        unanimous: Inputs with a certified class that got every vote of the estimation.
        indices: Of the inputs in their data set, ascending.
        outcomes: The outcome of each input, in the order of `indices`.
        meta: The spec of the run, as the ledger has it.
    """

    run: str
    noise: str
    norm: str
    n0: int
    n: int
    alpha: float
    bound: str
    stop: str
    certificate: str
    examples: int
    expected: int | None
    coverage: str
    standard_accuracy: float
    abstention_rate: float
    acr: float
    acr_se: float | None
    samples_total: int
    seconds_total: float
    certified_accuracy: tuple[tuple[float, Share], ...]
    unanimous: int
    indices: tuple[int, ...] = field(repr=False)
    outcomes: Outcomes = field(repr=False, compare=False)
    meta: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, run: str, ledger: Recorded, rows: Sequence[Row], radii: Sequence[float]) -> Summary:
        """The summary of at least one row of a ledger, at these radii."""
        meta = ledger.meta
        outcomes = Outcomes.of(rows)
        acr = average_certified_radius(outcomes)
        expected, coverage = _expected(meta)
        return cls(
            **{key: meta[key] for key in _NEEDED},
            run=run,
            stop=meta.get("stop", "never"),
            examples=len(rows),
            expected=expected,
            coverage=coverage,
            standard_accuracy=standard_accuracy(outcomes),
            abstention_rate=abstention_rate(outcomes),
            acr=acr,
            acr_se=acr_standard_error(outcomes) if math.isfinite(acr) else None,
            samples_total=outcomes.samples,
            seconds_total=outcomes.seconds,
            certified_accuracy=tuple(zip(radii, certified_accuracy(outcomes, radii), strict=True)),
            unanimous=ledger.unanimous(),
            indices=tuple(row.index for row in rows),
            outcomes=outcomes,
            meta=meta,
        )


@dataclass(frozen=True)
class Report:
    """Runs side by side.

    Attributes:
        summaries: One a run, in the order given.
        radii: Where certified accuracy is tabulated, ascending.
    """

    summaries: tuple[Summary, ...]
    radii: tuple[float, ...]

    @classmethod
    def of(cls, paths: Sequence[Path | str], radii: Sequence[float] | None = None) -> Report:
        """The report of the runs in these files.

        Args:
            paths: At least one ledger, or export of one.
            radii: Where certified accuracy is tabulated. By default 0, 0.25, 0.5 and so on up to
                the largest radius of a right class in any run, in steps twice or more as wide
                where that would be more than 40 radii.

        Raises:
            LedgerError: If a file is no ledger of a certification, or holds no input yet.
        """
        if not paths:
            raise ValueError("a report needs at least one run, got none")
        read = [(str(path), *_read(path)) for path in paths]
        if radii is None:
            largest = max(_largest(rows) for _, _, rows in read)
            radii = _grid(largest)
        for radius in radii:
            if not (radius >= 0 and math.isfinite(radius)):
                raise ValueError(f"radii must be finite numbers of at least 0, got {radius!r}")
        chosen = tuple(sorted({float(radius) for radius in radii}))
        return cls(tuple(Summary.of(*each, chosen) for each in read), chosen)

    @property
    def caveats(self) -> list[str]:
        """What a reader must know before believing the numbers, in plain sentences."""
        return caveats(self.summaries)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Runs that differ only in the seeds of training and sampling."""
        return groups_of(self.summaries)

    @property
    def lines(self) -> list[Summary | Group]:
        """The groups, and the runs that are in none, in the order of the runs."""
        whole: dict[int, Group] = {group.positions[0]: group for group in self.groups}
        grouped = {position for group in self.groups for position in group.positions}
        return [
            whole.get(position, run)
            for position, run in enumerate(self.summaries)
            if position in whole or position not in grouped
        ]

    @property
    def line_of(self) -> list[int]:
        """The position in `lines` of each run, or of its group."""
        found = {}
        for line, each in enumerate(self.lines):
            for run in each.runs if isinstance(each, Group) else (each,):
                found[id(run)] = line
        return [found[id(run)] for run in self.summaries]

    @property
    def group_names(self) -> list[str]:
        """A name for each group: objective and noise, and a run where these are not enough."""
        names = [group.name for group in self.groups]
        return [
            name if names.count(name) == 1 else f"{name}, {group.first.run} and alike"
            for name, group in zip(names, self.groups, strict=True)
        ]

    @property
    def names(self) -> list[str]:
        """The shortest name for each run: its noise, or its path where the noise is not enough."""
        noises = [s.noise for s in self.summaries]
        return noises if len(set(noises)) == len(noises) else [s.run for s in self.summaries]

    @property
    def labels(self) -> list[str]:
        """A short name for each run: noise, n and alpha, and the path where these are not enough.

        Two runs have the same label only if they are the same file twice.
        """
        stops = ["" if s.stop == "never" else f", stop={s.stop}" for s in self.summaries]
        short = [
            f"{s.noise}, n={s.n:,}, alpha={s.alpha}{stop}"
            for s, stop in zip(self.summaries, stops, strict=True)
        ]
        if len(set(short)) == len(short):
            return short
        return [f"{s.run}: {label}" for s, label in zip(self.summaries, short, strict=True)]


def _read(path: Path | str) -> tuple[Recorded, list[Row]]:
    ledger = open_run(path)
    missing = [key for key in _NEEDED if key not in ledger.meta]
    if missing:
        raise LedgerError(
            f"a report needs a run of `radii certify`, but the spec in {str(path)!r} has no "
            f"{', '.join(missing)}; choose another file."
        )
    rows = list(ledger.rows(votes=False))
    if not rows:
        raise LedgerError(
            f"a run must hold at least one input to be reported, {str(path)!r} holds none; "
            f"run `radii certify` with the same --out to go on with it."
        )
    return ledger, rows


def _expected(meta: Mapping[str, Any]) -> tuple[int | None, str]:
    """How many inputs the finished run has, and what may be concluded from them."""
    if "subset" not in meta or "data_examples" not in meta:
        return None, "unknown"
    subset, total = Subset.parse(meta["subset"]), meta["data_examples"]
    return len(subset.indices(total)), subset.describes(total)


def _largest(rows: Sequence[Row]) -> float:
    """The largest finite radius of a right class, or 0."""
    radii = [row.radius for row in rows if row.prediction == row.label]
    return max(filter(math.isfinite, radii), default=0.0)


def _grid(largest: float) -> list[float]:
    step = _STEP
    while largest / step > _MOST_RADII:
        step *= 2
    return [float(r) for r in step * np.arange(max(1, math.floor(largest / step)) + 1)]
