"""Radii of mixed linf noise where pB has a bound of its own, from a table of trade-off curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy  # whose parts are imported when they are first used
from scipy.special import ndtri

from radii.certificates._search import bisect
from radii.certificates._tradeoff import ShiftLaw
from radii.records import FloatArray

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

_ROWS, _SHORTEST = 36, 1e-3  # radii in a table, and the first as a share of the last
_POINTS = 40  # of a curve, half of it
_NEAR_ONE = 1e-7  # least distance of T_r(u) from 1 in a table
_MARGIN = 2e-4  # share by which radii are lowered
_SHORT_MARGIN = 1e-2  # the same below the first row
_RAREST = 3.1  # largest quantile of 1 - pA: pA is at least 1e-3, else the radius is not known


@dataclass(frozen=True, eq=False)
class PairTable:
    """`D_r(x) = -x - y` at several r, where `x = Phi^-1(u)` and `y = Phi^-1(T_r(u))`.

    `T_r(u)` is the least mass around delta of a set that has mass `1 - u` around 0. For Gaussian
    noise D does not depend on x. Points `u = S(t)`, `T_r(u) = S(-t)`, with `S(t) = P(L > t)`, lie
    on the curve for every t, so each comes with its mirror image.

    Attributes:
        log_r: `(rows,)`, rising.
        curves: Of each row, ln D as a function of x.
        ends: `(rows, 2)`. The least and the largest x of each row.
        raised: `(rows,)`. What is added to ln D, so that it errs high between points and rows.
    """

    log_r: FloatArray
    curves: Sequence[PchipInterpolator]
    ends: FloatArray
    raised: FloatArray

    def shifts(self, x: FloatArray) -> FloatArray:
        """`(rows, *batch)` D at x `(*batch,)`; constant beyond the ends."""
        rows = zip(self.curves, self.ends, self.raised, strict=True)
        raised = [curve(np.clip(x, *ends)) + up for curve, ends, up in rows]
        return np.asarray(np.exp(np.stack(raised)))


def pair_radius(law: ShiftLaw, rest: FloatArray, pB: FloatArray) -> FloatArray:
    """The largest r with `T_r(rest) + T_r(pB) > 1`, erring low; `rest` is 1 - pA.

    With `x1 = Phi^-1(rest)` and `x2 = Phi^-1(pB)` that is `D_r(x1) + D_r(x2) < -x1 - x2`. Between
    rows the logarithm of the left side is taken as linear in ln r.
    """
    table = pair_table(law)
    x1, x2 = ndtri(rest), ndtri(pB)
    leads = (x1 + x2 < 0) & (x1 < _RAREST)
    wanted = np.log(np.where(leads, -x1 - x2, 1))
    sides = np.log(table.shifts(x1) + table.shifts(x2))
    passed = sides > wanted
    row = np.where(passed.any(axis=0), passed.argmax(axis=0), len(sides)) - 1
    low = np.clip(row, 0, len(sides) - 2)
    start, end = (np.take_along_axis(sides, (low + k)[None], axis=0)[0] for k in (0, 1))
    share = np.clip((wanted - start) / np.maximum(end - start, 1e-300), 0, 1)
    log_r = table.log_r[low] + share * (table.log_r[low + 1] - table.log_r[low])
    # D is a multiple of r for short shifts, but near the pole of a plane only roughly so.
    power = 2 if law.dim == 2 else 1
    short = table.log_r[0] + power * (wanted - sides[0]) + np.log1p(-_SHORT_MARGIN)
    log_r = np.where(row < 0, np.minimum(short, table.log_r[0]), log_r)
    return np.where(leads, np.exp(log_r) * (1 - _MARGIN), 0.0)


@lru_cache(maxsize=16)
def pair_table(law: ShiftLaw) -> PairTable:
    """The table of a law, up to a shift beyond which no probabilities are told apart.

    It is compared with the quadrature between its points and halfway between its rows. Where D is
    above it, the rows are raised by 1.5 times the excess.
    """
    tried = law.unit * 2.0 ** np.arange(0, 8, 0.25)
    far = law.exceeds(tried, np.zeros(tried.shape)) < 1e-9
    r = np.geomspace(_SHORTEST, 1, _ROWS) * tried[np.argmax(far) if far.any() else -1]
    size = r / law.unit
    last = bisect(lambda t: law.exceeds(r, t) > 1e-17, 0.0, 20 * size * (1 + size), tolerance=0.01)
    # A first set of points finds the curve; the second is even in x.
    share = np.linspace(0, 1, _POINTS)
    t = share * last[:, None]
    every = np.broadcast_to(r[:, None], t.shape)
    x = ndtri(law.exceeds(every, t))
    for j in range(_ROWS):
        fresh = np.flatnonzero(
            np.concatenate([[True], np.diff(np.minimum.accumulate(x[j])) < -1e-9])
        )
        inverse = scipy.interpolate.PchipInterpolator(x[j][fresh][::-1], t[j][fresh][::-1])
        t[j] = inverse(x[j, 0] + share * (x[j, fresh[-1]] - x[j, 0]))
    curves, ends = [], np.empty((_ROWS, 2))
    for j, (x, shift) in enumerate(_points(law, r, t)):
        ends[j] = x[0], x[-1]
        curves.append(scipy.interpolate.PchipInterpolator(x, np.log(shift)))
    table = PairTable(np.log(r), curves, ends, np.zeros(_ROWS))
    within = _excess(table, _points(law, r, (t[:, 1:] + t[:, :-1]) / 2), 0)
    halfway = np.sqrt(r[1:] * r[:-1])
    beside = _excess(table, _points(law, halfway, t[:-1, ::2] * (halfway / r[:-1])[:, None]), 1)
    raised = 1.5 * (within + np.maximum(np.append(beside, 0), np.append(0, beside)))
    return PairTable(table.log_r, curves, ends, raised)


def _excess(
    table: PairTable, rows: Sequence[tuple[FloatArray, FloatArray]], step: int
) -> FloatArray:
    """By how much ln D is above the table at most, on each row or halfway to the next."""
    excess = np.zeros(len(rows))
    for j, (x, shift) in enumerate(rows):
        sides = [table.curves[i](np.clip(x, *table.ends[i])) for i in (j, j + step)]
        excess[j] = np.max(np.log(shift) - (sides[0] + sides[1]) / 2, initial=0)
    return excess


def _points(law: ShiftLaw, r: FloatArray, t: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Of each row, points x in rising order and D, from `(rows, points)` log ratios of 0 and up."""
    every = np.broadcast_to(r[:, None], t.shape)
    rows = []
    for u, v in zip(law.exceeds(every, t), law.exceeds(every, -t), strict=True):
        used = (u > 1e-17) & (v < 1 - _NEAR_ONE)
        x, y = ndtri(u[used]), ndtri(v[used])
        shift = -x - y
        x, shift = np.concatenate([x[::-1], y]), np.concatenate([shift[::-1], shift])
        rising = np.concatenate([[True], np.diff(np.maximum.accumulate(x)) > 1e-9]) & (shift > 0)
        rows.append((x[rising], shift[rising]))
    return rows
