"""Bounds and radii of a run, computed again from its votes: independently, and as the run did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from radii.bounds import BOUNDS, Calibrated
from radii.errors import RadiiError
from radii.evaluation import Row
from radii.evaluation.rereading import reread
from radii.noise import Stream
from radii.verification.independent import (
    Evidence,
    bound_of,
    claimed,
    most_error,
    nested,
    radius_of,
)
from radii.verification.result import Check
from radii.verification.stored import Stored
from radii.verification.structure import selected

FAR = 1e-6  # share below the exact number from which on a reader is told
_NEAR = 1e-9  # share that another processor's or version's arithmetic never explains
_DECIDING = ("at_radius", "radii")  # stopping rules that claim a threshold, and no more
_MOST_DRAWS = 10**7  # that are followed one by one; a million take some 10 s for each threshold
_LIBRARY = "not computed independently: recomputed by the library's own decide, see below"


@dataclass
class Tally:
    """What a comparison of many stored numbers with exact ones found.

    Attributes:
        problems: A sentence for each that is on the wrong side.
        far: How many are on the safe side by a share of more than 1e-6.
        distinct: How many different ones there were.
    """

    problems: list[str]
    far: int = 0
    distinct: int = 0


def recomputed(stored: Stored) -> Iterator[Check]:
    """All checks of this kind."""
    sequential = _sequential(stored)
    yield _bounds(stored) if sequential is None else _tests(stored, sequential)
    yield _radii(stored)
    yield _predictions(stored)
    yield _library(stored)


def evidence(row: Row, stored: Stored) -> Evidence | None:
    """What the bounds of a row rest on; None if nothing was claimed on the way."""
    top = selected(row)
    k = row.n_votes.get(top, 0)
    others = max((votes for label, votes in row.n_votes.items() if label != top), default=0)
    draws, square = round(sum(row.n_votes.values())), None
    if stored.soft:
        draws, square = stored.meta["n"], row.n_squares.get(top, 0.0)
    if stored.stops_early:
        if row.claim is None or row.claim.draws == 0:
            return None
        k, draws = row.claim.votes, row.claim.draws
    tie = None
    if str(stored.meta["bound"]).startswith("randomized"):
        tie = Stream(stored.meta["seed"], row.index, "bound", 0).uniform()
    return Evidence(k, draws, others, stored.meta["num_classes"], square, tie)


def _bounds(stored: Stored) -> Check:
    name = "bounds, in 50 digits"
    meta = stored.meta
    slack = bound_of(meta["bound"], meta["alpha"])
    if slack is None:
        return Check(name, "not checked", f"{meta['bound'].partition(':')[0]} is {_LIBRARY}")
    found, known = Tally([]), {}
    for row in stored.rows:
        seen = evidence(row, stored)
        if seen is None:
            if (row.pA_lower, row.pB_upper) != (0, 1):
                found.problems.append(f"input {row.index} has bounds, and no look gave any")
            continue
        key = (row.pA_lower, row.pB_upper, seen)
        if key not in known:
            known[key] = slack(*key)
        lower, upper = known[key].lower, known[key].upper
        if lower < 0:
            found.problems.append(
                f"pA_lower of input {row.index}, {row.pA_lower!r}, is above the exact bound, by a "
                f"share of about {float(-lower):.2g}"
            )
        if upper < 0:
            found.problems.append(
                f"pB_upper of input {row.index}, {row.pB_upper!r}, is below the exact bound, by a "
                f"share of about {float(-upper):.2g}"
            )
        found.far += max(lower, upper) > FAR
    found.distinct = len(known)
    decides = str(meta.get("stop")).startswith(_DECIDING)
    return _told(name, found, "bounds", "" if decides else "the exact bounds")


def _sequential(stored: Stored) -> Calibrated | str | None:
    """The bound of a run, if it has boundaries; or why these are not computed."""
    if str(stored.meta["bound"]).partition(":")[0] != "calibrated":
        return None
    try:
        bound = BOUNDS.build(stored.meta["bound"])
    except (TypeError, ValueError) as error:
        return str(error)
    assert isinstance(bound, Calibrated)
    return (
        f"its boundaries have more than {_MOST_DRAWS:,} draws" if bound.cap > _MOST_DRAWS else bound
    )


def _tests(stored: Stored, bound: Calibrated | str) -> Check:
    """Whether the boundaries err as rarely as they must, and nothing beyond them was claimed."""
    name, alpha = "bounds, draw by draw", stored.meta["alpha"]
    if isinstance(bound, str):
        return Check(name, "not checked", bound)
    looks, fewest = bound.looks.tolist(), bound.boundaries(alpha).tolist()
    tested = list(zip(bound.values, fewest, strict=True))
    errors = [most_error(threshold, looks, boundary) for threshold, boundary in tested]
    problems = [
        f"the boundary of {threshold!r} is reached with probability {error:.6g} where that is the "
        f"truth, more than alpha = {alpha:g}"
        for threshold, error in zip(bound.values, errors, strict=True)
        if error > alpha
    ]
    if not nested(fewest):
        problems.append("a larger threshold needs fewer votes at some look")
    known: dict[tuple[int, int], Fraction] = {(0, 0): Fraction(0)}
    for row in stored.rows:
        seen = evidence(row, stored)
        claim = (0, 0) if seen is None else (int(seen.k), seen.n)
        if claim not in known:
            known[claim] = Fraction(claimed(*claim, bound.values, looks, fewest))
        if Fraction(row.pA_lower) > known[claim] or Fraction(row.pB_upper) < 1 - known[claim]:
            problems.append(
                f"pA_lower {row.pA_lower!r} and pB_upper {row.pB_upper!r} of input {row.index} say "
                f"more than {claim[0]:,} votes in {claim[1]:,} draws, which claim "
                f"{float(known[claim])!r}"
            )
    said = (
        f"no bounds beyond the thresholds that were claimed; their {len(errors)} boundaries err "
        f"with a probability of {max(errors):.6g} at most"
    )
    return Check.of(name, problems, said)


def _radii(stored: Stored) -> Check:
    name, meta = "radii, in 50 digits", stored.meta
    slack = radius_of(meta["certificate"], meta["noise"], stored.dim)
    if slack is None:
        return Check(name, "not checked", f"{meta['certificate']} is {_LIBRARY}")
    found, known = Tally([]), {}
    for row in stored.rows:
        key = (row.radius, row.pA_lower, row.pB_upper)
        if key not in known:
            known[key] = slack(*key)
        if known[key] < 0:
            found.problems.append(
                f"the radius of input {row.index}, {row.radius!r}, is above the exact one for its "
                f"bounds, by a share of about {float(-known[key]):.2g}"
            )
        found.far += known[key] > FAR
    found.distinct = len(known)
    return _told(name, found, "radii", "the exact radii")


def _told(name: str, found: Tally, what: str, exact: str) -> Check:
    notes = []
    if exact and found.far:
        notes.append(f"{found.far:,} rows are below {exact} by a share of more than {FAR:g}")
    said = f"no {what} on the wrong side of the exact ones, {found.distinct:,} different"
    return Check.of(name, found.problems, said, *notes)


def _predictions(stored: Stored) -> Check:
    problems = []
    for row in stored.rows:
        leads = row.pA_lower > row.pB_upper
        if leads and row.prediction != selected(row):
            problems.append(
                f"input {row.index} must be class {selected(row)}, which was selected, "
                f"got {row.prediction!r}"
            )
        if not leads and (row.prediction is not None or row.radius != 0):
            problems.append(f"input {row.index} must abstain, as pA_lower is not above pB_upper")
    said = "the class selected where pA_lower is above pB_upper, and nowhere else"
    return Check.of("predictions", problems, said)


def _library(stored: Stored) -> Check:
    name = "what the library computes from the votes"
    if stored.broken:
        return Check(name, "not checked", "rows are damaged")
    if isinstance(why := _sequential(stored), str):
        return Check(name, "not checked", why)
    try:
        again = {row.index: row for row in reread(stored.run, dim=stored.dim).rows(votes=False)}
    except (IndexError, RadiiError, ValueError) as error:  # a class that is none, for example
        return Check(name, "not checked", str(error))
    problems, differ = [], 0
    for row in stored.rows:
        now = again[row.index]
        if _found(row) == _found(now):
            continue
        differ += 1
        more = said_more(row, now)
        if more is not None:
            problems.append(more)
    notes = []
    if differ > len(problems):
        notes.append(
            f"{differ - len(problems):,} rows differ from what is computed here, on the safe side "
            f"or by a share below {_NEAR:g}: other versions or another processor can do that"
        )
    same = "each row" if not differ else "no row is on the wrong side"
    return Check.of(name, problems, f"{same} as `decide` of this version gives it", *notes)


def said_more(row: Row, now: Row) -> str | None:
    """What a row claims beyond another, by more than arithmetic explains; None if nothing."""
    for what, one, other, wrong in (
        ("prediction", row.prediction, now.prediction, _other),
        ("radius", row.radius, now.radius, _above),
        ("pA_lower", row.pA_lower, now.pA_lower, _above),
        ("pB_upper", row.pB_upper, now.pB_upper, _below),
    ):
        if wrong(one, other):
            return f"{what} of input {row.index} is {one!r}, and not {other!r}"
    return None


def _found(row: Row) -> tuple[int | None, float, float, float]:
    return row.prediction, row.radius, row.pA_lower, row.pB_upper


def _above(one: float | None, other: float | None) -> bool:
    assert one is not None and other is not None  # noqa: PT018
    return one > other * (1 + _NEAR)


def _below(one: float | None, other: float | None) -> bool:
    assert one is not None and other is not None  # noqa: PT018
    return one < other * (1 - _NEAR)


def _other(one: float | None, other: float | None) -> bool:
    return one is not None and one != other
