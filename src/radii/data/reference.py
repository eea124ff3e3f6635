"""From what a user writes to a data set: `NAME[:PATH][@SPLIT]`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from radii.data.base import DATASETS, Dataset
from radii.data.paths import expanded
from radii.errors import UnknownNameError, did_you_mean

_GRAMMAR = re.compile(r"(?P<name>[^:@]+)(:(?P<path>.*?))?(@(?P<split>\w+))?", re.DOTALL)


def load(reference: str, *, root: Path | str | None = None, split: str | None = None) -> Dataset:
    """The data set that a reference names.

    Args:
        reference: `NAME[:PATH][@SPLIT]`, such as `mnist5k`, `cifar10@train` or
            `npz:inputs.npz@test`.
        root: The folder of published data sets; without it, the environment variable RADII_DATA.
        split: The one that is meant where the reference names none; without it, the first that
            the reader lists: test.

    Returns:
        The data set; its `reference` names the split.

    Raises:
        UnknownNameError: If the name or the split is unknown, or a path is missing or not wanted.
        DataError: If a file is missing or is not what it should be.

    Example:
        >>> dataset = load("mnist5k")
        >>> dataset.reference, len(dataset), dataset.input_shape, dataset.num_classes
        ('mnist5k@test', 1000, (1, 28, 28), 10)
    """
    match = _GRAMMAR.fullmatch(reference)
    if match is None:
        raise UnknownNameError(f"a data set must be written NAME[:PATH][@SPLIT], got {reference!r}")
    name, path = match["name"], match["path"]
    reader_class = DATASETS[name]
    splits = reader_class.splits
    meant = split or splits[0]
    split = match["split"] or meant
    if reader_class.takes_path and not path:
        raise UnknownNameError(f"dataset {name!r} needs a path; write {name}:PATH")
    if path is not None and not reader_class.takes_path:
        raise UnknownNameError(
            f"dataset {name!r} takes no path, got {path!r}; write {name}, "
            f"and pass --data-root DIR or set RADII_DATA for the folder of published data sets"
        )
    if split not in splits:
        hint = f" If it belongs to the path, add @{meant}." if path else ""
        raise UnknownNameError(
            f"dataset {name!r} has no split {split!r}; known: {', '.join(splits)}."
            + (did_you_mean(split, splits) or hint)
        )
    if path and getattr(reader_class, "positional", None):
        reader = DATASETS.build(f"{name}:{path}")  # further parameters may follow the path
    else:
        reader = DATASETS.build({"name": name, "path": path} if path else {"name": name})
    source = f"{name}:{path}" if path else name
    folder = root or os.environ.get("RADII_DATA")
    return reader.read(split, expanded(folder) if folder else None, f"{source}@{split}")
