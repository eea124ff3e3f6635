"""MATLAB files, in which some data sets are published."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.errors import DataError


def read_mat(path: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Arrays of a file of MATLAB 5, by name.

    Raises:
        DataError: If the file cannot be read, or lacks an array.
    """
    from scipy.io import loadmat  # slow to import, and only these data sets need it
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=list(names))
    except (
        *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, MemoryError),
        *(NotImplementedError, MatReadError, zlib.error),
    ) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{path} cannot be read ({why}); download it again") from error
    for name in names:
        if not isinstance(found.get(name), np.ndarray):
            raise DataError(f"{path} must hold an array {name!r}, and does not; download it again")
    return [found[name] for name in names]
