"""Rows as CSV or TSV, with every digit."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from radii.evaluation.ledger import COLUMNS

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_TEXTS = ("n0_votes", "n_votes", "claim")
_FLOATS = ("radius", "pA_lower", "pB_upper", "seconds")
_MAY_BE_EMPTY = ("prediction", "claim")
_LONGEST = 2**31 - 1  # votes of very many classes are longer than what csv reads by default


def write(rows: Iterable[tuple[Any, ...]], path: Path, delimiter: str) -> int:
    """Writes a file and says how many rows it has."""
    count = -1  # for the names
    with path.open("w", encoding="utf-8", newline="") as file:
        for line in lines(rows, delimiter):
            file.write(line)
            count += 1
    return count


def lines(rows: Iterable[tuple[Any, ...]], delimiter: str = ",") -> Iterator[str]:
    """The names of the columns, then a line a row; what is None is empty.

    The csv module writes a float as `repr` does, from which it is read back exactly.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    for row in itertools.chain([COLUMNS], rows):
        writer.writerow(row)
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def read(path: Path, delimiter: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a file that `write` wrote.

    Raises:
        ValueError: If it has other columns, or a cell does not fit its column.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = _records(file, delimiter)
        names = tuple(next(records, ()))
        if names != COLUMNS:
            raise ValueError(f"its columns must be {', '.join(COLUMNS)}, got {', '.join(names)}")
        for cells in records:
            if len(cells) != len(COLUMNS):
                raise ValueError(f"a row must have {len(COLUMNS)} cells, got {len(cells)}")
            pairs = zip(COLUMNS, cells, strict=True)
            yield tuple(_value(name, cell) for name, cell in pairs)


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


def _value(name: str, cell: str) -> object:
    if cell == "" and name in _MAY_BE_EMPTY:
        return None
    if name in _TEXTS:
        return cell
    convert: Callable[[str], object] = float if name in _FLOATS else int
    try:
        return convert(cell)
    except ValueError:
        what = "a number" if convert is float else "a whole number"
        raise ValueError(f"{name} must be {what}, got {cell!r}") from None
