"""Rows as CSV or TSV, with every digit."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from radii.evaluation._table import Column, Table

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST = 2**31 - 1  # votes of very many classes are longer than what csv reads by default


def write(table: Table, rows: Iterable[tuple[Any, ...]], path: Path, delimiter: str) -> int:
    """Writes a file and says how many rows it has."""
    count = -1  # for the names
    with path.open("w", encoding="utf-8", newline="") as file:
        for line in lines(table, rows, delimiter):
            file.write(line)
            count += 1
    return count


def lines(table: Table, rows: Iterable[tuple[Any, ...]], delimiter: str = ",") -> Iterator[str]:
    """The names of the columns, then a line a row; what is None is empty.

    The csv module writes a float as `repr` does, from which it is read back exactly.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    for row in itertools.chain([table.names], rows):
        writer.writerow(row)
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def read(table: Table, path: Path, delimiter: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a file that `write` wrote.

    Raises:
        ValueError: If it has other columns, or a cell does not fit its column.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = _records(file, delimiter)
        names = next(records, [])
        table.check(names)
        for cells in records:
            if len(cells) != len(names):
                raise ValueError(f"a row must have {len(names)} cells, got {len(cells)}")
            yield tuple(map(_value, table.columns, cells))


def _records(file: TextIO, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        limit = csv.field_size_limit(_LONGEST)
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise ValueError(str(error)) from None
        finally:
            csv.field_size_limit(limit)
        if record is None:
            return
        yield record


def _value(column: Column, cell: str) -> object:
    if cell == "" and column.nullable:
        return None
    if column.kind == "string":
        return cell
    convert: Callable[[str], object] = float if column.kind == "float64" else int
    try:
        return convert(cell)
    except ValueError:
        what = "a number" if convert is float else "a whole number"
        raise ValueError(f"{column.name} must be {what}, got {cell!r}") from None
