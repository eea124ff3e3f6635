"""What an attack run shows: accuracy that is left at each radius, abstentions, norms, queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radii.evaluation.attack_ledger import AttackRow
from radii.evaluation.metrics import BoolArray, Share
from radii.records import FloatArray, IntArray

NORMS = ("l1", "l2", "linf")
_ROUNDING = 1e-3  # share by which x + delta, rounded, may leave the ball of the attack


@dataclass(frozen=True, eq=False)
class AttackOutcomes:
    """The outcome of each attacked input, as arrays.

    Attributes:
        right: `(examples,)` whether the answer at the input is the true class.
        undecided: `(examples,)` whether the smoothed classifier abstained at the input.
        broken: `(examples,)` whether a right answer became a wrong one.
        abstained: `(examples,)` whether a right answer became an abstention.
        norms: `l1`, `l2` and `linf` to `(examples,)` float64 norms of the perturbations.
        silent: The same of the shortest that led a right answer to an abstention; infinite where
            none did.
        queries: `(examples,)` int64. Questions to the model that the attack was given.
        samples: Draws spent on the predictions of all of them.
        seconds: Wall-clock time spent on all of them.
    """

    right: BoolArray
    undecided: BoolArray
    broken: BoolArray
    abstained: BoolArray
    norms: Mapping[str, FloatArray]
    silent: Mapping[str, FloatArray]
    queries: IntArray
    samples: int
    seconds: float

    @classmethod
    def of(
        cls, rows: Iterable[AttackRow], *, norm: str | None = None, epsilon: float | None = None
    ) -> AttackOutcomes:
        """The outcomes of a ledger's rows.

        Args:
            rows: The rows.
            norm: In which the attack searched.
            epsilon: Of its ball, if it has one. `x + delta` is rounded, so that norms may come out
                a little above; those within a thousandth are taken for epsilon itself.
        """
        listed = list(rows)
        norms = {n: np.array([row.norm(n) for row in listed], dtype=np.float64) for n in NORMS}
        if epsilon is not None and norm in norms:
            found = norms[norm]
            rounded = (found > epsilon) & (found <= epsilon * (1 + _ROUNDING))
            norms[norm] = np.where(rounded, epsilon, found)
        right = np.array([row.clean == row.label for row in listed], dtype=bool)
        abstained = right & np.array([row.prediction is None for row in listed], dtype=bool)
        earlier = {
            n: np.array([row.facts.get(f"abstained_{n}", np.inf) for row in listed], np.float64)
            for n in NORMS
        }
        return cls(
            right=right,
            undecided=np.array([row.clean is None for row in listed], dtype=bool),
            broken=np.array([row.success for row in listed], dtype=bool),
            abstained=abstained,
            norms=norms,
            silent={n: np.where(abstained, norms[n], earlier[n]) for n in NORMS},
            queries=np.array([row.queries for row in listed], dtype=np.int64),
            samples=sum(row.samples for row in listed),
            seconds=float(sum(row.seconds for row in listed)),
        )

    def __len__(self) -> int:
        return len(self.right)

    def lost_within(self, norm: str) -> FloatArray:
        """`(examples,)` norm at which the right answer was lost, to another class or an abstention.

        Infinite where no such perturbation was found, minus infinity where there was no right
        answer to lose.
        """
        found = np.where(self.broken, self.norms[norm], np.inf)
        return np.where(self.right, np.minimum(found, self.silent[norm]), -np.inf)


def empirical_accuracy(outcomes: AttackOutcomes, radii: Sequence[float], norm: str) -> list[Share]:
    """The share of examples still right under the attack, within each radius.

    An example counts at radius r if it is answered right as it is, and no perturbation of norm r
    or less was found that leads to anything else than its true class. Abstentions count as wrong.
    It is an upper bound of the share that is right at every point so close: another attack may find
    more.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
        norm: In which perturbations are measured: `l1`, `l2` or `linf`.
    """
    lost = _nonempty(outcomes).lost_within(norm)
    return [Share.of(lost > radius) for radius in radii]


def abstained_under_attack(
    outcomes: AttackOutcomes, radii: Sequence[float], norm: str
) -> list[Share]:
    """The share of examples on which the smoothed classifier abstains, within each radius.

    These are the ones on which it abstains as they are, and the ones answered right as they are for
    which a perturbation of norm r or less led to an abstention, and none to another class.
    """
    _nonempty(outcomes)
    at = np.where(outcomes.undecided, 0.0, outcomes.silent[norm])
    until = np.where(outcomes.broken, outcomes.norms[norm], np.inf)
    return [Share.of((at <= radius) & (until > radius)) for radius in radii]


def empirical_shares(outcomes: AttackOutcomes, radii: FloatArray, norm: str) -> FloatArray:
    """The values of `empirical_accuracy` at `radii` `(*batch,)`, without their intervals."""
    lost = np.sort(_nonempty(outcomes).lost_within(norm))
    below = np.searchsorted(lost, radii, side="right")
    return np.asarray((len(lost) - below) / len(lost), dtype=np.float64)


def clean_accuracy(outcomes: AttackOutcomes) -> float:
    """The share of examples answered right as they are."""
    return float(_nonempty(outcomes).right.mean())


def median_norm(outcomes: AttackOutcomes, norm: str) -> float | None:
    """The median norm of the perturbations that broke an answer; None if there are none."""
    found = outcomes.norms[norm][outcomes.broken]
    return float(np.median(found)) if len(found) else None


def _nonempty(outcomes: AttackOutcomes) -> AttackOutcomes:
    if not len(outcomes):
        raise ValueError("a run must hold at least one input to be summarised, got none")
    return outcomes
