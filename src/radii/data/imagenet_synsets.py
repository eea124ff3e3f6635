"""The classes of ImageNet, from the lists that are published with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
    leaves = [row for row in rows if int(np.asarray(row["num_children"]).item()) == 0]
    numbers = {int(row["ILSVRC2012_ID"].item()): str(row["WNID"].item()) for row in leaves}
    words = {str(row["WNID"].item()): str(row["words"].item()) for row in leaves}
    return Synsets(path, dict(sorted(words.items())), numbers)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); download it again") from error
