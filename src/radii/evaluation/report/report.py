"""Runs side by side, before anybody decides how they look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from radii.certificates.base import DimensionNeededError
from radii.errors import LedgerError
from radii.evaluation.audit import classifier_of
from radii.evaluation.export import Recorded
from radii.evaluation.metrics import certified_accuracy_lower, grid_to, radius_grid
from radii.evaluation.projection import Projection, project
from radii.evaluation.readings import remark_of
from radii.evaluation.report import projection_text
from radii.evaluation.report.attack_caveats import attack_caveats
from radii.evaluation.report.attacks import (
    AttackSummary,
    Pair,
    loss_norms,
    measured_in,
    pairs_of,
)
from radii.evaluation.report.caveats import caveats
from radii.evaluation.report.groups import Group, groups_of
from radii.evaluation.report.radii import fine_grid
from radii.evaluation.report.reading import AttackedRun, CertifiedRun, read
from radii.evaluation.report.summary import BOOTSTRAP_INPUTS, Summary, part_of
from radii.evaluation.rereading import shape_needed

_TAIL = 0.95  # of the perturbations found; a few much longer ones are not worth a column each


@dataclass(frozen=True)
class Report:
    """Runs side by side: certified ones, attack runs, or both.

    Attributes:
        summaries: One a certified run, in the order given.
        radii: Where accuracies are tabulated, ascending.
        attacks: One an attack run, in the order given.
        pairs: Certified runs and attack runs of one classifier, with what they say of each other.
        envelope: Whether the largest accuracy of any classifier at each radius is wanted.
        projections: What is expected of each certified run with fewer draws, if that is wanted.
        rho: Probability that one of `guarantees` is too large for its run.
        guarantees: What certified accuracy is at least at each of `radii`, wrong certificates
            allowed for, one a certified run, if that is wanted.
    """

    summaries: tuple[Summary, ...]
    radii: tuple[float, ...]
    attacks: tuple[AttackSummary, ...] = ()
    pairs: tuple[Pair, ...] = ()
    envelope: bool = False
    projections: tuple[Projection, ...] = ()
    rho: float | None = None
    guarantees: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(
        cls,
        runs: Sequence[Path | str | Recorded],
        radii: Sequence[float] | None = None,
        *,
        envelope: bool = False,
    ) -> Report:
        """The report of these runs, given as files or open.

        Args:
            runs: At least one ledger, of a certification or an attack, or export of the former; or
                a run that is open, or was read again.
            radii: Where accuracies are tabulated. By default 0, 0.25, 0.5 and so on up to the
                largest radius of a right class in any run, or to a norm that 95 % of the
                perturbations of an attack run do not exceed. The steps are twice or more as wide
                where that would be more than 40 radii, and finer where there are attack runs only
                and it would be fewer than 6.
            envelope: Whether the largest accuracy of any classifier at each radius is wanted.

        Raises:
            LedgerError: If a file is no ledger, or holds no input yet.
        """
        if not runs:
            raise ValueError("a report needs at least one run, got none")
        return cls.of_read([read(run) for run in runs], radii, envelope=envelope)

    @classmethod
    def of_read(
        cls,
        runs: Sequence[CertifiedRun | AttackedRun],
        radii: Sequence[float] | None = None,
        *,
        envelope: bool = False,
        bootstrap: bool = True,
    ) -> Report:
        """The report of runs that are read already; see `of`.

        Args:
            runs: At least one.
            radii: Where accuracies are tabulated.
            envelope: Whether the largest accuracy of any classifier at each radius is wanted.
            bootstrap: Whether intervals of the ACR are wanted, if all runs together hold at most
                50,000 inputs.
        """
        certified = [run for run in runs if isinstance(run, CertifiedRun)]
        attacked = [run for run in runs if isinstance(run, AttackedRun)]
        norms = [measured_in(run.meta, [each.meta for each in certified]) for run in attacked]
        if radii is None:
            radii = _radii(certified, attacked, norms)
        for radius in radii:
            if not (radius >= 0 and math.isfinite(radius)):
                raise ValueError(f"radii must be finite numbers of at least 0, got {radius!r}")
        chosen = tuple(sorted({float(radius) for radius in radii}))
        few = sum(len(run.outcomes) for run in certified) <= BOOTSTRAP_INPUTS
        return cls(
            summaries=tuple(
                Summary.of(run, chosen, bootstrap=bootstrap and few) for run in certified
            ),
            radii=chosen,
            attacks=tuple(
                AttackSummary.of(run.run, run.meta, run.rows, chosen, norm, part_of(run.meta))
                for run, norm in zip(attacked, norms, strict=True)
            ),
            pairs=pairs_of(certified, attacked),
            envelope=envelope,
        )

    def projected(self, n: int) -> Report:
        """This report, with what is expected of each certified run with n draws.

        Raises:
            LedgerError, PlanError: If a run cannot be projected; see `project`.
            ValueError: If n is more than a run has, or there is no certified run.
        """
        if not self.summaries:
            raise ValueError("a projection needs a certified run, got attack runs only")
        return replace(self, projections=tuple(self._projection(run, n) for run in self.summaries))

    def _projection(self, run: Summary, n: int) -> Projection:
        try:
            return project(run.source, n, self.radii)
        except DimensionNeededError:
            raise shape_needed(run.source) from None

    def guaranteed(self, rho: float) -> Report:
        """This report, with what certified accuracy is at least; see `certified_accuracy_lower`.

        Raises:
            LedgerError: If a run was imported, with radii that may be larger than those it had.
            ValueError: If rho is not in (0, 1), alpha of a run is above 1/2, or there is no
                certified run.
        """
        if not self.summaries:
            raise ValueError("a bound below certified accuracy needs a certified run")
        for run in self.summaries:
            if run.meta.get("imported"):
                raise LedgerError(
                    f"{run.run!r} was imported: its radii are those that were published, which "
                    f"may be rounded up, so that alpha does not bound how many of them are wrong; "
                    f"certify the inputs with `radii certify`."
                )
        found = (
            certified_accuracy_lower(run.outcomes, self.radii, alpha=run.alpha, rho=rho)
            for run in self.summaries
        )
        return replace(self, rho=rho, guarantees=tuple(tuple(each.tolist()) for each in found))

    @property
    def caveats(self) -> list[str]:
        """What a reader must know before believing the numbers, in plain sentences."""
        said = [projection_text.sentence(self)] if self.projections else []
        said += caveats(self.summaries) if self.summaries else []
        return attack_caveats(self) + said if self.attacks or self.envelope else said

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
    def attack_line_of(self) -> list[int]:
        """For each attack run, the line of its classifier; those after `lines` have no run there.

        So runs of one classifier have one colour.
        """
        lines: dict[object, int] = {}
        for run, line in zip(self.summaries, self.line_of, strict=True):
            lines.setdefault(classifier_of(run.meta) or id(run), line)
        next_line = len(self.lines)
        found = []
        for attack in self.attacks:
            key = classifier_of(attack.meta) or id(attack)
            if key not in lines:
                lines[key], next_line = next_line, next_line + 1
            found.append(lines[key])
        return found

    @property
    def attack_names(self) -> list[str]:
        """The shortest name for each attack run that tells it from the others."""
        attacks = self.attacks
        for names in (
            [a.attack for a in attacks],
            [a.label for a in attacks],
            [f"{a.noise}, {a.label}" for a in attacks],
        ):
            if len(set(names)) == len(names):
                return names
        return [a.run for a in attacks]

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
        """The shortest name for each run that tells it from the others: its noise, or its path."""
        runs = self.summaries
        said = _said(runs, ("alpha", "bound", "certificate", "norm"))
        names = [s.noise + more for s, more in zip(runs, said, strict=True)]
        return names if len(set(names)) == len(names) else [s.run for s in runs]

    @property
    def labels(self) -> list[str]:
        """A short name for each run: noise, n and alpha, and the path where these are not enough.

        Two runs have the same label only if they are the same file twice, read alike.
        """
        stops = ["" if s.stop == "never" else f", stop={s.stop}" for s in self.summaries]
        said = _said(self.summaries, ("bound", "certificate", "norm"))
        short = [
            f"{s.noise}, n={s.n:,}, alpha={s.alpha}{stop}{more}"
            for s, stop, more in zip(self.summaries, stops, said, strict=True)
        ]
        if len(set(short)) == len(short):
            return short
        return [f"{s.run}: {label}" for s, label in zip(self.summaries, short, strict=True)]


def _said(runs: Sequence[Summary], keys: Sequence[str]) -> list[str]:
    """What to add to the name of each run: a bound that is not the papers', and its reading.

    Where any run was read again, these are the keys in which they differ, and whether it was.
    """
    remarks = [remark_of(run.meta) for run in runs]
    differ = [key for key in keys if any(remarks) and len({getattr(run, key) for run in runs}) > 1]
    return [
        "".join(
            f", {key}={getattr(run, key)}"
            for key in keys
            if key in differ or (key == "bound" and run.has_other_bound)
        )
        + (f" ({said})" if said else "")
        for run, said in zip(runs, remarks, strict=True)
    ]


def _radii(
    certified: Sequence[CertifiedRun], attacked: Sequence[AttackedRun], norms: Sequence[str]
) -> Sequence[float]:
    """Where accuracies are tabulated if nobody says where."""
    found = [loss_norms(run.rows, norm) for run, norm in zip(attacked, norms, strict=True)]
    largest = max((each[math.ceil(_TAIL * len(each)) - 1] for each in found if each), default=0.0)
    if not certified:
        return fine_grid(largest)
    return max(radius_grid(run.outcomes for run in certified), grid_to(largest), key=max)
