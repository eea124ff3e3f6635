"""Data sets that are published as files: where they are looked for, what is said if they miss."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path

from radii.errors import DataError


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if it is gzip (told by its first bytes, not by its name).

    Raises:
        DataError: If the file cannot be read, or the gzip stream is damaged or ends early.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); download it again") from error


def not_found(name: str, files: Iterable[str], places: Iterable[Path]) -> DataError:
    """The error for a data set whose files are in none of the places."""
    searched = [str(place) for place in places]
    where = f" in {', '.join(searched)}" if searched else ", and no folder to look in was given"
    return DataError(
        f"no {' or '.join(files)} for {name!r}{where}; "
        f"pass --data-root DIR or set RADII_DATA to the folder that holds the published files"
    )
