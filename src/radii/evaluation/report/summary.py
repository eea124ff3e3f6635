"""One certified run in numbers, before anybody decides how it looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from radii.data import Subset
from radii.evaluation.distribution import (
    Interval,
    Probabilities,
    acr_interval,
    median_radius,
    probabilities,
    radius_quantiles,
)
from radii.evaluation.export import Recorded
from radii.evaluation.metrics import (
    Outcomes,
    Share,
    abstention_rate,
    acr_standard_error,
    average_certified_radius,
    certified_accuracy,
    standard_accuracy,
)
from radii.evaluation.per_class import OfClass, per_class
from radii.evaluation.report.reading import NEEDED, CertifiedRun

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BOOTSTRAP_INPUTS = 50_000  # of all runs together: some 5 s


@dataclass(frozen=True)
class Summary:
    """One run in numbers, none of them rounded.

    Attributes:
        run: The path of the ledger, as it was given, and what it was read again with if it was.
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
        acr_interval: Bootstrap interval of the ACR at 95 %; None where it was not computed.
        unanimous: Inputs with a certified class that got every vote of the estimation.
        indices: Of the inputs in their data set, ascending.
        outcomes: The outcome of each input, in the order of `indices`.
        meta: The spec of the run, as the ledger has it.
        source: Where its rows are.
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
    acr_interval: Interval | None
    unanimous: int
    indices: tuple[int, ...] = field(repr=False)
    outcomes: Outcomes = field(repr=False, compare=False)
    meta: Mapping[str, Any] = field(repr=False)
    source: Recorded = field(repr=False, compare=False)

    @property
    def has_other_bound(self) -> bool:
        """Whether its votes could have been bounded as most papers do, and were not."""
        could = self.stop == "never" and self.meta.get("vote", "hard") == "hard"
        return could and self.bound not in ("clopper_pearson", "exact")

    @classmethod
    def of(cls, read: CertifiedRun, radii: Sequence[float], *, bootstrap: bool = True) -> Summary:
        """The summary of a run, at these radii.

        Args:
            read: The run.
            radii: Where certified accuracy is tabulated.
            bootstrap: Whether the interval of the ACR is computed, from 2,000 resamples that are
                the same each time: a second for 10,000 inputs.
        """
        meta, outcomes = read.meta, read.outcomes
        acr = average_certified_radius(outcomes)
        expected, coverage = part_of(meta)
        resampling = np.random.default_rng(0)
        return cls(
            **{key: meta[key] for key in NEEDED},
            run=read.run,
            stop=meta.get("stop", "never"),
            examples=len(outcomes),
            expected=expected,
            coverage=coverage,
            standard_accuracy=standard_accuracy(outcomes),
            abstention_rate=abstention_rate(outcomes),
            acr=acr,
            acr_se=acr_standard_error(outcomes) if math.isfinite(acr) else None,
            samples_total=outcomes.samples,
            seconds_total=outcomes.seconds,
            certified_accuracy=tuple(zip(radii, certified_accuracy(outcomes, radii), strict=True)),
            acr_interval=acr_interval(outcomes, generator=resampling) if bootstrap else None,
            unanimous=read.unanimous,
            indices=read.indices,
            outcomes=outcomes,
            meta=meta,
            source=read.source,
        )

    @property
    def median_radius(self) -> float:
        """Of all inputs, 0 for those wrong or abstained."""
        return median_radius(self.outcomes)

    @cached_property
    def radius_quantiles(self) -> tuple[tuple[float, float], ...]:
        """Shares of the inputs, and quantiles of the radius, 0 for those wrong or abstained."""
        found = radius_quantiles(self.outcomes, QUANTILES).tolist()
        return tuple(zip(QUANTILES, found, strict=True))

    @cached_property
    def probabilities(self) -> Probabilities:
        """How the bound below pA is distributed."""
        return probabilities(self.outcomes, shares=QUANTILES)

    def per_class(self, radii: Sequence[float] | None = None) -> tuple[OfClass, ...]:
        """The metrics of each true class, at these radii or those of the table."""
        if radii is None:
            radii = [radius for radius, _ in self.certified_accuracy]
        return per_class(self.outcomes, radii)

    def class_name(self, label: int) -> str:
        """The name of a class, or its number where the ledger does not name it."""
        return class_name(self.meta.get("class_names") or (), label)


def class_name(names: Sequence[str], label: int) -> str:
    """The name of a class, or its number where there is no name for it.

    A base classifier may know more classes than the data set has.
    """
    return str(names[label]) if label < len(names) else str(label)


def part_of(meta: Mapping[str, Any]) -> tuple[int | None, str]:
    """How many inputs the finished run has, and what may be concluded from them."""
    if "subset" not in meta or "data_examples" not in meta:
        return None, "unknown"
    subset, total = Subset.parse(meta["subset"]), meta["data_examples"]
    return len(subset.indices(total)), subset.describes(total)
