"""Small logs, written by hand."""

from __future__ import annotations

from pathlib import Path

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
GOOD = (
    "0\t7\t7\t0.953\t1\t0:00:02.123456",
    "20\t2\t-1\t0.0\t0\t0:00:00.5",
    "40\t1\t4\t0.0746\t0\t1:01:01",
)
GAUSSIAN = "gaussian:sigma=0.25"


def write(path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    """A log with these lines; `end` is what comes after the last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join((header, *lines)) + end).encode())
    return path
