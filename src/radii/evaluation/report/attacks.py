"""What is reported of attack runs, and how they are paired with certified ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from radii.attacks import ATTACKS, Attack
from radii.errors import RadiiError
from radii.evaluation.attack_ledger import AttackRow
from radii.evaluation.attack_metrics import (
    NORMS,
    AttackOutcomes,
    abstained_under_attack,
    clean_accuracy,
    empirical_accuracy,
    median_norm,
)
from radii.evaluation.audit import Audit, audit, classifier_of, why_not
from radii.evaluation.metrics import Share

if TYPE_CHECKING:
    from radii.evaluation.report.reading import AttackedRun, CertifiedRun

NEEDED = ("attack", "norm", "noise", "n", "alpha")


@dataclass(frozen=True)
class AttackSummary:
    """One attack run in numbers, none of them rounded.

    Attributes:
        run: The path of the ledger, as it was given.
        attack: Spec of the attack.
        norm: In which it searched.
        measured_norm: In which perturbations are reported: that of the certified runs beside it.
        epsilon: The largest norm it was allowed; None where it had no bound or does not say.
        steps: Of its search; None where it has none or does not say.
        minimal: Whether it looked for the smallest perturbation.
        estimator: How the model that it attacked averages over noise; None where the attack draws
            noise itself, or does not say.
        draws: Over how many draws; 0 or None without noise.
        fresh: Whether new ones were drawn for each question.
        noise: Spec of the smoothing distribution.
        n: Draws of each prediction, before and after.
        alpha: Probability that a prediction is wrong.
        examples: Inputs in the ledger.
        expected: Inputs in the finished run; None where the ledger does not say.
        coverage: What these are of their data set: `complete`, `random`, `window` or `unknown`.
        clean_accuracy: Share of inputs answered right as they are.
        clean_abstention_rate: Share of inputs abstained on as they are.
        successes: Inputs answered right as they are, and wrong under attack.
        abstention_rate_under_attack: Share of inputs abstained on as they are or under attack.
        median_norm: Of the perturbations of successes; None if there are none.
        queries_per_input: Questions to the model, a mean over inputs.
        samples_total: Draws spent on predictions, over all inputs.
        seconds_total: Wall-clock time, over all inputs.
        accuracy: Radius, share of inputs still right within it, and share abstained on.
        indices: Of the inputs in their data set, ascending.
        outcomes: The outcome of each input, in the order of `indices`.
        meta: The spec of the run, as the ledger has it.
    """

    run: str
    attack: str
    norm: str
    measured_norm: str
    epsilon: float | None
    steps: int | None
    minimal: bool
    estimator: str | None
    draws: int | None
    fresh: bool
    noise: str
    n: int
    alpha: float
    examples: int
    expected: int | None
    coverage: str
    clean_accuracy: float
    clean_abstention_rate: float
    successes: int
    abstention_rate_under_attack: float
    median_norm: float | None
    queries_per_input: float
    samples_total: int
    seconds_total: float
    accuracy: tuple[tuple[float, Share, Share], ...]
    indices: tuple[int, ...] = field(repr=False)
    outcomes: AttackOutcomes = field(repr=False, compare=False)
    meta: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls,
        run: str,
        meta: Mapping[str, Any],
        rows: Sequence[AttackRow],
        radii: Sequence[float],
        measured: str,
        part: tuple[int | None, str],
    ) -> AttackSummary:
        """The summary of at least one row of an attack ledger, at these radii.

        Args:
            run: The path.
            meta: The spec of the run.
            rows: Its rows.
            radii: Where accuracy is tabulated.
            measured: The norm to report in.
            part: Inputs in the finished run, and what they are of their data set.
        """
        means = Means.of(meta["attack"])
        outcomes = AttackOutcomes.of(rows, norm=meta["norm"], epsilon=means.epsilon)
        own = means.own_draws is not None
        left = empirical_accuracy(outcomes, radii, measured)
        silent = abstained_under_attack(outcomes, radii, measured)
        return cls(
            run=run,
            attack=meta["attack"],
            norm=meta["norm"],
            measured_norm=measured,
            epsilon=means.epsilon,
            steps=means.steps,
            minimal=bool(meta.get("minimal", False)),
            estimator=None if own else meta.get("estimator"),
            draws=means.own_draws if own else meta.get("draws"),
            fresh=not own and bool(meta.get("fresh", False)),
            noise=meta["noise"],
            n=meta["n"],
            alpha=meta["alpha"],
            examples=len(rows),
            expected=part[0],
            coverage=part[1],
            clean_accuracy=clean_accuracy(outcomes),
            clean_abstention_rate=float(outcomes.undecided.mean()),
            successes=int(np.count_nonzero(outcomes.broken)),
            abstention_rate_under_attack=float((outcomes.undecided | outcomes.abstained).mean()),
            median_norm=median_norm(outcomes, measured),
            queries_per_input=float(outcomes.queries.mean()),
            samples_total=outcomes.samples,
            seconds_total=outcomes.seconds,
            accuracy=tuple(zip(radii, left, silent, strict=True)),
            indices=tuple(row.index for row in rows),
            outcomes=outcomes,
            meta=meta,
        )

    @property
    def reach(self) -> float:
        """The radius, in the norm measured, beyond which it did not look; infinite if unknown."""
        if self.epsilon is None or self.norm != self.measured_norm:
            return math.inf
        return self.epsilon

    @property
    def how(self) -> str:
        """Steps, draws and estimator, as far as the spec of the attack does not say them."""
        parts = []
        if self.steps is not None and "steps=" not in self.attack:
            parts.append(f"{self.steps:,} steps")
        if self.without_noise:
            parts.append("on a base classifier")
        elif self.draws and "draws=" not in self.attack:
            parts.append(f"{self.draws:,}{' fresh' if self.fresh else ''} draws")
        if self.estimator not in (None, "base"):
            parts.append(str(self.estimator))
        return ", ".join(parts)

    @property
    def without_noise(self) -> bool:
        """Whether it searched with a base classifier, and not with an average over noise."""
        return self.estimator == "base" or self.draws == 0

    @property
    def label(self) -> str:
        """Attack and how it was done, for a legend."""
        return f"{self.attack}, {self.how}" if self.how else self.attack


@dataclass(frozen=True)
class Pair:
    """A certified run and an attack run of the same smoothed classifier.

    Attributes:
        certified: Position of the certified run in its report.
        attacked: Position of the attack run among those of the report.
        audit: What they say of the same inputs; None if they cannot be compared.
        refused: Why they cannot be compared; None if they can.
    """

    certified: int
    attacked: int
    audit: Audit | None
    refused: str | None


def pairs_of(
    certified: Sequence[CertifiedRun], attacked: Sequence[AttackedRun]
) -> tuple[Pair, ...]:
    """Every pair of runs of one smoothed classifier; rows are read of these only."""
    found = []
    for i, there in enumerate(certified):
        for j, here in enumerate(attacked):
            if classifier_of(there.meta) is None or (
                classifier_of(there.meta) != classifier_of(here.meta)
            ):
                continue
            refused = why_not(there.meta, here.meta)
            made = None
            if refused is None:
                made = audit(
                    there.rows(),
                    here.rows,
                    norm=there.meta["norm"],
                    alpha_certify=there.meta["alpha"],
                    alpha_attack=here.meta["alpha"],
                )
                if not made.inputs:
                    made, refused = None, "they have no input in common"
            found.append(Pair(i, j, made, refused))
    return tuple(found)


def measured_in(meta: Mapping[str, Any], certified: Sequence[Mapping[str, Any]]) -> str:
    """The norm in which an attack run is reported beside certified runs with these specs.

    That of the runs of the same classifier, if it is one and stored; else that of all runs, if it
    is one and stored; else that of the attack. The attack's comes first where it is among them.
    """
    own: str = meta["norm"]
    for runs in (
        [run for run in certified if classifier_of(run) == classifier_of(meta) is not None],
        certified,
    ):
        norms = {run["norm"] for run in runs}
        if own in norms:
            return own
        stored = norms & set(NORMS)
        if len(stored) == 1:
            return str(stored.pop())
    return own


@dataclass(frozen=True)
class Means:
    """What the spec of an attack says of how it searches; None where it does not.

    Attributes:
        epsilon: The largest norm it is allowed.
        steps: Of its search.
        own_draws: Of the noise that it draws itself, in place of the model's; 0 if it has none.
    """

    epsilon: float | None = None
    steps: int | None = None
    own_draws: int | None = None

    @classmethod
    def of(cls, spec: str) -> Means:
        """The means of an attack, as far as its spec can be read here."""
        try:
            attack = ATTACKS.build(spec)
        except (RadiiError, ValueError):  # of a plug-in that is not installed, or a later version
            return cls()
        inner = attack
        while isinstance(wrapped := getattr(inner, "attack", None), Attack):
            inner = wrapped
        steps, draws = getattr(inner, "steps", None), getattr(attack, "draws", None)
        if draws is not None and getattr(attack, "noise", None) == "":  # without noise
            draws = 0
        return cls(attack.epsilon, steps, draws)


def loss_norms(rows: Sequence[AttackRow], norm: str) -> list[float]:
    """Norms of the perturbations under which a right answer was lost, ascending."""
    return sorted(r.norm(norm) for r in rows if r.clean == r.label and r.prediction != r.label)
