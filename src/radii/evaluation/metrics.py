"""What a run shows: certified accuracy by radius, average certified radius, abstention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radii.bounds.clopper_pearson import ClopperPearson
from radii.evaluation.ledger import Row
from radii.records import FloatArray

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcome of each input, as arrays; abstaining and being wrong both count as not correct.

    Attributes:
        correct: `(examples,)` whether the certified class is the true one.
        abstained: `(examples,)` whether no class was certified.
        radius: `(examples,)` float64. Certified radius of the class certified, right or wrong.
        pA_lower: `(examples,)` float64.
        samples: Draws spent on all of them.
        seconds: Wall-clock time spent on all of them.
    """

    correct: BoolArray
    abstained: BoolArray
    radius: FloatArray
    pA_lower: FloatArray
    samples: int
    seconds: float

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Outcomes:
        """The outcomes of a ledger's rows."""
        listed = [
            (
                r.prediction == r.label,
                r.prediction is None,
                r.radius,
                r.pA_lower,
                r.samples,
                r.seconds,
            )
            for r in rows
        ]
        correct, abstained, radius, pA_lower, samples, seconds = (
            zip(*listed, strict=True) if listed else ((),) * 6
        )
        return cls(
            correct=np.array(correct, dtype=bool),
            abstained=np.array(abstained, dtype=bool),
            radius=np.array(radius, dtype=np.float64),
            pA_lower=np.array(pA_lower, dtype=np.float64),
            samples=sum(samples),
            seconds=float(sum(seconds)),
        )

    def __len__(self) -> int:
        return len(self.correct)

    @property
    def correct_radius(self) -> FloatArray:
        """`(examples,)` certified radius where the class is the true one, else 0."""
        return np.where(self.correct, self.radius, 0.0)


@dataclass(frozen=True)
class Share:
    """A share of the examples, with its 95 % Clopper-Pearson interval.

    Attributes:
        value: The share itself.
        lower: Lower end of the interval.
        upper: Upper end of the interval.
    """

    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, hits: BoolArray) -> Share:
        """The share of `hits` `(examples,)` that are true."""
        k, n = np.array(np.count_nonzero(hits)), len(hits)
        tail = 0.05 / 2  # two sides share what the interval may miss
        bound = ClopperPearson()
        return cls(float(k / n), float(bound.lower(k, n, tail)), float(bound.upper(k, n, tail)))


def certified_accuracy(outcomes: Outcomes, radii: Sequence[float]) -> list[Share]:
    """The share of examples whose true class is certified within each radius.

    An example counts at radius r if its class is right and its certified radius is at least r: no
    point closer than r is answered otherwise.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
    """
    _nonempty(outcomes)
    return [Share.of(outcomes.correct & (outcomes.radius >= radius)) for radius in radii]


def certified_shares(outcomes: Outcomes, radii: FloatArray) -> FloatArray:
    """The values of `certified_accuracy` at `radii` `(*batch,)`, without their intervals."""
    _nonempty(outcomes)
    certified = np.sort(outcomes.radius[outcomes.correct])
    below = np.searchsorted(certified, radii, side="left")
    return np.asarray((len(certified) - below) / len(outcomes), dtype=np.float64)


def standard_accuracy(outcomes: Outcomes) -> float:
    """The share of examples whose true class is certified within some radius."""
    _nonempty(outcomes)
    return float(outcomes.correct.mean())


def abstention_rate(outcomes: Outcomes) -> float:
    """The share of examples for which no class is certified."""
    _nonempty(outcomes)
    return float(outcomes.abstained.mean())


def average_certified_radius(outcomes: Outcomes) -> float:
    """ACR: the mean radius over all examples, 0 for those wrong or abstained.

    It equals the area under the curve of certified accuracy, and grows with n for easy inputs:
    compare at equal n only.

    Reference:
        Zhai et al. 2020, arXiv:2001.02378, section 5.
    """
    _nonempty(outcomes)
    return float(outcomes.correct_radius.mean())


def acr_standard_error(outcomes: Outcomes) -> float | None:
    """Standard error of the ACR over the choice of examples; None for a single example."""
    _nonempty(outcomes)
    if len(outcomes) == 1:
        return None
    return float(outcomes.correct_radius.std(ddof=1) / np.sqrt(len(outcomes)))


def _nonempty(outcomes: Outcomes) -> None:
    if not len(outcomes):
        raise ValueError("a run must hold at least one input to be summarised, got none")
