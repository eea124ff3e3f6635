"""Whether a run is whole: the file, its rows, its votes, its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from radii.certificates import find
from radii.data import Subset
from radii.errors import RadiiError
from radii.evaluation import Ledger, Row
from radii.evaluation.checksums import checksum_of, hash_of_spec
from radii.evaluation.rereading import plan_of
from radii.noise import NOISES
from radii.verification.result import Check
from radii.verification.stored import COLUMNS, Stored

_SHARE = 2.0**-52  # by which a sum may be off for each number in it


def structure(stored: Stored) -> Iterator[Check]:
    """All checks of this kind."""
    yield _file(stored)
    yield _versions(stored)
    yield _checksums(stored)
    yield _inputs(stored)
    yield _votes(stored)
    if stored.stops_early and not stored.imported:
        yield _claims(stored)


def _file(stored: Stored) -> Check:
    problems = list(stored.broken)
    kind = "an export, written whole"
    if isinstance(stored.run, Ledger):
        kind = "SQLite finds the file whole"
        found = stored.run.integrity()
        problems += [] if found == "ok" else [f"SQLite finds the file damaged: {found[:200]}"]
    said = f"{kind}; format {stored.meta['format']}; {len(stored.rows):,} rows are read"
    return Check.of("file and format", problems, said)


def _versions(stored: Stored) -> Check:
    versions = stored.meta.get("versions")
    if not isinstance(versions, dict) or not {"radii", "torch"} <= versions.keys():
        return Check("versions", "failed", "the run does not say which versions made it")
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    made = stored.meta.get("created")
    return Check("versions", "passed", f"made with {listed}" + (f", {made}" if made else ""))


def _checksums(stored: Stored) -> Check:
    name = "row checksums"
    if stored.meta.get("reread_of"):
        return Check(name, "not checked", "the run was read again, and its checksums are not its")
    at = list(COLUMNS).index("checksum")
    have = [values for values in stored.cells if len(values) > at and values[at] is not None]
    if not have:
        why = "the run has none" if stored.cells else "there are no rows"
        return Check(name, "not checked", f"{why}; runs of the first versions have none")
    spec = hash_of_spec(stored.meta)
    problems = []
    for values in have:
        try:
            right = checksum_of(COLUMNS, values, spec) == values[at]
        except (OverflowError, TypeError, ValueError):
            right = False
        if not right:
            problems.append(f"input {values[0]!r} is not what was written, or of another run")
    if len(problems) == len(have):
        problems = [f"every row is of another spec than that in the file: {problems[0]}"]
    missing = len(stored.cells) - len(have)
    notes = [f"{missing:,} rows have no checksum"] if missing else []
    said = f"{len(have):,} rows are as they were written, under this spec"
    return Check.of(name, problems, said, *notes)


def _inputs(stored: Stored) -> Check:
    """Indices, as the subset wants them."""
    name = "inputs"
    indices = [values[0] for values in stored.cells]
    problems = [f"input {i} is there twice" for i, j in pairwise(indices) if i == j]
    total = stored.meta.get("data_examples")
    if total is None or "subset" not in stored.meta:
        said = "the run does not say which inputs of how many it should have"
        problem = Check.of(name, problems, "")
        return problem if problems else Check(name, "not checked", said)
    try:
        wanted = {int(i) for i in Subset.parse(stored.meta["subset"]).indices(total)}
    except ValueError as error:
        return Check(name, "failed", str(error))
    problems += [f"input {i!r} is not of the subset" for i in indices if i not in wanted]
    missing = sorted(wanted - set(indices))
    of = f"the subset {stored.meta['subset']!r} of {total:,}"
    if missing and not problems:
        return Check(
            name,
            "not checked",
            f"the run is not finished: {len(missing):,} of {len(wanted):,} inputs of {of} are "
            f"missing, the first being {missing[0]}; which ones an unfinished run lacks is "
            f"for somebody to choose, so that nothing follows about all of them",
        )
    return Check.of(name, problems, f"all {len(wanted):,} inputs of {of}, each once")


def _votes(stored: Stored) -> Check:
    meta, classes = stored.meta, stored.meta.get("num_classes")
    if classes is None and not stored.imported:
        return Check(
            "votes and labels", "failed", "the run does not say how many classes there are"
        )
    problems = []
    for row in stored.rows:
        problems += _of_labels(row, classes)
        if not stored.imported:
            problems += _of_votes(row, meta, soft=stored.soft, early=stored.stops_early)
    said = "labels are classes" if stored.imported else "votes are of classes, and add up"
    return Check.of("votes and labels", problems, said)


def _of_labels(row: Row, classes: int | None) -> list[str]:
    if classes is None:
        return []
    given = {row.label, *row.n0_votes, *row.n_votes}
    given |= set() if row.prediction is None else {row.prediction}
    outside = [label for label in given if not 0 <= label < classes]
    return [f"input {row.index} has class {outside[0]} of {classes}"] if outside else []


def _of_votes(row: Row, meta: Mapping[str, Any], *, soft: bool, early: bool) -> list[str]:
    n0, n = meta["n0"], meta["n"]
    where = f"input {row.index}"
    values = [*row.n0_votes.values(), *row.n_votes.values()]
    if soft:
        return _of_scores(row, n0, n)
    if row.n0_squares or row.n_squares or any(v != int(v) or v < 0 for v in values):
        return [f"{where} has votes that are no counts"]
    selected, drawn = sum(row.n0_votes.values()), sum(row.n_votes.values())
    if selected != n0:
        return [f"{where} has {selected:,} votes of the selection, not {n0:,}"]
    if drawn != n and not (early and 0 < drawn < n):
        return [f"{where} has {drawn:,} votes of the estimation, not {n:,}"]
    if row.samples != selected + drawn:
        return [f"{where} has {selected + drawn:,} votes of {row.samples:,} samples"]
    return []


def _of_scores(row: Row, n0: int, n: int) -> list[str]:
    if row.samples != n0 + n:
        return [f"input {row.index} has {row.samples:,} samples, not {n0 + n:,}"]
    for sums, squares, draws in (
        (row.n0_votes, row.n0_squares, n0),
        (row.n_votes, row.n_squares, n),
    ):
        slack = 1 + 2 * draws * _SHARE + 1e-9
        total = sum(sums.values())
        if sums.keys() != squares.keys() or not draws / slack <= total <= draws * slack:
            return [f"input {row.index} has scores that add up to {total!r}, not to {draws:,}"]
        for label, value in sums.items():
            if not 0 <= squares[label] <= value * slack:
                return [f"input {row.index} has squares of class {label} above its scores"]
    return []


def _claims(stored: Stored) -> Check:
    """Looks at which something was claimed, and at which an input stopped."""
    name = "claims of the stopping rule"
    try:
        run = stored.run
        noise = NOISES.build(run.meta["noise"])
        certificate = find(noise, run.meta["norm"], run.meta["certificate"], dim=stored.dim)
        looks = set(plan_of(run).course(certificate).looks.tolist())
    except (RadiiError, ValueError) as error:
        return Check(name, "not checked", str(error))
    problems = []
    for row in stored.rows:
        problems += _of_claim(row, looks)
    return Check.of(name, problems, f"each rests on one of the {len(looks)} looks planned")


def _of_claim(row: Row, looks: set[int]) -> list[str]:
    where, claim = f"input {row.index}", row.claim
    drawn = int(sum(row.n_votes.values()))
    if claim is None:
        return [f"{where} has no claim, although the run stops early"]
    if drawn not in looks:
        return [f"{where} stopped after {drawn:,} draws, where nobody looked"]
    if claim.draws == 0:
        unclaimed = claim.votes == 0 and row.pA_lower == 0 and row.prediction is None
        return [] if unclaimed else [f"{where} has a bound without a look that gave it"]
    top = row.n_votes.get(selected(row), 0)
    if claim.draws not in looks or claim.draws > drawn:
        return [f"{where} claims after {claim.draws:,} of {drawn:,} draws, where nobody looked"]
    if not top - (drawn - claim.draws) <= claim.votes <= min(top, claim.draws):
        return [f"{where} claims {claim.votes:,} votes, which its {top:,} of {drawn:,} exclude"]
    return []


def selected(row: Row) -> int:
    """The class with most votes in the selection, or of all outcomes; of equals, the first."""
    votes = row.n0_votes or row.n_votes
    return min(votes, key=lambda label: (-votes[label], label)) if votes else -1
