"""The check of the field `dim`."""

from __future__ import annotations


def check_dim(dim: int) -> None:
    """A `ValueError` if this is no number of coordinates."""
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
        raise ValueError(f"dim must be a whole number of at least 1, got {dim!r}")
