"""What every run checks and records of its base classifier, its data and the machine."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np

from radii.certificates import Certificate
from radii.data import Dataset
from radii.errors import DataError
from radii.evaluation.seeds import training_of
from radii.models import Base
from radii.noise import Noise
from radii.provenance import git_revision, versions
from radii.records import IntArray
from radii.smoothing import SmoothedClassifier

_LOOKED_AT = 100  # inputs, or up to twice as many


def check_fit(
    smoothed: SmoothedClassifier,
    base: Base,
    dataset: Dataset,
    indices: IntArray,
    certificate: Certificate | None = None,
) -> None:
    """Refuses inputs and labels that the base classifier or the certificate was not made for.

    Raises:
        DataError: If shapes or classes differ, or an input has an objection against it.
    """
    shape, given = smoothed.input_shape, dataset.input_shape
    if shape is not None and shape != given:
        raise DataError(
            f"inputs of {dataset.reference} must have shape {shape}, "
            f"which the base classifier takes, got {given}."
        )
    about = [smoothed.noise, certificate]
    _check_domain([each for each in about if each and each.domain], dataset, indices)
    labels = dataset.labels[indices]
    outside = (labels < 0) | (labels >= smoothed.num_classes)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise DataError(
            f"label of input {indices[first]} must be in [0, {smoothed.num_classes}), "
            f"the classes of the base classifier, got {labels[first]}; "
            f"give a data set with the classes that it was trained on."
        )
    _check_names(base, dataset)


def _check_names(base: Base, dataset: Dataset) -> None:
    """Refuses classes that the base classifier knows by the same names and other numbers."""
    known, given = base.class_names or (), dataset.class_names
    if given == known[: len(given)] or not set(given) <= set(known):
        return
    label = next(at for at, name in enumerate(given) if known[at] != name)
    raise DataError(
        f"class {label} of {dataset.reference} is {given[label]!r}, and class {label} of the base "
        f"classifier {known[label]!r}; number the classes as it does, in a folder by a subfolder "
        f"for each of them, empty where there is no picture."
    )


def _check_domain(
    about: Sequence[Noise | Certificate], dataset: Dataset, indices: IntArray
) -> None:
    """Looks at some inputs before the run begins; each is looked at again when its turn comes."""
    if not about:
        return
    for index in indices[:: max(1, len(indices) // _LOOKED_AT)]:
        x = dataset[int(index)][0]
        objection = next(filter(None, (each.objection(x) for each in about)), None)
        if objection is not None:
            raise DataError(f"input {index} of {dataset.reference} {objection}.")


def notes_of(base: Base, dataset: Dataset, device_name: str) -> dict[str, Any]:
    """What a ledger records once, and does not compare."""
    return {
        "base": base.reference,
        **training_of(base.details),
        "data": dataset.reference,
        "data_examples": len(dataset),
        "class_names": list(dataset.class_names),
        "versions": versions(),
        "git_revision": git_revision(),
        "device_name": device_name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
