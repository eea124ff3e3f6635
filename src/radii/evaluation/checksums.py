"""What finds accidents in stored runs: a checksum a row, and a hash of all that a run holds.

They are no secret, so whoever edits a run on purpose can compute them anew; only a signed seal
finds that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

COLUMN = "checksum"
_BYTES = 16


def _hash_of_bytes(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "INTEGER": int,
    "REAL": float,
    "TEXT": str,
    "BLOB": _hash_of_bytes,
}


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces, ASCII only, and floats as the shortest text of each.

    Example:
        >>> canonical({"b": 0.1, "a": [None, 1]})
        '{"a":[null,1],"b":0.1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def hash_of_spec(meta: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of everything under `meta`, as JSON holds it."""
    return hashlib.sha256(canonical(json.loads(json.dumps(dict(meta)))).encode()).hexdigest()


def canonical_row(columns: Mapping[str, str], values: Sequence[Any]) -> str:
    """A row but for its checksum, as canonical JSON of the types that its columns declare.

    Bytes stand in it as their SHA-256 in hex.

    Args:
        columns: Declarations by name, in the order of the values.
        values: What stands under them; columns that are missing at the end count as NULL.

    Raises:
        ValueError: If a value is not of the type of its column.
        TypeError: The same.
    """
    kept = []
    for at, (name, declared) in enumerate(columns.items()):
        if name == COLUMN:
            continue
        value = values[at] if at < len(values) else None
        kept.append(None if value is None else _TYPES[declared.partition(" ")[0]](value))
    return canonical(kept)


def checksum_of(columns: Mapping[str, str], values: Sequence[Any], spec: str) -> str:
    """The checksum of a row: 32 hex digits of SHA-256 over the hash of the spec and the row.

    A row of another run has another one, and so has a row that changed its place with another.

    Args:
        columns: See `canonical_row`.
        values: See `canonical_row`.
        spec: `hash_of_spec` of the run.

    Raises:
        ValueError: If a value is not of the type of its column.
        TypeError: The same.
    """
    text = f"{spec}\n{canonical_row(columns, values)}"
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _BYTES]


def content_hash(
    columns: Mapping[str, str], meta: Mapping[str, Any], rows: Iterable[Sequence[Any]]
) -> str:
    """SHA-256 (hex) of a run: `meta`, then its rows by index, each line canonical JSON.

    It depends neither on how SQLite lays out its pages nor on checksums, and an export of the run
    has the same.
    """
    digest = hashlib.sha256(f"{canonical(json.loads(json.dumps(dict(meta))))}\n".encode())
    for values in rows:
        digest.update(f"{canonical_row(columns, values)}\n".encode())
    return digest.hexdigest()
