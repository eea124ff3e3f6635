"""From published results, one or a whole tree of them, to ledgers; all of them or none."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radii.certificates import Certificate
from radii.data import Dataset
from radii.errors import DataError, LedgerError
from radii.evaluation._faults import check_writable
from radii.evaluation.importers.base import Imported, Settings, Terms
from radii.evaluation.importers.fit import CountTable
from radii.evaluation.importers.pattern import Found, Pattern
from radii.evaluation.importers.rs4a import is_rs4a, read_rs4a
from radii.evaluation.importers.tsv import read_tsv
from radii.evaluation.ledger import LedgerWriter
from radii.models.checkpoint import sync_folder
from radii.provenance import versions


@dataclass(frozen=True)
class Source:
    """A published result that was found.

    Attributes:
        path: The file, or the folder of arrays.
        name: Its place in the tree, with slashes between folders.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Written:
    """Ledgers that were written.

    Attributes:
        ledgers: Each ledger, and what it was made from.
        left_out: Names of files that did not fit the pattern.
    """

    ledgers: tuple[tuple[Path, Imported], ...]
    left_out: tuple[str, ...]


def import_results(
    sources: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    pattern: Pattern | None = None,
    dataset: Dataset | str | None = None,
    on_start: Callable[[int], object] | None = None,
    on_read: Callable[[], object] | None = None,
) -> Written:
    """Published results as ledgers, once all of them are read and checked.

    One result becomes the file `out`. A folder of results, or several, become a folder `out`, with
    the names that they have in their tree. What is written appears whole or not at all.

    Args:
        sources: Files, folders of arrays, or folders of any of these.
        out: The ledger, or the folder of ledgers. There must be none yet.
        settings: What the results do not say.
        pattern: What their paths say; files in a folder that do not fit it are left out.
        dataset: What they are about; labels are compared with it. If it is not at hand, its name.
        on_start: Is told how many results there are.
        on_read: Is called after each of them.

    Raises:
        DataError: If a result cannot be read, or does not fit settings or data set.
        LedgerError: If `out` exists.
        ValueError: If a path lacks what the settings need from it.
    """
    if not sources:
        raise ValueError("sources must be at least one file or folder, got none")
    tree = len(sources) > 1 or (sources[0].is_dir() and not is_rs4a(sources[0]))
    found, left_out = _matching(*_found(sources), pattern, tree=tree)
    _check_free(out, tree)
    if on_start is not None:
        on_start(len(found))
    tables: dict[tuple[Certificate, int, float], CountTable] = {}

    def table_of(terms: Terms) -> CountTable:
        key = (terms.certificate, terms.n, terms.alpha)
        if key not in tables:
            tables[key] = CountTable(*key)
        return tables[key]

    dim = None if dataset is None or isinstance(dataset, str) else _dim(dataset)
    read = []
    for source, said in found:
        try:
            terms = settings.of(said, dim)
        except ValueError as error:
            raise type(error)(f"{str(source.path)!r}: {error}") from error
        reader = read_rs4a if is_rs4a(source.path) else read_tsv
        read.append(reader(source.path, source.name, terms, table_of))
        read[-1].of_data(dataset)  # so that nothing is written if one of them does not fit
        if on_read is not None:
            on_read()
    return Written(tuple(_write(read, out, dataset, tree=tree)), left_out)


def _found(sources: Sequence[Path]) -> tuple[list[Source], str]:
    """Every result, named as in the smallest tree that holds all sources; the name of that tree."""
    for path in sources:
        if not path.exists():
            raise DataError(f"no log at {str(path)!r}; give a file, or a folder of files.")
    places = [path.absolute() for path in sources]
    top = Path(os.path.commonpath(places))
    if top.is_file() or is_rs4a(top):
        top = top.parent
    results: dict[Path, str] = {}
    for path, place in zip(sources, places, strict=True):
        for each in _results(path):
            where = place / each.relative_to(path)
            results.setdefault(each, where.relative_to(top).as_posix())
    if not results:
        raise DataError(f"{str(sources[0])!r} must hold logs, but no file is in it.")
    return [Source(path, name) for path, name in results.items()], top.name


def _results(path: Path) -> list[Path]:
    """The results in a file or folder, in the order of their names; hidden ones are left out."""
    if path.is_file() or is_rs4a(path):
        return [path]
    inner = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    return [result for each in inner for result in _results(each)]


def _matching(
    sources: Sequence[Source], top: str, pattern: Pattern | None, *, tree: bool
) -> tuple[list[tuple[Source, Found]], tuple[str, ...]]:
    """Each result with what its path says, and the names of those that do not fit.

    Results of a tree whose path in it says nothing of the training are named after the tree.
    """
    if pattern is None:
        return [(source, Found()) for source in sources], ()
    found, left_out = [], []
    for source in sources:
        said = pattern.match(source.name)
        if said is None and (above := pattern.match(source.path.absolute().as_posix())):
            said = Found(above.fields)  # its folders are those of a machine
        if said is None:
            left_out.append(source.name)
            continue
        if tree and not said.folder and "objective" not in said.fields:
            said = Found(said.fields, top)
        found.append((source, said))
    if not found:
        raise DataError(
            f"a path must end as --pattern {pattern.text!r} says, but none of {len(sources):,} "
            f"does, the first being {sources[0].name!r}; correct the pattern."
        )
    return found, tuple(left_out)


def _check_free(out: Path, tree: bool) -> None:
    if out.exists() and not (tree and out.is_dir() and not any(out.iterdir())):
        raise LedgerError(
            f"{str(out)!r} exists, and an import goes on with nothing; write to another --out."
        )


def _dim(dataset: Dataset) -> int:
    dim = 1
    for size in dataset.input_shape:
        dim *= size
    return dim


def _write(
    read: Sequence[Imported], out: Path, dataset: Dataset | str | None, *, tree: bool
) -> list[tuple[Path, Imported]]:
    """Writes all ledgers into a folder beside `out`, which then takes its place."""
    check_writable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.{os.getpid()}")
    work.mkdir()
    notes = {
        "versions": versions(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    try:
        written = []
        for imported in read:
            path = work / (imported.name if tree else "run")
            spec = {**imported.spec(), **imported.of_data(dataset)}
            with LedgerWriter(path, spec, notes) as ledger:
                ledger.add(list(imported.rows()))
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            written.append((out / imported.name if tree else out, imported))
        for folder in {path.parent for path in work.rglob("*")}:
            sync_folder(folder)
        if tree:
            if out.exists():
                out.rmdir()
            os.replace(work, out)
        else:
            os.replace(work / "run", out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return written
