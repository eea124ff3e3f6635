"""Data sets that are published as files: where they are looked for, what is said if they miss."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from radii.errors import DataError

MOST_BYTES = 2**31  # of a file, unpacked; a small packed one can claim to be of any size


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The open file, unpacked if it is gzip (told by its first bytes, not by its name).

    Raises:
        DataError: If the file cannot be read, or the gzip stream is damaged or ends early.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file) as stream:
                yield cast(IO[bytes], stream)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); download it again") from error


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file, unpacked if it is gzip.

    Raises:
        DataError: If the file cannot be read, is damaged, or has more than `most` bytes.
    """
    with unpacked(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise DataError(f"{path} must have at most {most} bytes; download it again")
    return content


def not_found(name: str, files: Iterable[str], places: Iterable[Path]) -> DataError:
    """The error for a data set whose files are in none of the places."""
    searched = [str(place) for place in places]
    where = f" in {', '.join(searched)}" if searched else ", and no folder to look in was given"
    return DataError(
        f"no {' or '.join(files)} for {name!r}{where}; "
        f"pass --data-root DIR or set RADII_DATA to the folder that holds the published files"
    )
