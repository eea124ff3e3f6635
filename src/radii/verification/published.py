"""Radii of a run that was imported: whether some count of votes gives as much.

Published logs have radii with a few digits, and no votes. If the last digit was rounded down, some
count of votes certifies the radius, or up to a unit of that digit more. If it was rounded to
nearest, radii are larger than what was certified, by up to half a unit. That shows where no count
gives the radius as it stands, as at the largest one, which all votes together give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from radii.certificates import find
from radii.evaluation.importers.fit import CountTable
from radii.noise import NOISES
from radii.rounding import ceiled
from radii.verification.independent import Evidence, bound_of, radius_of
from radii.verification.independent.counts import CountRadii
from radii.verification.result import Check
from radii.verification.stored import Stored

_ARITHMETIC = 1e-9  # share that another program's arithmetic explains
_FLOAT32 = 1e-6  # the same for arrays that were kept in float32


class _Radii(Protocol):
    """What says whether counts give radii; see `CountRadii`."""

    n: int

    def excess(self, radius: float, k: int) -> float:
        """The share by which a radius is above what k votes give."""

    def least(self, radius: float) -> int:
        """The fewest votes that give a radius."""


class _Library:
    """The same, as the library itself computes it."""

    def __init__(self, table: CountTable) -> None:
        self.n, self._table = table.n, table

    def excess(self, radius: float, k: int) -> float:
        return 1.0 if self._table.radius[k] == 0 else radius / float(self._table.radius[k]) - 1

    def least(self, radius: float) -> int:
        return int(self._table.radius.searchsorted(radius))


@dataclass(frozen=True)
class Digits:
    """How the radii of a log were printed: their most significant digits, and most decimals."""

    digits: int
    decimals: int

    @classmethod
    def of(cls, radii: list[float]) -> Digits:
        """As far as the radii show it; zeros at their ends are lost."""
        parts = [Decimal(repr(radius)).normalize().as_tuple() for radius in radii]
        return cls(
            digits=max((len(part.digits) for part in parts), default=0),
            decimals=max((-int(part.exponent) for part in parts), default=0),
        )

    def unit(self, radius: float) -> float:
        """Of the last digit of a radius.

        Example:
            >>> Digits.of([1.9, 0.953]).unit(1.9)
            0.01
        """
        leading = Decimal(repr(radius)).adjusted()
        return float(Decimal(1).scaleb(max(leading - self.digits + 1, -self.decimals)))


def published(stored: Stored) -> Iterator[Check]:
    """All checks of this kind."""
    yield _radii(stored)
    yield _bounds(stored)


def _radii(stored: Stored) -> Check:
    name = "published radii"
    meta = stored.meta
    slack = radius_of(meta["certificate"], meta["noise"], stored.dim)
    notes = []
    radii: _Radii
    if slack is not None:
        radii = CountRadii(slack, meta["n"], meta["alpha"])
    else:
        noise = NOISES.build(meta["noise"])
        try:
            certificate = find(noise, meta["norm"], meta["certificate"], dim=stored.dim)
        except ValueError:
            why = f"{meta['certificate']} depends on the dimension of inputs: give --data"
            return Check(name, "not checked", why)
        radii = _Library(CountTable(certificate, meta["n"], meta["alpha"]))
        notes.append(f"{meta['certificate']} is not computed independently, but by the library")
    arrays = meta["imported"].get("layout") == "rs4a"
    rows = [row for row in stored.rows if row.prediction is not None]
    printed = Digits.of([row.radius for row in rows])
    known: dict[tuple[float, tuple[int, int] | None], float | None] = {}
    above: list[tuple[float, int, float]] = []
    unfit = 0
    for row in rows:
        key = (row.radius, row.fits)
        if key not in known:
            share = 0.0 if arrays else printed.unit(row.radius) / row.radius
            known[key] = _excess(radii, row.radius, row.fits, share, exact=arrays)
        found = known[key]
        if found is None:
            unfit += 1
        elif found > (_FLOAT32 if arrays else _ARITHMETIC):
            above.append((found * row.radius, row.index, row.radius))
    if unfit:
        said = f"{unfit:,} of {len(rows):,} radii are such that no count of {radii.n:,} votes gives"
        return Check(name, "failed", f"{said} them, however they were rounded", tuple(notes))
    if above:
        most, index, radius = max(above)
        return Check(
            name,
            "failed",
            f"{len(above):,} of {len(rows):,} radii are above what any count of {radii.n:,} votes "
            f"certifies that fits them, by up to {ceiled(most, 6)} (input {index}, {radius!r}): "
            f"they were rounded up, to nearest, so that every radius of the log may be larger than "
            f"certified by half a unit of its last digit",
            tuple(notes),
        )
    said = f"for each of {len(rows):,} some count of {radii.n:,} votes certifies at least as much"
    return Check(name, "passed", f"{said}; the counts themselves are not known", tuple(notes))


def _excess(
    radii: _Radii, radius: float, fits: tuple[int, int] | None, unit: float, *, exact: bool
) -> float | None:
    """The share by which a radius is above the best count that fits it; None if none does.

    Args:
        radii: By count.
        radius: As published.
        fits: The least and the most votes that fit if it was rounded to nearest.
        unit: Of its last digit, as a share of it.
        exact: Whether the count is known, as it is of arrays, and `fits` alone is tried.
    """
    if exact and fits is not None:
        return radii.excess(radius, fits[1])
    upper = radius * (1 + unit) * (1 + _ARITHMETIC)
    k = fits[1] if fits is not None and 0 < fits[1] <= radii.n else None
    if k is None or not radii.excess(radius, k) <= _ARITHMETIC < radii.excess(upper, k):
        k = radii.least(radius)
    if k <= radii.n and radii.excess(upper, k) > 0:
        return 0.0  # rounded down, or not at all
    below = radii.excess(radius, k - 1)
    return below if below < unit else None


def _bounds(stored: Stored) -> Check:
    """Whether the bounds in the ledger are those of the least count that fits."""
    name = "bounds, in 50 digits"
    slack = bound_of(stored.meta["bound"], stored.meta["alpha"])
    if slack is None:
        return Check(name, "not checked", "the bound of the log is not known")
    problems, known = [], {}
    for row in stored.rows:
        if row.fits is None:
            continue
        key = (row.pA_lower, row.pB_upper, row.fits[0])
        if key not in known:
            k, n = row.fits[0], stored.meta["n"]
            known[key] = slack(row.pA_lower, row.pB_upper, Evidence(k, n, n - k, 2))
        found = known[key]
        if min(found.lower, found.upper) < 0:
            problems.append(f"the bounds of input {row.index} are not those of its least count")
    said = f"those of the least count that fits each radius, {len(known):,} different"
    return Check.of(name, problems, said)
