"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from radii.errors import DataError


def expanded(path: str | Path) -> Path:
    """A path with the home folder in the place of `~`, or a user's in that of `~user`.

    Raises:
        DataError: If there is no such folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"{str(path)!r} must begin with a folder that is known, and whose home it means is "
            f"not; write the path without '~'"
        ) from error
