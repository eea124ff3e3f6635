"""Whether the data set and the base classifier are those of a run, by drawing some of it again."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from radii.data import Dataset
from radii.errors import RadiiError
from radii.evaluation import Row
from radii.evaluation.rereading import plan_of
from radii.models import Base
from radii.noise import Generators
from radii.provenance import versions
from radii.smoothing import SmoothedClassifier
from radii.verification.recomputed import said_more
from radii.verification.result import Check
from radii.verification.stored import Stored
from radii.verification.two_samples import holm, same_votes

LEVEL = 1e-3  # probability that the test of votes accuses a run that is right
_OF_VOTES = ("radii", "torch", "numpy")  # versions that votes depend on
_TIES = 1e-3  # share of the votes that rounding on a GPU may move
_NAME = "votes drawn again"


@dataclass(frozen=True)
class Material:
    """What there is to compare a run with.

    Attributes:
        dataset: Inputs and labels.
        base: The base classifier; None leaves votes alone.
        smoothed: The smoothed classifier made of it, in the noise, precision and vote of the run.
        sample: Inputs to draw again: a share of them below 1 or 1.0, or a number of them.
        seed: Of the choice of inputs; None asks the operating system, so that nobody knows it.
        on_start: Is told how many inputs are drawn again.
        on_draws: Is told the number of draws of each batch.
    """

    dataset: Dataset
    base: Base | None = None
    smoothed: SmoothedClassifier | None = None
    sample: float | int = 0.02
    seed: int | None = None
    on_start: Callable[[int], object] | None = None
    on_draws: Callable[[int], object] | None = None

    def __post_init__(self) -> None:
        share = isinstance(self.sample, float)
        if not (0 < self.sample <= 1 if share else self.sample >= 1):
            raise ValueError(
                f"sample must be a share in (0, 1] or a number of inputs, got {self.sample!r}"
            )

    def chosen(self, indices: list[int]) -> list[int]:
        """Some of the inputs, in order."""
        count = self.sample
        if isinstance(count, float):
            count = math.ceil(count * len(indices))
        seed = secrets.randbits(128) if self.seed is None else self.seed
        draw = random.Random(seed)  # noqa: S311
        return sorted(draw.sample(indices, min(int(count), len(indices))))


def drawn_again(stored: Stored, material: Material) -> Iterator[Check]:
    """All checks of this kind."""
    yield _data(stored, material.dataset)
    if material.base is None or material.smoothed is None:
        return
    yield _weights(stored, material.base)
    try:
        yield _votes(stored, material, material.smoothed)
    except (KeyError, RadiiError, TypeError, ValueError) as error:
        yield Check(_NAME, "not checked", str(error))


def _data(stored: Stored, dataset: Dataset) -> Check:
    name, known = "data set", stored.meta.get("data_fingerprint")
    problems = []
    if known is not None and known != dataset.fingerprint:
        problems.append(
            f"{dataset.reference} has the fingerprint {dataset.fingerprint[:16]}..., "
            f"the run is about {str(known)[:16]}..."
        )
    shape = stored.meta.get("input_shape")
    if shape is not None and list(shape) != list(dataset.input_shape):
        problems.append(
            f"{dataset.reference} has inputs of shape {list(dataset.input_shape)}, "
            f"the run is about {shape!r}"
        )
    for row in stored.rows:
        if not 0 <= row.index < len(dataset):
            problems.append(f"input {row.index} is not among the {len(dataset):,} of the data set")
        elif int(dataset.labels[row.index]) != row.label:
            problems.append(
                f"input {row.index} has label {int(dataset.labels[row.index])} in the data set, "
                f"and {row.label} in the run"
            )
    what = "the fingerprint and " if known is not None else ""
    return Check.of(name, problems, f"{what}the labels of all {len(stored.rows):,} inputs agree")


def _weights(stored: Stored, base: Base) -> Check:
    known = stored.meta.get("base_sha256")
    name = "weights of the base classifier"
    if known is None:
        return Check(name, "not checked", "the run does not say whose weights it used")
    if known != base.sha256:
        said = f"they have the hash {base.sha256[:16]}..., the run used {str(known)[:16]}..."
        return Check(name, "failed", said)
    return Check(name, "passed", f"the hash is {known[:16]}..., as in the run")


def _votes(stored: Stored, material: Material, smoothed: SmoothedClassifier) -> Check:
    if stored.imported or stored.broken:
        why = "it has none" if stored.imported else "rows are damaged"
        return Check(_NAME, "not checked", f"the votes of the run cannot be compared: {why}")
    rows = {row.index: row for row in stored.rows if 0 <= row.index < len(material.dataset)}
    chosen = material.chosen(sorted(rows))
    if not chosen:
        return Check(_NAME, "not checked", "there are no inputs")
    if material.on_start is not None:
        material.on_start(len(chosen))
    other = _difference(stored.meta, smoothed)
    if other is None:
        return _exactly(stored, material, smoothed, [rows[index] for index in chosen])
    return _by_test(stored, material, smoothed, [rows[index] for index in chosen], other)


def _difference(meta: Mapping[str, Any], smoothed: SmoothedClassifier) -> str | None:
    """Why votes need not be the same here; None if they must be."""
    device = smoothed.resolve_device()
    if device.type != meta.get("device"):
        return f"the run was made on {meta.get('device')}, and this is {device.type}"
    generator = smoothed.noise.generator_name(Generators(device, smoothed.rng))
    if generator != meta.get("generator"):
        return f"the run drew from {meta.get('generator')}, and here there is {generator}"
    now, then = versions(), meta.get("versions", {})
    for name in _OF_VOTES:
        if now[name] != then.get(name):
            return f"the run was made with {name} {then.get(name)}, and this is {now[name]}"
    return None


def _exactly(
    stored: Stored, material: Material, smoothed: SmoothedClassifier, rows: list[Row]
) -> Check:
    meta, problems, moved = stored.meta, [], 0
    dim = math.prod(material.dataset.input_shape)
    results = smoothed.certify_each(
        ((row.index, material.dataset[row.index][0]) for row in rows),
        plan_of(stored.run),
        norm=meta["norm"],
        certificate=smoothed.certificate(meta["norm"], meta["certificate"], dim=dim),
        on_draws=material.on_draws,
    )
    was = {row.index: row for row in rows}
    for index, result in results:
        row = was[index]
        now = Row.of(index, row.label, result, row.seconds)
        if _cast(now) == _cast(row):
            more = said_more(row, now)
            if more is not None:
                problems.append(f"input {index} got the same votes, but {more}")
            continue
        off = max(_moved(row.n0_votes, now.n0_votes), _moved(row.n_votes, now.n_votes))
        if meta["device"] != "cpu" and off <= _TIES:
            moved += 1
            continue
        problems.append(f"input {index} got other votes, a share of {off:.3g} of them")
    draws = f"{len(rows):,} inputs got the same votes again, to the last one"
    notes = []
    if moved:
        notes.append(f"{moved:,} of them up to a share of {_TIES:g}, which rounding on a GPU moves")
    problems.sort(key=lambda problem: int(problem.split()[1]))
    return Check.of(_NAME, problems, draws, *notes)


def _cast(row: Row) -> tuple[object, ...]:
    votes = (row.n0_votes, row.n_votes, row.n0_squares, row.n_squares)
    return (*(dict(each) for each in votes), row.claim)


def _moved(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """The share of votes that are for another class."""
    off = sum(abs(one.get(c, 0) - other.get(c, 0)) for c in {*one, *other})
    return off / 2 / max(sum(one.values()), 1)


def _by_test(
    stored: Stored, material: Material, smoothed: SmoothedClassifier, rows: list[Row], why: str
) -> Check:
    """Votes from other draws, by an exact test of two samples."""
    if stored.soft:
        return Check(_NAME, "not checked", f"{why}; sums of scores have no exact test")
    if smoothed.noise.num_outcomes is not None:
        return Check(_NAME, "not checked", f"{why}; enumerated votes are compared exactly only")
    plan = replace(plan_of(stored.run), seed=secrets.randbits(63))
    stages = [("n0_votes", plan.n0, "selection")]
    notes = [why]
    if stored.stops_early:
        notes.append("the run stops early, so that only votes of the selection can be tested")
    else:
        stages.append(("n_votes", plan.n, "estimation"))
    found: list[tuple[float, int]] = []
    for column, draws, stage in stages:
        inputs = ((row.index, material.dataset[row.index][0]) for row in rows)
        again = dict(smoothed.votes_each(inputs, draws, plan, stage=stage))  # type: ignore[arg-type]
        for row in rows:
            votes = again[row.index].votes  # type: ignore[union-attr]
            now = {label: int(votes[label]) for label in votes.nonzero()[0].tolist()}
            found.append((same_votes(getattr(row, column), now), row.index))
        if material.on_draws is not None:
            material.on_draws(draws * len(rows))
    adjusted = holm([p for p, _ in found])
    problems = [
        f"the votes of input {index} and new ones come from one classifier with p = {p:.2g} only, "
        f"all inputs counted"
        for p, (_, index) in sorted(zip(adjusted, found, strict=True))
        if p < LEVEL
    ]
    said = (
        f"votes of {len(rows):,} inputs and new ones can come from one classifier: the least "
        f"p-value is {min(adjusted):.2g}, by Fisher's exact test and Holm, at level {LEVEL:g}"
    )
    return Check.of(_NAME, problems, said, *notes)
