"""The classes of ImageNet, from the lists that are published with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from radii.data.mat import read_mat
from radii.errors import DataError

_KIT = ("ILSVRC2012_devkit_t12/data", "devkit/data", ".")
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_MAPPING = "LOC_synset_mapping.txt"


@dataclass(frozen=True)
class Synsets:
    """The classes that a file lists.

    Attributes:
        source: The file.
        words: Synonyms with commas between, by WordNet's name, in its order.
        numbers: WordNet's name, by the number that the ground truth of the validation pictures
            has for the class; empty where the file does not say.
    """

    source: Path
    words: Mapping[str, str]
    numbers: Mapping[int, str] = field(default_factory=dict)


def synsets_in(folders: Sequence[Path]) -> Synsets | None:
    """What the development kit in one of the folders lists, or else the mapping in one of them.

    Raises:
        DataError: If such a file is damaged.
    """
    for folder in folders:
        for kit in _KIT:
            if (path := folder / kit / "meta.mat").is_file():
                return _from_kit(path)
    for folder in folders:
        if (path := folder / _MAPPING).is_file():
            lines = [line.split(" ", 1) for line in _lines(path)]
            if not lines or any(len(line) < 2 for line in lines):
                raise DataError(f"each line of {path} must be WNID WORDS; download it again")
            return Synsets(path, {wnid: words.strip() for wnid, words in sorted(lines)})
    return None


def ground_truth_in(folders: Sequence[Path]) -> list[int] | None:
    """The number of the class of each validation picture, if one of the folders has the list.

    Raises:
        DataError: If it is damaged.
    """
    for folder in folders:
        for kit in _KIT:
            if (path := folder / kit / _TRUTH).is_file():
                try:
                    return [int(line) for line in _lines(path)]
                except ValueError as error:
                    raise DataError(
                        f"{path} must hold a number on each line ({error}); unpack it again"
                    ) from error
    return None


def names_of(wnids: Sequence[str], words: Mapping[str, str]) -> tuple[str, ...]:
    """The first synonym of each class; with its WordNet name where another class has the same."""
    first = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    count = Counter(first)
    return tuple(
        name if count[name] == 1 else f"{name} ({wnid})"
        for name, wnid in zip(first, wnids, strict=True)
    )


def _from_kit(path: Path) -> Synsets:
    (table,) = read_mat(path, "synsets")
    rows = table.reshape(-1)
    wanted = {"ILSVRC2012_ID", "WNID", "words", "num_children"}
    if not wanted <= set(rows.dtype.names or ()):
        raise DataError(
            f"'synsets' in {path} must have the fields {', '.join(sorted(wanted))}, got "
            f"{', '.join(rows.dtype.names or ()) or 'none'}; unpack the development kit again"
        )
    try:
        leaves = [row for row in rows if _number(row, "num_children") == 0]
        numbers = {_number(row, "ILSVRC2012_ID"): _text(row, "WNID") for row in leaves}
        words = {_text(row, "WNID"): _text(row, "words") for row in leaves}
        if not len(numbers) == len(words) == len(leaves):
            raise ValueError("two classes have the same ILSVRC2012_ID or WNID")
    except ValueError as error:
        raise DataError(
            f"'synsets' in {path} cannot be read ({error}); unpack the development kit again"
        ) from error
    return Synsets(path, dict(sorted(words.items())), numbers)


def _number(row: Any, field: str) -> int:
    values = np.asarray(row[field])
    if values.size != 1 or values.dtype.kind not in "iuf" or not float(values.item()).is_integer():
        raise ValueError(f"{field} must be a whole number, got {values.tolist()!r:.80}")
    return int(values.item())


def _text(row: Any, field: str) -> str:
    values = np.asarray(row[field])
    if values.size != 1 or values.dtype.kind != "U":
        raise ValueError(f"{field} must be a text, got {values.tolist()!r:.80}")
    return str(values.item())


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); download it again") from error
