"""A few attacked inputs to look at, chosen by a rule: picture, perturbation, both together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radii.data import Dataset
from radii.evaluation.attack_export import Attacked
from radii.evaluation.attack_ledger import AttackRow
from radii.evaluation.report.pictures import Bar, bars_of, check_same, is_picture, png
from radii.evaluation.report.summary import class_name
from radii.rounding import floored


@dataclass(frozen=True)
class AttackPicture:
    """One attacked input, ready to be shown.

    Attributes:
        role: Why this input was chosen.
        index: Of the input in its data set.
        label: Name of the true class.
        before: Name of the class answered at the input, or None where it abstained.
        after: Name of the class answered under attack, or None where it abstained.
        broken: Whether a right answer became a wrong one.
        norm: Of the perturbation, in the norm of the report, with four decimals, floored.
        factor: By which the perturbation is multiplied to be seen; grey is no change.
        clean: The input, as a data URI of a PNG.
        delta: The perturbation.
        perturbed: The perturbed input, clipped to [0, 1] for display only.
        votes_before: The classes with most votes at the input.
        votes_after: The classes with most votes under attack.
    """

    role: str
    index: int
    label: str
    before: str | None
    after: str | None
    broken: bool
    norm: str
    factor: str
    clean: str
    delta: str
    perturbed: str
    votes_before: tuple[Bar, ...]
    votes_after: tuple[Bar, ...]


def choose_attacked(rows: Sequence[AttackRow], norm: str) -> list[tuple[str, AttackRow]]:
    """Up to five inputs with their roles; none twice, and equals are told apart by their index.

    They are the smallest, the median and the largest perturbation of those that broke an answer,
    the smallest of those that led to an abstention, and the input with the smallest index that was
    right before and after.
    """

    def by_norm(row: AttackRow) -> tuple[float, int]:
        return row.norm(norm), row.index

    broken = sorted((row for row in rows if row.success), key=by_norm)
    right = [row for row in rows if row.clean == row.label]
    silent = sorted((row for row in right if row.prediction is None), key=by_norm)
    found = []
    if broken:
        found.append(("smallest that broke it", broken[0]))
    if len(broken) > 2:
        found.append(("median that broke it", broken[(len(broken) - 1) // 2]))
    if len(broken) > 1:
        found.append(("largest that broke it", broken[-1]))
    found += [("led to an abstention", row) for row in silent[:1]]
    found += [("not broken", row) for row in right if row.prediction == row.label][:1]
    return found


def attack_pictures_of(ledger: Attacked, dataset: Dataset, norm: str) -> list[AttackPicture]:
    """The chosen inputs of an attack run.

    Args:
        ledger: The run.
        dataset: The data set that it is about.
        norm: In which perturbations are measured: `l1`, `l2` or `linf`.

    Returns:
        Nothing if the inputs are not images of one or three channels, or were not kept.

    Raises:
        DataError: If the run is about another data set.
    """
    if not is_picture(dataset.input_shape) or "data_fingerprint" not in ledger.meta:
        return []
    check_same(dataset, ledger.meta, ledger.path)
    chosen = choose_attacked(list(ledger.rows()), norm)
    made = (_picture(role, ledger.row(row.index), dataset, norm) for role, row in chosen)
    return [picture for picture in made if picture is not None]


def _picture(role: str, row: AttackRow, dataset: Dataset, norm: str) -> AttackPicture | None:
    if row.x is None:
        return None
    clean = dataset[row.index][0].numpy()
    delta = row.x.astype(np.float64) - clean
    largest = float(np.abs(delta).max())
    factor = _factor(largest)
    names = dataset.class_names
    return AttackPicture(
        role=role,
        index=row.index,
        label=class_name(names, row.label),
        before=None if row.clean is None else class_name(names, row.clean),
        after=None if row.prediction is None else class_name(names, row.prediction),
        broken=row.success,
        norm=floored(row.norm(norm), 4),
        factor=factor,
        clean=png(clean),
        delta=png(0.5 + float(factor) * delta),
        perturbed=png(row.x),
        votes_before=bars_of(row.clean_votes, names),
        votes_after=bars_of(row.votes, names),
    )


def _factor(largest: float) -> str:
    """What makes a perturbation span the grey scale; two digits, floored so that none is cut."""
    if not largest:
        return "1"
    factor = 0.5 / largest
    return floored(factor, max(0, 1 - math.floor(math.log10(factor))))
