"""The metrics of a run, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radii.evaluation.metrics import (
    Outcomes,
    Share,
    abstention_rate,
    acr_standard_error,
    average_certified_radius,
    certified_accuracy,
    check_nonempty,
    standard_accuracy,
)


@dataclass(frozen=True)
class OfClass:
    """The examples of one true class.

    Attributes:
        label: The class.
        examples: How many.
        standard_accuracy: Share of them with this class certified within some radius.
        abstention_rate: Share of them without a certified class.
        acr: Average certified radius.
        acr_se: Its standard error; None for a single example or an infinite radius.
        certified_accuracy: Radius, and share of them certified right within it.
    """

    label: int
    examples: int
    standard_accuracy: float
    abstention_rate: float
    acr: float
    acr_se: float | None
    certified_accuracy: tuple[tuple[float, Share], ...]


def per_class(outcomes: Outcomes, radii: Sequence[float]) -> tuple[OfClass, ...]:
    """The metrics of each true class that occurs, by label.

    Their mean, weighted by examples, is that of the run. With several classes, the extremes of
    such a table are more extreme than the classes are: each is an estimate.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
    """
    check_nonempty(outcomes)
    table = []
    for label in np.unique(outcomes.label).tolist():
        part = outcomes.where(outcomes.label == label)
        table.append(
            OfClass(
                label=label,
                examples=len(part),
                standard_accuracy=standard_accuracy(part),
                abstention_rate=abstention_rate(part),
                acr=average_certified_radius(part),
                acr_se=acr_standard_error(part),
                certified_accuracy=tuple(zip(radii, certified_accuracy(part, radii), strict=True)),
            )
        )
    return tuple(table)
