"""A run through another alpha, bound or certificate: its votes are read again, and none is drawn.

Certificates are free: what one bound says of an input holds on one event, and on this event every
certificate holds, in every norm. Another alpha or bound is another event, and so another claim.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from radii.bounds import BOUNDS, Bound, Exact
from radii.certificates import CERTIFICATES, find
from radii.certificates.base import DimensionNeededError
from radii.errors import LedgerError, PlanError
from radii.evaluation.export import Recorded
from radii.evaluation.ledger import Row
from radii.evaluation.readings import READ, changes_of, sentences
from radii.noise import NOISES, Stream
from radii.records import ClassBounds, Counts, FloatArray, IntArray, Norm, SoftVotes
from radii.smoothing import SamplingPlan
from radii.stopping import STOPS, Course

_NEEDED = (
    *("noise", "norm", "certificate", "bound", "alpha", "n0", "n", "block", "seed"),
    "num_classes",
)
_CHUNK = 2**22  # votes that are in memory at once
Found = tuple[int | None, float, float, float]  # prediction, radius, pA_lower, pB_upper


@dataclass(frozen=True, eq=False)
class Reread:
    """A run read again; it has what a ledger has.

    Attributes:
        parent: The run whose votes these are.
        path: Of the parent.
        meta: That of the parent, with another `alpha`, `bound`, `certificate`, `norm` and `domain`,
            and with `reread_of`: the path of the run under `run`, what stood under these keys, and
            `claim`, which is `same` if alpha and bound are and else `another`. If the parent is a
            reading, these are about the run that it read.
    """

    parent: Recorded
    path: Path
    meta: dict[str, Any]
    _read: Mapping[int, Found] = field(repr=False)

    def __len__(self) -> int:
        return len(self._read)

    def rows(self, *, votes: bool = True) -> Iterator[Row]:
        """Every input that the run held when it was read, by index.

        Args:
            votes: Whether to read votes and claims too; without, the rows have none.
        """
        for row in self.parent.rows(votes=votes):
            if row.index in self._read:
                yield self._changed(row)

    def row(self, index: int) -> Row:
        """One input.

        Raises:
            KeyError: If it was not in the run.
        """
        if index not in self._read:
            raise KeyError(index)
        return self._changed(self.parent.row(index))

    def unanimous(self) -> int:
        """How many inputs have a certified class that got every vote of the estimation."""
        return sum(
            list(row.n_votes) == [row.prediction] and not row.n_squares for row in self.rows()
        )

    @property
    def changes(self) -> list[str]:
        """Which of alpha, bound, certificate and norm are not those of the run."""
        return changes_of(self.meta)

    @property
    def sentence(self) -> str:
        """What a reader must know of this reading."""
        for said in sentences([self.meta]):
            return said
        return f"{self.meta['reread_of']['run']} was read again as it is: nothing is changed."

    def _changed(self, row: Row) -> Row:
        prediction, radius, pA_lower, pB_upper = self._read[row.index]
        return replace(
            row, prediction=prediction, radius=radius, pA_lower=pA_lower, pB_upper=pB_upper
        )


def reread(
    run: Recorded,
    *,
    alpha: float | None = None,
    bound: Bound | str | None = None,
    certificate: str | None = None,
    norm: Norm | None = None,
    dim: int | None = None,
) -> Reread:
    """What the votes of a run certify at another alpha, or through another bound or certificate.

    What is left out stays as it was in the run. If all of it does, nothing changes.

    Args:
        run: A ledger with votes, an export of one, or a reading of either.
        alpha: Probability that what is said of one input is wrong.
        bound: How votes become bounds on pA and pB; a spec may stand for it.
        certificate: Its name.
        norm: Of the ball; by default that of the certificate named.
        dim: Number of coordinates of an input, for certificates that depend on it; by default what
            the run says under `input_shape`.

    Raises:
        LedgerError: If the run has no votes, or its spec lacks what is needed.
        PlanError: If the run stopped early or its noise was enumerated and another alpha or bound
            is asked for, if the bound takes no soft votes and these are, or if the plan could never
            certify anything.
        NotCoveredError: If no such certificate covers noise and norm.
        ValueError: If an argument is no value, or a dimension is needed and not known.
    """
    refuse_imported(run)
    own, meta = plan_of(run), run.meta
    noise = NOISES.build(meta["noise"])
    dim = dimension_of(run) if dim is None else dim
    wanted = BOUNDS.build(bound) if isinstance(bound, str) else bound
    course = None
    if own.stops_early:
        first = find(noise, meta["norm"], meta["certificate"], dim=dim)
        course = own.course(first)
        if wanted is not None and replace(own, bound=wanted).course(first).bound == course.bound:
            wanted = None  # the ledger has it with everything filled in that the run decided
    plan = _changed_plan(run, own, alpha, wanted)
    name = certificate
    if name is None and norm in (None, meta["norm"]):
        name = meta["certificate"]
    if norm is None:
        norm = meta["norm"] if certificate is None else CERTIFICATES[certificate].norm
    chosen = find(noise, norm, name, dim=dim)
    read: dict[int, Found] = {}
    rows, size = run.rows(), max(1, _CHUNK // meta["num_classes"])
    while part := list(itertools.islice(rows, size)):
        top, bounds = _bounds(run, part, plan, course)
        radii = chosen.radius(bounds)
        certified = bounds.pA_lower > bounds.pB_upper
        columns = (certified, top, radii, bounds.pA_lower, bounds.pB_upper)
        for row, (yes, label, *numbers) in zip(
            part, zip(*(column.tolist() for column in columns), strict=True), strict=True
        ):
            read[row.index] = (label if yes else None, *numbers)
    changed = {
        "alpha": plan.alpha,
        "bound": meta["bound"] if plan.stops_early else BOUNDS.spec_of(plan.fixed_bound),
        "certificate": CERTIFICATES.name_of(chosen),
        "norm": chosen.norm,
    }
    origin = meta.get("reread_of", {"run": str(run.path), **meta})  # a reading of a reading is one
    before = {key: origin[key] for key in ("run", *READ)}
    same = all(changed[key] == before[key] for key in ("alpha", "bound"))
    before["claim"] = "same" if same else "another"
    details = {**meta, **changed, "domain": chosen.domain, "reread_of": before}
    return Reread(run, Path(run.path), details, read)


def readings_of(
    run: Recorded,
    *,
    alpha: float | None = None,
    bound: Bound | str | None = None,
    certificates: Sequence[str] = (),
    norm: Norm | None = None,
) -> list[Recorded]:
    """A run through each of some certificates, or through its own if there are none.

    Arguments and errors are those of `reread`, but for a dimension that is not known: that is a
    `LedgerError` here. Where nothing is changed, the run itself is given.
    """
    found: list[Recorded] = []
    for name in dict.fromkeys(certificates) or (None,):
        try:
            again = reread(run, alpha=alpha, bound=bound, certificate=name, norm=norm)
        except DimensionNeededError:
            raise shape_needed(run) from None
        found.append(again if again.changes else run)
    return found


def plan_of(run: Recorded) -> SamplingPlan:
    """The plan of a run, as its ledger has it.

    Raises:
        LedgerError: If its spec is not that of a run with votes.
    """
    missing = [key for key in _NEEDED if key not in run.meta]
    if missing:
        raise LedgerError(
            f"votes are read from a run of `radii certify`, but the spec in {str(run.path)!r} has "
            f"no {', '.join(missing)}; choose another file."
        )
    meta = run.meta
    return SamplingPlan(
        n0=meta["n0"],
        n=meta["n"],
        alpha=meta["alpha"],
        bound=BOUNDS.build(meta["bound"]),
        stop=STOPS.build(meta.get("stop", "never")),
        block=meta["block"],
        seed=meta["seed"],
    )


def dimension_of(run: Recorded) -> int | None:
    """Number of coordinates of an input, where the run says it."""
    shape = run.meta.get("input_shape")
    return None if shape is None else math.prod(shape)


def shape_needed(run: Recorded) -> LedgerError:
    """Of a run whose certificate depends on the dimension of its inputs, which it does not say."""
    return LedgerError(
        f"{str(run.path)!r} does not say the shape of its inputs, on which the certificate "
        f"depends: take another certificate, or pass dim to `reread` or `project` in Python."
    )


def refuse_imported(run: Recorded) -> None:
    """Refuses a run of which only radii are known.

    Raises:
        LedgerError: If it was imported.
    """
    if run.meta.get("imported"):
        raise LedgerError(
            f"{str(run.path)!r} was imported: its radii are known and its votes are not, so that "
            f"nothing can be read from them again; certify the inputs with `radii certify`."
        )


def check_total(run: Recorded, row: Row, n: int) -> None:
    """Refuses an input with another number of hard votes than the spec of its run says.

    Raises:
        LedgerError: If it has.
    """
    total = sum(row.n_votes.values())
    if total != n:
        raise LedgerError(
            f"input {row.index} in {str(run.path)!r} must have {n:,} votes, as its spec says, "
            f"got {total:,}; choose another file."
        )


def _changed_plan(
    run: Recorded, own: SamplingPlan, alpha: float | None, bound: Bound | None
) -> SamplingPlan:
    """The plan of the run, with another alpha and bound where it allows that."""
    alpha, bound = own.alpha if alpha is None else alpha, own.bound if bound is None else bound
    if (alpha, bound) == (own.alpha, own.bound):
        return own
    if isinstance(own.bound, Exact):
        raise PlanError(
            f"the votes of {str(run.path)!r} count every outcome of its noise, so that its bound "
            f"is exact and alpha is 0: read it through another certificate only."
        )
    plan = replace(own, alpha=alpha, bound=bound)
    if own.stops_early:
        raise PlanError(
            f"{str(run.path)!r} stopped early ({run.meta['stop']}), as its own alpha and bound "
            f"said: at alpha={plan.alpha:g} and {BOUNDS.spec_of(plan.fixed_bound)} it would have "
            f"stopped elsewhere. Read it through another certificate only, or certify again."
        )
    plan = plan.under(NOISES.build(run.meta["noise"]))
    plan.check(run.meta["num_classes"], run.meta.get("vote", "hard"))
    return plan


def _bounds(
    run: Recorded, part: Sequence[Row], plan: SamplingPlan, course: Course | None
) -> tuple[IntArray, ClassBounds]:
    """The class selected and the bounds of each row; what `decide` says of one, for many."""
    soft = run.meta.get("vote", "hard") == "soft"
    width = run.meta["num_classes"]
    votes = _table([row.n_votes for row in part], width)
    selection = _table([row.n0_votes for row in part], width) if plan.n0 else votes
    top = np.asarray(selection.argmax(axis=1))
    if course is not None:
        return top, ClassBounds.one_sided(_claimed(run, part, course))
    draws = np.full(len(part), plan.n)
    if soft:
        squares = _table([row.n_squares for row in part], width)
        return top, plan.fixed_bound.class_bounds(SoftVotes(votes, squares, draws), top, plan.alpha)
    counts = votes.astype(np.int64)
    for row in part:
        check_total(run, row, plan.n)
    tie = None
    if plan.fixed_bound.randomized:
        assert plan.seed is not None
        tie = np.array([Stream(plan.seed, row.index, "bound", 0).uniform() for row in part])
    return top, plan.fixed_bound.class_bounds(Counts(counts, tie), top, plan.alpha)


def _claimed(run: Recorded, part: Sequence[Row], course: Course) -> FloatArray:
    """`(rows,)` what the look that claimed most says of each row; 0 where nothing was claimed."""
    claims = [row.claim for row in part]
    if None in claims:
        first = part[claims.index(None)]
        raise LedgerError(
            f"input {first.index} in {str(run.path)!r} must have a claim, as the run stopped "
            f"early, got none; choose another file."
        )
    draws, votes = np.array([(claim.draws, claim.votes) for claim in claims if claim]).T
    lower = np.zeros(len(part))
    for look in np.unique(draws[draws > 0]).tolist():
        here = draws == look
        lower[here] = course.lower(look, votes[here])
    return lower


def _table(votes: Sequence[Mapping[int, float]], width: int) -> FloatArray:
    """`(rows, width)` float64, which is exact for counts up to 2^53."""
    table = np.zeros((len(votes), width))
    for row, each in zip(table, votes, strict=True):
        for label, count in each.items():
            row[label] = count
    return table
