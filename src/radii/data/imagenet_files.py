"""The files of ImageNet: which picture is of which class."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from radii.data.imagenet_synsets import Synsets, ground_truth_in
from radii.errors import DataError

_WNID = re.compile(r"n\d{8}")
_FLAT = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)
_ENDINGS = (".jpeg", ".jpg")

Found = list[tuple[str, str]]  # class and file of each picture, sorted


def of_classes(home: Path) -> Found:
    """Pictures in folders of classes."""
    return [
        (wnid, f"{wnid}/{name}")
        for wnid in _classes_in(home)
        for name in sorted(os.listdir(home / wnid))
        if name.lower().endswith(_ENDINGS) and not name.startswith(".")
    ]


def of_numbers(home: Path, beside: list[Path], synsets: Synsets | None) -> Found:
    """Pictures in one folder, whose classes the development kit lists."""
    numbered = {
        name: int(match[1]) for name in os.listdir(home) if (match := _FLAT.fullmatch(name))
    }
    if not numbered:
        return []
    truth = ground_truth_in(beside)
    if truth is None or synsets is None or not synsets.numbers:
        raise DataError(
            f"{home} holds validation pictures without their classes; unpack "
            f"ILSVRC2012_devkit_t12.tar.gz into {beside[0]}, or sort them into folders of classes"
        )
    for name, number in numbered.items():
        if not 1 <= number <= len(truth) or truth[number - 1] not in synsets.numbers:
            raise DataError(
                f"the development kit beside {home} must list the class of {name}, and does not; "
                f"unpack it again"
            )
    return sorted((synsets.numbers[truth[number - 1]], name) for name, number in numbered.items())


def _classes_in(home: Path) -> list[str]:
    if not home.is_dir():
        return []
    with os.scandir(home) as entries:
        return sorted(e.name for e in entries if _WNID.fullmatch(e.name) and e.is_dir())


def classes_of_all(homes: Iterable[Path], found: Found) -> list[str]:
    """The classes of both splits, so that labels mean the same in both."""
    listed = {wnid for home in homes for wnid in _classes_in(home)}
    return sorted(listed | {wnid for wnid, _ in found})
