"""The logs of the published code: idx, label, predict, radius, correct, time, with tabs between.

Cohen et al. 2019 wrote the first of them (arXiv:1902.02918); those who built on their code kept
the columns, or added some. `predict` is -1 where it abstained, and a radius that is 0 or `nan`
certifies nothing either. The radius was rounded to three significant digits, to nearest. `correct`
is not used: some logs have a running total there.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from radii.errors import DataError
from radii.evaluation.importers.base import ABSTAINED, Columns, Imported, Terms, place
from radii.evaluation.importers.fit import CountTable, Printed
from radii.evaluation.metrics import BoolArray
from radii.noise import NOISES
from radii.records import FloatArray, IntArray
from radii.rounding import floored

T = TypeVar("T")
COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
_N0 = 100  # of Cohen et al.
_USUAL_ALPHAS = (0.001, 0.01, 0.05, 0.1, 0.005, 0.0005, 0.0001)
_LARGEST = 2**31  # no data set has as many inputs or classes
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TIME = re.compile(
    r"(?:(?P<days>[0-9]+) days?, )?(?P<h>[0-9]+):(?P<m>[0-5]?[0-9]):(?P<s>[0-5]?[0-9](?:\.[0-9]+)?)"
)


@dataclass(frozen=True)
class Table:
    """A log as text.

    Attributes:
        source: The file.
        sha256: Of its bytes.
        columns: Cells by name.
        lines: Where each row stands in the file, from 1.
        notes: What was left out.
    """

    source: Path
    sha256: str
    columns: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]
    notes: tuple[str, ...]


def read_tsv(
    source: Path, name: str, terms: Terms, table_of: Callable[[Terms], CountTable]
) -> Imported:
    """A log of the published code.

    Args:
        source: The file.
        name: What its ledger is called among those of a tree.
        terms: What is known of it beside its rows.
        table_of: The table of counts of these terms.

    Raises:
        DataError: If it is no such log, or its radii fit no counts under these terms.
    """
    table = _table(source)
    index = _column(table, "idx", _whole(0, "a whole number of at least 0"))
    label = _column(table, "label", _whole(0, "a class, a whole number of at least 0"))
    predicted = _whole(ABSTAINED, "a class, or -1 where it abstained")
    prediction = _column(table, "predict", predicted)
    radius = _column(table, "radius", _radius)
    correct = _column(table, "correct", _correct)
    seconds = np.array(_column(table, "time", _seconds), dtype=np.float64)
    _once(table, index)
    for at, (answer, r) in enumerate(zip(prediction, radius, strict=True)):
        if answer == ABSTAINED and r > 0:
            raise DataError(
                f"{place(source, table.lines[at])}: radius must be 0 where predict is -1, which "
                f"says that it abstained, got {table.columns['radius'][at]!r}; correct the log."
            )
    certified = np.array(radius) > 0  # nan is not
    labels, answers = np.array(label, dtype=np.int64), np.array(prediction, dtype=np.int64)
    notes = [*table.notes, *_of_correct(source, labels == answers, np.array(correct))]
    lost = int(np.count_nonzero(~certified & (answers != ABSTAINED)))
    if lost:
        notes.append(
            f"{str(source)!r} has {lost:,} answers with radius 0 or nan: nothing is certified of "
            f"these inputs, and they are taken as abstentions."
        )
    terms = replace(terms, n0=terms.n0 or _N0)
    counts = table_of(terms)
    fits, bounding, printed, misfits = _fits(table, certified, counts, terms)
    bounds = counts.bounds(bounding)
    return Imported(
        source=source,
        name=name,
        terms=terms,
        columns=Columns(
            index=np.array(index, dtype=np.int64),
            label=labels,
            prediction=np.where(certified, answers, ABSTAINED),
            radius=np.where(certified, np.array(radius), 0.0),
            fits=fits,
            pA_lower=bounds.pA_lower,
            pB_upper=bounds.pB_upper,
            seconds=seconds,
            line=np.array(table.lines, dtype=np.int64),
        ),
        about={
            "layout": "certify_tsv",
            "file": source.name,
            "sha256": table.sha256,
            "significant_digits": printed.digits,
            "decimals": printed.decimals,
            "fit_no_count": int(np.count_nonzero(fits[:, 0] < 0)),
        },
        notes=(*notes, *misfits),
        samples=(terms.n0 or 0) + terms.n,
    )


def _table(source: Path) -> Table:
    content = source.read_bytes()
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(source)!r} must be a text, a log with the columns {_listed(COLUMNS)}, but byte "
            f"{error.start:,} is none; choose another file."
        ) from None
    lines = [line.removesuffix("\r") for line in lines]
    if not any(lines):
        raise DataError(
            f"{str(source)!r} must have the columns {_listed(COLUMNS)}, but the file is empty; "
            f"choose another file."
        )
    names = lines[0].split("\t")
    _check_names(source, names)
    rows, numbers, notes = [], [], []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if not line.strip() or cells == names:  # logs of several parts repeat their header
            continue
        if len(cells) != len(names):
            if number == len(lines) and len(cells) < len(names):  # without an end of line
                notes.append(
                    f"{place(source, number)} is cut off, as where a program was stopped: "
                    f"it is left out."
                )
                continue
            raise DataError(
                f"{place(source, number)}: a row must have {len(names)} cells with tabs between, "
                f"as its header, got {len(cells)}; correct the log."
            )
        if "idx" in cells:
            raise DataError(
                f"{place(source, number)}: a log must have one header, {_listed(names)}, "
                f"got another, {_listed(cells)}; import the two parts as two files."
            )
        rows.append(cells)
        numbers.append(number)
    if not rows:
        raise DataError(
            f"{place(source, 2)}: a row of {_listed(names)} must follow the header, "
            f"got the end of the file; choose another file."
        )
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    sha256 = hashlib.sha256(content).hexdigest()
    return Table(source, sha256, columns, tuple(numbers), tuple(notes))


def _check_names(source: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if missing or twice:
        what = f"lacks {_listed(missing)}" if missing else f"names {_listed(twice)} twice"
        shown = "\t".join(names)
        raise DataError(
            f"{place(source, 1)}: a log must have a header with {_listed(COLUMNS)} and tabs "
            f"between, but {shown[:80]!r} {what}; choose another file."
        )


def _column(table: Table, name: str, convert: Callable[[str], T]) -> list[T]:
    """A column as numbers; `convert` raises a `ValueError` that says what is expected."""
    cells = table.columns[name]
    try:
        return [convert(cell) for cell in cells]
    except (ValueError, OverflowError):
        for cell, line in zip(cells, table.lines, strict=True):
            try:
                convert(cell)
            except (ValueError, OverflowError) as error:
                raise DataError(
                    f"{place(table.source, line)}: {name} must be {error}, got {cell[:80]!r}; "
                    f"correct the log."
                ) from None
        raise


def _whole(least: int, what: str) -> Callable[[str], int]:
    def convert(cell: str) -> int:
        if not (cell.isascii() and cell.removeprefix("-").isdigit()):
            raise ValueError(what)
        value = int(cell)
        if not least <= value < _LARGEST:
            raise ValueError(what)
        return value

    return convert


def _radius(cell: str) -> float:
    if _NUMBER.fullmatch(cell):
        value = float(cell)
        if 0 <= value < math.inf:
            return value
    elif cell == "nan":
        return math.nan
    raise ValueError("a finite number of at least 0, or nan where nothing is certified")


def _correct(cell: str) -> float:
    if cell in ("True", "False"):
        return float(cell == "True")
    if _NUMBER.fullmatch(cell):
        return float(cell)
    raise ValueError("a number")


def _seconds(cell: str) -> float:
    found = _TIME.fullmatch(cell)
    if found:
        days, hours, minutes, seconds = found.groups()
        return 86400 * float(days or 0) + 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    if _NUMBER.fullmatch(cell) and 0 <= float(cell) < math.inf:
        return float(cell)
    raise ValueError("seconds, or hours, minutes and seconds as 0:00:02.5")


def _once(table: Table, index: Sequence[int]) -> None:
    if len(set(index)) == len(index):
        return
    first: dict[int, int] = {}
    for value, line in zip(index, table.lines, strict=True):
        if value in first:
            raise DataError(
                f"{place(table.source, line)}: each idx must stand once, got {value} again, which "
                f"is on line {first[value]}; import each run from a file of its own."
            )
        first[value] = line


def _of_correct(source: Path, right: BoolArray, correct: FloatArray) -> list[str]:
    """A note if the column `correct` is another than `predict == label`."""
    differs = int(np.count_nonzero(right != correct))
    if not differs:
        return []
    total = np.cumsum(right)
    share = total / np.arange(1, len(right) + 1)
    running = np.array_equal(correct, total) or np.allclose(correct, share, rtol=0, atol=1e-3)
    return [
        f"{str(source)!r} has a column correct that "
        + ("is a running total" if running else f"differs from predict and label {differs:,} times")
        + ": it is not used, predict and label are."
    ]


def _fits(
    table: Table, certified: BoolArray, counts: CountTable, terms: Terms
) -> tuple[IntArray, IntArray, Printed, list[str]]:
    """The votes that fit each radius as it was printed.

    Returns:
        `(examples, 2)` the least and the most of them, -1 where none does; `(examples,)` a count
        that certifies no more than the radius; how radii were printed; and what to say of those
        that no count fits.
    """
    texts = table.columns["radius"]
    positive = [text for text, sure in zip(texts, certified, strict=True) if sure]
    different = list(dict.fromkeys(positive))
    printed = Printed.of(different)
    values = np.array([float(text) for text in different], dtype=np.float64)
    half = np.array([printed.half_unit(text) for text in different], dtype=np.float64)
    low, high = values - half, values + half
    each = counts.fitting_radii(low, high)
    none = each[:, 0] > each[:, 1]
    least = np.where(none, counts.below(low), each[:, 0])
    each[none] = -1
    position = {text: at for at, text in enumerate(different)}
    where = np.array([position[text] for text in positive], dtype=np.int64)
    fits = np.empty((len(texts), 2), dtype=np.int64)
    fits[:] = counts.abstaining
    fits[certified] = each[where]
    bounding = fits[:, 0].copy()
    bounding[certified] = least[where]
    off = int(np.count_nonzero(fits[:, 0] < 0))
    if not off:
        return fits, bounding, printed, []
    said = _of_misfits(table, fits, off, len(positive), counts, terms)
    other = _other_alpha(low, high, terms)
    if other is not None:
        said += f"; all of its radii fit alpha {other}"
    if 2 * off > len(positive):
        raise DataError(f"{said}; give noise, n and alpha of the log.")
    said += ". They are kept as published; give noise, n and alpha of the log if they are others."
    return fits, bounding, printed, [said]


def _of_misfits(
    table: Table, fits: IntArray, off: int, certified: int, counts: CountTable, terms: Terms
) -> str:
    """The start of a sentence about radii that no count fits."""
    first = int(np.flatnonzero(fits[:, 0] < 0)[0])
    return (
        f"{place(table.source, table.lines[first])}: radius must be one that some count of "
        f"{terms.n:,} votes gives under {NOISES.spec_of(terms.certificate.noise)} at alpha "
        f"{terms.alpha}, {floored(counts.radius[-1], 3)} at most, got "
        f"{table.columns['radius'][first]!r}, and so {off:,} of {certified:,} radii"
    )


def _other_alpha(low: FloatArray, high: FloatArray, terms: Terms) -> float | None:
    """A usual alpha under which each radius is one that a count gives."""
    for alpha in _USUAL_ALPHAS:
        if alpha != terms.alpha:
            fits = CountTable(terms.certificate, terms.n, alpha).fitting_radii(low, high)
            if np.all(fits[:, 0] <= fits[:, 1]):
                return alpha
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
