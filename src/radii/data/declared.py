"""Files of numpy must be as long as their headers say, before memory is asked for."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

_PACKED = 1100  # bytes that one packed byte can stand for: deflate reaches 1,032
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # the same with names of fields in UTF-8
}


def check_npz(path: Path, names: Iterable[str]) -> None:
    """Refuses a file of `numpy.savez` in which one of these arrays is not as long as it says.

    Raises:
        ValueError: If an array is not, or the file is no such file.
        OSError: If it cannot be read.
        zipfile.BadZipFile: If it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        for name in names:
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > _PACKED * (member.compress_size + 1):
                raise ValueError(
                    f"{name!r} must be packed by numpy, got {member.compress_size} bytes that "
                    f"stand for {member.file_size}"
                )
            with archive.open(member) as file:
                check_npy(file, member.file_size, name)


def check_npy(file: IO[bytes], size: int, name: str) -> None:
    """Refuses an array that is not as long as its header says.

    Args:
        file: At its start.
        size: Of the file in bytes.
        name: What errors call it.

    Raises:
        ValueError: If it is not, or has no header.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{name!r} must be an array of numpy, got format {version}")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError(f"{name!r} holds Python objects, and it is read with allow_pickle=False")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != size - file.tell() or any(length > 2**40 for length in shape):
        raise ValueError(
            f"{name!r} must have the {wanted} bytes that its shape {shape} needs, got "
            f"{size - file.tell()}"
        )
