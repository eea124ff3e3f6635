"""All checks of one run, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from radii.errors import RadiiError
from radii.evaluation import open_run
from radii.verification.generator import generator_tested
from radii.verification.planned import planned
from radii.verification.published import published
from radii.verification.recomputed import recomputed
from radii.verification.redraw import Material, drawn_again
from radii.verification.result import Check, Verification
from radii.verification.seals import check_seal
from radii.verification.stored import Stored, read
from radii.verification.structure import structure

_NEEDED = ("noise", "norm", "certificate", "bound", "alpha", "n0", "n")
_OF_VOTES = ("num_classes", "seed", "block")
_UNREADABLE = (
    *(ArithmeticError, AttributeError, IndexError, KeyError, RadiiError),
    *(TypeError, ValueError),
)
_NO_DATA = "give --data, and --base for weights and votes"
_NO_BASE = "give --base"
Further = Callable[[Stored], Iterable[Check]]


def verify(
    path: Path | str,
    *,
    material: Material | None = None,
    seal: Path | None = None,
    public_key: Path | None = None,
    further: Sequence[Further] = (),
) -> Verification:
    """Checks a run as far as it can be with what is at hand.

    Args:
        path: A ledger of `radii certify` or `radii import`, or an export of one.
        material: Data set and base classifier to compare it with.
        seal: A seal of the run.
        public_key: Whose signature the seal must carry; a PEM file.
        further: More checks to make of the run as it was read.

    Raises:
        LedgerError: If there is no run at `path`.
        ValueError: If a public key is given without a seal, or is none.
    """
    if public_key is not None and seal is None:
        raise ValueError("a public key says who signed a seal: give the seal, too")
    dim = None if material is None else math.prod(material.dataset.input_shape)
    stored = read(open_run(path), dim)
    checks = list(_all(stored, material, seal, public_key))
    for more in further:
        checks += more(stored)
    return Verification(str(path), tuple(checks))


def _all(
    stored: Stored, material: Material | None, seal: Path | None, public_key: Path | None
) -> Iterator[Check]:
    needed = _NEEDED if stored.imported else (*_NEEDED, *_OF_VOTES)
    missing = [key for key in needed if key not in stored.meta]
    if missing:
        yield Check("spec", "failed", f"it has no {', '.join(missing)}")
        return
    yield from _told(structure(stored))
    yield from _told(planned(stored))
    yield from _told(published(stored) if stored.imported else recomputed(stored))
    yield from _told(generator_tested(stored))
    if material is not None:
        yield from drawn_again(stored, material)
    else:
        yield Check("data set", "not checked", _NO_DATA)
    if material is None or material.base is None:
        why = _NO_DATA if material is None else _NO_BASE
        if stored.imported:
            why = "the run was imported, without weights or votes"
        yield Check("weights of the base classifier", "not checked", why)
        yield Check("votes drawn again", "not checked", why)
    if seal is not None:
        yield from check_seal(stored, seal, public_key)
    else:
        yield Check("seal", "not checked", "give --seal")


def _told(checks: Iterator[Check]) -> Iterator[Check]:
    """The checks, up to one that a spec makes impossible."""
    try:
        yield from checks
    except _UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        yield Check("spec", "failed", f"what it says cannot be: {what[:200]}")
