"""The largest accuracy of any classifier at each radius."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radii.evaluation.attack_metrics import empirical_shares
from radii.evaluation.metrics import certified_shares
from radii.records import FloatArray

if TYPE_CHECKING:
    from radii.evaluation.report.report import Report


@dataclass(frozen=True, eq=False)
class Envelope:
    """Accuracies of the best classifier at each radius, chosen after looking.

    Attributes:
        radii: `(radii,)` float64.
        certified: `(radii,)` the largest certified accuracy of any run; None without such runs.
        empirical: `(radii,)` the largest accuracy under attack of any classifier, each of which is
            given the smallest that any of its attack runs leaves; None without such runs.
    """

    radii: FloatArray
    certified: FloatArray | None
    empirical: FloatArray | None


def envelope_of(report: Report, radii: Iterable[float] | None = None) -> Envelope:
    """The envelope of a report at these radii, by default those of its tables.

    Raises:
        ValueError: If the runs are about different norms.
    """
    norms = {run.norm for run in report.summaries} | {a.measured_norm for a in report.attacks}
    if len(norms) != 1:
        raise ValueError(
            f"an envelope needs runs of one norm, got {', '.join(sorted(norms))}; "
            f"report the norms one by one"
        )
    at = np.array([*(report.radii if radii is None else radii)], dtype=np.float64)
    certified = [certified_shares(run.outcomes, at) for run in report.summaries]
    worst: dict[int, FloatArray] = {}
    for line, attack in zip(report.attack_line_of, report.attacks, strict=True):
        left = empirical_shares(attack.outcomes, at, attack.measured_norm)
        worst[line] = np.minimum(worst.get(line, left), left)
    return Envelope(
        radii=at,
        certified=np.max(certified, axis=0) if certified else None,
        empirical=np.max([*worst.values()], axis=0) if worst else None,
    )
