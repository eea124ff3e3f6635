"""Rows as Parquet, from the extra `parquet`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from radii.evaluation._table import Table
from radii.extras import imported

_KEY = b"radii"
_ROWS = 1000  # in memory at a time


def write(table: Table, rows: Iterable[tuple[Any, ...]], header: str, path: Path) -> None:
    """Writes a file with `header` in the metadata of its schema."""
    pyarrow, parquet = _library()
    fields = [
        pyarrow.field(each.name, pyarrow.type_for_alias(each.kind), nullable=each.nullable)
        for each in table.columns
    ]
    schema = pyarrow.schema(fields, metadata={_KEY: header.encode()})
    left = iter(rows)
    with parquet.ParquetWriter(path, schema) as file:
        while batch := list(itertools.islice(left, _ROWS)):
            columns = [list(column) for column in zip(*batch, strict=True)]
            file.write_table(pyarrow.table(columns, schema=schema))


def header_of(path: Path) -> str | None:
    """What `write` put into the metadata; None if there is nothing.

    Raises:
        ValueError: If it is no Parquet file.
    """
    metadata = _library()[1].read_schema(path).metadata or {}
    return metadata[_KEY].decode() if _KEY in metadata else None


def read(table: Table, path: Path) -> Iterator[tuple[Any, ...]]:
    """The rows of a file that `write` wrote.

    Raises:
        ValueError: If it has other columns.
    """
    _, parquet = _library()
    with parquet.ParquetFile(path) as file:
        table.check(file.schema_arrow.names)
        for batch in file.iter_batches(_ROWS):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _library() -> tuple[Any, Any]:
    instead = "or take the ending .csv or .tsv"
    return imported("pyarrow", "parquet", instead), imported("pyarrow.parquet", "parquet", instead)
