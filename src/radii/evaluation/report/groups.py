"""Runs that differ only in their seeds, as one: means and standard deviations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from radii.evaluation.metrics import mean_below
from radii.evaluation.seeds import base_of, likeness, run_of

if TYPE_CHECKING:
    from radii.evaluation.report.summary import Summary


@dataclass(frozen=True)
class Mean:
    """Of a number over runs.

    Attributes:
        value: The mean.
        deviation: Standard deviation of a run, with `runs - 1` in the denominator; None where one
            of the numbers is infinite.
    """

    value: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Of two numbers or more; the mean is rounded down."""
        if not all(map(math.isfinite, values)):
            return cls(math.inf, None)
        return cls(mean_below(values), statistics.stdev(values))

    @classmethod
    def of_shares(cls, shares: Sequence[float], examples: int) -> Mean:
        """Of shares of equally many examples: the mean is that of the counts behind them."""
        counts = [round(share * examples) for share in shares]
        mean = Fraction(sum(counts), examples * len(counts))
        return cls(float(mean), statistics.stdev(counts) / examples)


@dataclass(frozen=True)
class Group:
    """Two or more runs on the same inputs that differ only in the seeds of training and sampling.

    Attributes:
        runs: The runs.
        positions: Of the runs in their report.
        acr: Average certified radius.
        standard_accuracy: Share of inputs with the right class certified within some radius.
        abstention_rate: Share of inputs without a certified class.
        certified_accuracy: Radius and share of inputs certified right within it.
    """

    runs: tuple[Summary, ...]
    positions: tuple[int, ...]
    acr: Mean
    standard_accuracy: Mean
    abstention_rate: Mean
    certified_accuracy: tuple[tuple[float, Mean], ...]

    @classmethod
    def of(cls, runs: Sequence[Summary], positions: Sequence[int]) -> Group:
        """The group of these runs."""
        examples = runs[0].examples
        columns = zip(*(run.certified_accuracy for run in runs), strict=True)
        return cls(
            runs=tuple(runs),
            positions=tuple(positions),
            acr=Mean.of([run.acr for run in runs]),
            standard_accuracy=Mean.of_shares([r.standard_accuracy for r in runs], examples),
            abstention_rate=Mean.of_shares([r.abstention_rate for r in runs], examples),
            certified_accuracy=tuple(
                (column[0][0], Mean.of_shares([share.value for _, share in column], examples))
                for column in columns
            ),
        )

    @property
    def first(self) -> Summary:
        """One of the runs, for what they have in common."""
        return self.runs[0]

    @property
    def bases(self) -> int:
        """How many base classifiers they have; fewer than runs where one was certified twice."""
        return len({base_of(run.meta) for run in self.runs})

    @property
    def name(self) -> str:
        """The objective of the training and the noise."""
        return f"{self.first.meta['base_training']['objective']} under {self.first.noise}"


def groups_of(runs: Sequence[Summary]) -> tuple[Group, ...]:
    """The groups among runs, in the order of their first ones.

    A run of the same base classifier with the same seed as one before is that run again, and is
    not counted. Runs on different inputs, as one that is not finished, are in different groups.
    """
    alike: dict[object, dict[object, int]] = {}
    for position, run in enumerate(runs):
        key = likeness(run.meta)
        if key is not None:
            members = alike.setdefault((key, run.indices), {})
            members.setdefault(run_of(run.meta), position)
    return tuple(
        Group.of([runs[position] for position in members.values()], list(members.values()))
        for members in alike.values()
        if len(members) > 1
    )
