"""The arrays of the published code of Yang et al. 2020 (arXiv:2002.08118), known as rs4a.

A result is a folder with a file `NAME.npy` for each array, or one `.npz` with all of them:

    preds        (examples, classes)  shares of the classes among the n0 draws that selected one
    labels       (examples,)          the true classes
    prob_lb      (examples,)          bound on the probability of the class with most of these
    radius_l1, radius_l2, radius_linf (examples,)  what that bound certifies

Others in it are not used. Without the radii of the norm they follow from the bound. The bound is
the lower end of a two-sided Clopper-Pearson interval at alpha, so that it spends half of alpha. It
is kept in float32: a count that went through float32 is off by up to a hundredth of a vote, and is
told from its neighbours nevertheless.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.data.declared import check_npy, check_npz
from radii.errors import DataError
from radii.evaluation.importers.base import ABSTAINED, Columns, Imported, Terms, place
from radii.evaluation.importers.fit import CountTable
from radii.evaluation.metrics import BoolArray
from radii.records import ClassBounds, FloatArray, IntArray

_N0 = 64  # of the published code
_FLOAT32 = 2.0**-22  # relative, of a number that went through float32 twice
_BOUND = 2.0**-20  # relative, of the bound of a count that did
_VOTES = 2.0**-6  # of a share of votes that did, times the votes
_RADIUS = 1e-4  # relative, of a quantile in float32


def is_rs4a(source: Path) -> bool:
    """Whether a file or folder looks like such a result."""
    return source.suffix == ".npz" or (source / "prob_lb.npy").is_file()


def read_rs4a(
    source: Path, name: str, terms: Terms, table_of: Callable[[Terms], CountTable]
) -> Imported:
    """A result of rs4a.

    Args:
        source: The folder of arrays, or the file with all of them.
        name: What its ledger is called among those of a tree.
        terms: What is known of it beside its rows.
        table_of: The table of counts of these terms.

    Raises:
        DataError: If it is no such result, or its numbers do not fit these terms.
    """
    norm = terms.certificate.norm
    needed = ("preds", "labels", "prob_lb")
    arrays, sha256 = _arrays(source, needed, f"radius_{norm}")
    preds, labels, lower = (arrays[each] for each in needed)
    published = arrays.get(f"radius_{norm}")
    label = _labels(source, labels, preds.shape[1])
    _finite(source, "preds", preds)
    terms = replace(terms, n0=terms.n0 or _N0, alpha=terms.alpha / 2)
    table = table_of(terms)
    lower = np.where(np.isnan(lower), 0.0, lower)  # of no vote at all, in some versions
    fits = _fits(source, lower, table, terms)
    bounds = table.bounds(fits[:, 0])
    if published is None:
        radius = terms.certificate.radius(bounds)
        certified = radius > 0
    else:
        radius = published
        certified = np.nan_to_num(radius, nan=0.0) > 0
        _check_radii(source, radius, lower, certified, terms)
    certified &= fits[:, 0] >= table.least_certified
    selection, notes = _selection(source, preds, terms.n0 or _N0)
    return Imported(
        source=source,
        name=name,
        terms=terms,
        columns=Columns(
            index=np.arange(len(label), dtype=np.int64),
            label=label,
            prediction=np.where(certified, preds.argmax(axis=1), ABSTAINED),
            radius=np.where(certified, radius, 0.0),
            fits=fits,
            pA_lower=bounds.pA_lower,
            pB_upper=bounds.pB_upper,
            seconds=np.zeros(len(label)),
            line=np.arange(1, len(label) + 1, dtype=np.int64),
            selection=selection,
        ),
        about={"layout": "rs4a", "file": source.name, "sha256": sha256},
        notes=notes,
        samples=(terms.n0 or 0) + terms.n,
        unit="row",
    )


def _arrays(
    source: Path, needed: tuple[str, ...], more: str
) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """The arrays needed and one more if it is there, float64, and the SHA-256 of their bytes."""
    digest = hashlib.sha256()
    try:
        names = (*needed, more) if _holds(source, more) else needed
        files = [source] if source.suffix == ".npz" else [source / f"{name}.npy" for name in names]
        for each in files:
            digest.update(each.read_bytes())
        held: Mapping[str, npt.NDArray[Any]]
        if source.suffix == ".npz":
            check_npz(source, names)
            with source.open("rb") as file, np.load(file, allow_pickle=False) as held:
                found = {name: _numbers(name, held[name]) for name in names}
        else:
            pairs = zip(names, files, strict=True)
            found = {}
            for name, each in pairs:
                with each.open("rb") as file:
                    check_npy(file, each.stat().st_size, name)
                found[name] = _numbers(name, np.load(each, allow_pickle=False))
    except (
        *(OSError, LookupError, RuntimeError, TypeError, ValueError, EOFError, OverflowError),
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
    ) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"{str(source)!r} must hold the arrays of numbers {', '.join(needed)}, but {why}; "
            f"give the folder or the npz that the program wrote."
        ) from None
    preds, *others = found.values()
    if preds.ndim != 2 or preds.shape[1] < 2 or not len(preds):
        raise DataError(
            f"preds of {str(source)!r} must be (examples, classes), got {preds.shape}; "
            f"choose another file."
        )
    for name, array in zip(names[1:], others, strict=True):
        if array.shape != (len(preds),):
            raise DataError(
                f"{name} of {str(source)!r} must have shape {(len(preds),)} as preds has "
                f"{len(preds):,} rows, got {array.shape}; choose another file."
            )
    return found, digest.hexdigest()


def _numbers(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array as float64."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name!r} holds {array.dtype}")
    return array.astype(np.float64)


def _holds(source: Path, name: str) -> bool:
    """Whether a result has an array."""
    if source.suffix != ".npz":
        return (source / f"{name}.npy").is_file()
    with zipfile.ZipFile(source) as archive:
        return f"{name}.npy" in archive.namelist()


def _labels(source: Path, labels: FloatArray, num_classes: int) -> IntArray:
    wrong = ~((labels >= 0) & (labels < num_classes) & (labels == np.rint(labels)))
    for at in np.flatnonzero(wrong)[:1]:
        raise DataError(
            f"{place(source, at + 1, 'row')}: labels must be whole numbers in [0, {num_classes}), "
            f"the classes of preds, got {labels[at]:g}; correct the array."
        )
    return labels.astype(np.int64)


def _finite(source: Path, name: str, values: FloatArray) -> None:
    for at in np.flatnonzero(~(np.isfinite(values) & (values >= 0)).all(axis=1))[:1]:
        raise DataError(
            f"{place(source, at + 1, 'row')}: {name} must be finite numbers of at least 0, "
            f"got {values[at].tolist()!r}; correct the array."
        )


def _fits(source: Path, lower: FloatArray, table: CountTable, terms: Terms) -> IntArray:
    fits = table.fitting_bounds(lower * (1 - _BOUND), lower * (1 + _BOUND))
    for at in np.flatnonzero(fits[:, 0] > fits[:, 1])[:1]:
        raise DataError(
            f"{place(source, at + 1, 'row')}: prob_lb must be the bound that some count of "
            f"{terms.n:,} draws gives at half of alpha {2 * terms.alpha}, got {lower[at]}; "
            f"give n and alpha of the result."
        )
    return fits


def _check_radii(
    source: Path, radius: FloatArray, lower: FloatArray, certified: BoolArray, terms: Terms
) -> None:
    """Refuses radii that are above what the certificate gives, or below if it is tight."""
    near = _FLOAT32 * np.abs(lower)
    ends = [
        terms.certificate.radius(ClassBounds.one_sided(np.clip(end, 0, 1 - 2.0**-53)))
        for end in (lower - near, lower + near)
    ]
    slack = _RADIUS * ends[1] + _FLOAT32
    off = certified & (radius > ends[1] + slack)
    if terms.certificate.tight:
        off |= certified & (radius < ends[0] - slack)
    for at in np.flatnonzero(off)[:1]:
        raise DataError(
            f"{place(source, at + 1, 'row')}: radius_{terms.certificate.norm} must be about "
            f"{ends[1][at]:.4g}, which {type(terms.certificate).__name__} gives for prob_lb "
            f"{lower[at]:.6g} under {terms.certificate.noise}, got {radius[at]:.6g}; "
            f"give noise and norm of the result."
        )


def _selection(source: Path, preds: FloatArray, n0: int) -> tuple[IntArray | None, tuple[str, ...]]:
    """The votes that selected the class, if `preds` are shares of n0 votes; and what to say."""
    votes = preds * n0
    whole = np.rint(votes)
    if np.all(np.abs(votes - whole) <= _VOTES) and np.all(whole.sum(axis=1) == n0):
        return whole.astype(np.int64), ()
    return None, (
        f"{str(source)!r} has preds that are no shares of n0 = {n0} votes: "
        f"its ledger has no votes of the selection.",
    )
