"""Functional radii where pB has a bound of its own: a table of trade-offs, and its check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy  # whose parts are imported when they are first used

from radii.certificates._search import bisect
from radii.certificates._tradeoff import ShiftLaw, kept, largest_shift, probability, quantile
from radii.records import FloatArray

# Shifts in a table, rounds in which each gets more points of its curve, and how many in a round.
_EFFORT = {"ball": (18, 3, 5), "polytope": (36, 10, 6)}
_FEW = 64  # of dim - pole, below which there are twice as many shifts, and 2 more rounds
_SHORTEST = 1e-3  # least shift, as a share of the largest
_SHORT_MARGIN = 1e-2  # share by which radii below it are lowered
_LEAST_MARGIN = 4e-4
# Ratios over the largest; towards this they crowd, as bounded ones have their tail there.
_FIRST = np.concatenate([[0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7], 1 - 0.25 ** np.arange(2, 13), [1]])
_TINY = 1e-19  # least mass of a point of a curve
_NEAR_ONE = 1e-8  # least distance of its masses from 1, so that they keep their digits
_STRAIGHT = 1e-3  # difference of ratios, over z, below which a curve is nearly straight
_INNER, _OUTER, _ACROSS = 64, 128, 256  # size of the table
_HALVINGS = 6  # of a radius below the least shift that is not confirmed
_QUADRATURE = 1e-10  # more than the error of what a set keeps
_NOTHING = -1e3  # log of a radius where no curve is known
_BLOCK = 16  # lines and steps that share a margin


@dataclass(frozen=True, eq=False)
class PairTable:
    """`ln(r / z)` on the curves `y = Q(T_r(u))`, `x = Q(u)`, with `z = -x - y`; Q is the quantile.

    For Gaussian noise, and Laplace noise, r is a multiple of z and no more. A curve is its own
    mirror image in the line `x = y`, so the larger of x and y, q, tells a point of it. The table
    is over ln z and, where q is positive, the root of q; where it is negative, `|x - y| / z`. So
    what bends a curve, `u = 1/2` or `T_r(u) = 1/2`, lies on a line of the table.

    Attributes:
        log_ratio: `(lines, steps)`, margins taken off.
        start: The least ln z.
        step: From one ln z to the next.
        furthest: The largest q.
    """

    log_ratio: FloatArray
    start: float
    step: float
    furthest: float

    def place(self, z: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where in the table a point of a curve is, counted in lines and in steps."""
        q = np.maximum(y, -z - y)
        outer = (_OUTER - 1) * np.sqrt(np.clip(q / self.furthest, 0, 1))
        inner = (_INNER - 1) * np.minimum(np.abs(1 + 2 * y / z), 1)
        return np.where(q > 0, _INNER - 1 + outer, inner), (np.log(z) - self.start) / self.step

    def radius(self, z: FloatArray, y: FloatArray) -> FloatArray:
        """The largest r whose curve has at y an x of `-z - y` or more, erring low.

        Args:
            z: `(*batch,)`. Where it is not positive, it is the answer.
            y: `(*batch,)`, such that q is at most `furthest`.
        """
        positive = np.where(z > 0, z, 1.0)
        line, step = self.place(positive, y)
        inside = np.clip(step, 0, _ACROSS - 1)
        i = np.minimum(line.astype(int), len(self.log_ratio) - 2)
        j = np.minimum(inside.astype(int), _ACROSS - 2)
        a, b = line - i, inside - j
        log_ratio = (1 - a) * ((1 - b) * self.log_ratio[i, j] + b * self.log_ratio[i, j + 1])
        log_ratio += a * ((1 - b) * self.log_ratio[i + 1, j] + b * self.log_ratio[i + 1, j + 1])
        rise = np.diff(self.log_ratio[:, :2], axis=1)[:, 0]
        rise = np.maximum(np.maximum(rise[i], rise[i + 1]), 0)
        log_ratio += np.where(step < 0, rise * np.minimum(step, 0) - _SHORT_MARGIN, 0)
        end = np.exp(self.start + (_ACROSS - 1) * self.step)
        return np.where(z > 0, np.minimum(positive, end) * np.exp(log_ratio), z)


def pair_radius(law: ShiftLaw, rest: FloatArray, pB: FloatArray) -> FloatArray:
    """The largest r with `T_r(rest) + T_r(pB) > 1`, erring low; 0 where one is within 1e-8 of 1.

    It is 0, too, where it is so small that the table does not know it, and could not be confirmed.

    This holds where, for any level v, `T_r(rest) > v` and `T_r(pB) >= 1 - v`. The first is read off
    the table at `y = Q(v)`, the second at `-y`. One falls with v, the other rises, and v is taken
    where they cross.
    """
    table = pair_table(law)
    x1, x2 = quantile(law, rest), quantile(law, pB)
    low, high = np.maximum(x2, -table.furthest), np.minimum(-x1, table.furthest)
    known = (np.maximum(x1, x2) <= table.furthest) & (low < high)

    def both(y: FloatArray) -> tuple[FloatArray, FloatArray]:
        return table.radius(-x1 - y, y), table.radius(y - x2, -y)

    y = bisect(lambda y: np.greater(*both(y)), low, high, steps=45)
    r = np.where(known, np.maximum(np.minimum(*both(y)), 0), 0.0)
    return _checked(law, r, rest, pB)


def _checked(law: ShiftLaw, r: FloatArray, rest: FloatArray, pB: FloatArray) -> FloatArray:
    """`r`, and less of it below the first shift of the table where the quadrature denies it.

    There ln r is continued by a power law, and with a pole near dim the true one is another. Such
    r are halved until they are confirmed, and 0 if they never are.
    """
    checked, rest, pB = np.array(r), *(np.broadcast_to(p, r.shape) for p in (rest, pB))
    open_ = np.flatnonzero((r > 0) & (r < 1.1 * _SHORTEST * largest_shift(law)))
    for _ in range(_HALVINGS):
        if not open_.size:
            return checked
        left = sum(kept(law, checked.flat[open_], p.flat[open_]) for p in (rest, pB)) - 1
        open_ = open_[left <= _QUADRATURE]
        checked.flat[open_] /= 2
    checked.flat[open_] = 0
    return checked


@lru_cache(maxsize=64)
def pair_table(law: ShiftLaw) -> PairTable:
    """The table of a law, lowered by what its check asks for.

    Points `u = S(t)`, `T_r(u) = S(-t)` with `S(t) = P(L > t)` lie on the curve of r for every t, so
    none is searched for. Along a curve z is interpolated by Akima's cubics, across curves ln r by
    Hermite's cubics that keep it rising.

    The check: between each r and the next, at points between those that the table knows of, the
    table is asked for the radius. Where it says more than is true, it is lowered around there by
    twice the excess.
    """
    count, rounds, more = _EFFORT[law.shape]
    if law.dim - law.pole < _FEW:
        count, rounds = 2 * count, rounds + 2
    r = np.geomspace(_SHORTEST, 1, count) * largest_shift(law)
    t, x, y = _curves(law, r, rounds, more)
    furthest = float(-quantile(law, np.array(1.1 * _NEAR_ONE)))
    half = -quantile(law, kept(law, r, np.full(count, 0.5)))
    curves = zip(t, x, y, half, strict=True)
    log_z = np.stack([np.log(_lines(law, *curve, furthest)) for curve in curves], axis=1)
    log_z = np.maximum.accumulate(log_z, axis=1) + 1e-9 * np.arange(count)
    start, end = float(np.nanmin(log_z)), float(np.nanmax(log_z))
    across, step = np.linspace(start, end, _ACROSS, retstep=True)
    log_ratio = np.stack([_log_radius(line, np.log(r), across) for line in log_z]) - across
    return _lowered(law, PairTable(log_ratio, start, float(step), furthest), r, t)


def _log_radius(log_z: FloatArray, log_r: FloatArray, wanted: FloatArray) -> FloatArray:
    """`ln r` on one line: less than a power law before the first shift, no more after the last.

    The last is the last whose curve reaches the line.
    """
    known = ~np.isnan(log_z)
    if known.sum() < 2:
        return np.full(wanted.shape, _NOTHING)
    log_z, log_r = log_z[known], log_r[known]
    inside = np.clip(wanted, log_z[0], log_z[-1])
    slope = np.maximum((log_r[1] - log_r[0]) / (log_z[1] - log_z[0]), 1)
    below = np.where(wanted < log_z[0], slope * (wanted - inside) - _SHORT_MARGIN, 0)
    return np.asarray(scipy.interpolate.PchipInterpolator(log_z, log_r)(inside) + below)


def _curves(
    law: ShiftLaw, r: FloatArray, rounds: int, more: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ratios in rising order, with x and y, `(shifts, points)`; NaN where digits are missing."""
    far = r / law.unit
    for _ in range(60):
        if np.isnan(_curve(law, r, far[:, None])[0]).all():
            break
        far = 2 * far
    # To where the curves end.
    end = bisect(lambda t: ~np.isnan(_curve(law, r, t[:, None])[0][:, 0]), 0.0, far)
    t = np.tile(_FIRST, (len(r), 1)) * end[:, None]
    x, y = _curve(law, r, t)
    for _ in range(rounds):
        fresh = _widest_gaps(t, x, y, more)
        added = (fresh, *_curve(law, r, fresh))
        t, x, y = (np.append(*pair, axis=1) for pair in zip((t, x, y), added, strict=True))
        order = np.argsort(t, axis=1, kind="stable")
        t, x, y = (np.take_along_axis(values, order, axis=1) for values in (t, x, y))
    return t, x, y


def _curve(law: ShiftLaw, r: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points x and y at `(shifts,)` r and `(shifts, points)` t; NaN where digits are missing."""
    every = np.broadcast_to(r[:, None], t.shape)
    u, v = law.exceeds(every, t), law.exceeds(every, -t)
    used = (u > _TINY) & (1 - v > _NEAR_ONE)
    u, v = np.where(used, u, 0.5), np.where(used, v, 0.5)
    return np.where(used, quantile(law, u), np.nan), np.where(used, quantile(law, v), np.nan)


def _widest_gaps(t: FloatArray, x: FloatArray, y: FloatArray, more: int) -> FloatArray:
    """Ratios in the middle of the widest gaps of each curve, in relation to where the gap lies."""
    gap = np.diff(y - x, axis=1) / (y - 2 * x)[:, :-1]
    gap[np.diff(t, axis=1) < _STRAIGHT * -(x + y)[:, 1:]] = 0
    gap = np.nan_to_num(gap, nan=0.0)
    widest = np.argsort(-gap, axis=1, kind="stable")[:, :more]
    return np.take_along_axis((t[:, 1:] + t[:, :-1]) / 2, widest, axis=1)


def _lines(
    law: ShiftLaw, t: FloatArray, x: FloatArray, y: FloatArray, half: float, furthest: float
) -> FloatArray:
    """The z of one curve on every line of the table, from its points and z where `y = 0`.

    It is NaN on lines beyond the end of the curve.

    Where many draws have nearly the same ratio, the curve `T_r(u)` is nearly straight, and what
    lies between two points is put on their tangents: it is convex, and so not below them.
    """
    t, x, y = t[~np.isnan(x)], x[~np.isnan(x)], y[~np.isnan(x)]
    left = np.flatnonzero(np.diff(t) < _STRAIGHT * -(x + y)[1:])
    between = x[left, None] + np.diff(x)[left, None] * np.arange(1, 8) / 8
    u, u0, v0 = (probability(law, p) for p in (between, x, y))
    tangents = [v0[k, None] - np.exp(t[k, None]) * (u - u0[k, None]) for k in (left, left + 1)]
    x = np.append(x, between)
    y = np.append(y, quantile(law, np.maximum(*tangents)))
    x, y = x[y >= x], y[y >= x]
    z = -x - y
    inside = y < 0
    share, inner = _rising(np.append((y - x)[inside] / z[inside], 1), np.append(z[inside], half))
    mirrored = scipy.interpolate.Akima1DInterpolator(
        np.append(-share[::-1], share[share > 0]), np.append(inner[::-1], inner[share > 0])
    )
    far, outer = _rising(np.append(0, y[~inside]), np.append(half, z[~inside]))
    last = far[-1]
    outside = scipy.interpolate.Akima1DInterpolator(
        np.append(far, last + 1), np.append(outer, outer[-1])
    )
    wanted = furthest * (np.arange(1, _OUTER) / (_OUTER - 1)) ** 2
    z = np.append(mirrored(np.linspace(0, 1, _INNER)), outside(np.minimum(wanted, last)))
    return np.where(np.append(np.zeros(_INNER), wanted) <= last, z, np.nan)


def _rising(place: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both in rising order of the place, without places that are nearly the same."""
    order = np.argsort(place, kind="stable")
    place, value = place[order], value[order]
    apart = np.append(True, np.diff(place) > 1e-6)
    return place[apart], value[apart]


def _lowered(law: ShiftLaw, table: PairTable, r: FloatArray, t: FloatArray) -> PairTable:
    """The table less twice what it says too much at the points of its check, around them."""
    between = np.sqrt(r[1:] * r[:-1])
    tried = (t[:-1, 1:] + t[:-1, :-1]) / 2 * (between / r[:-1])[:, None]
    every_other = 2 * np.arange(tried.shape[1] // 2) + np.arange(len(between))[:, None] % 2
    tried = np.nan_to_num(np.take_along_axis(tried, every_other, axis=1))
    x, y = _curve(law, between, tried)
    seen = ~np.isnan(x) & (y <= table.furthest)
    z, y = np.where(seen, -x - y, 1.0), np.where(seen, y, 0.0)
    told = np.where(seen, table.radius(z, y), between[:, None])
    excess = np.maximum(np.log(told / between[:, None]), 0)
    lines, steps = table.log_ratio.shape
    line, step = table.place(z, y)
    margin = np.zeros((-(-lines // _BLOCK), -(-steps // _BLOCK)))
    at = (line.astype(int) // _BLOCK, np.clip(step, 0, steps - 1).astype(int) // _BLOCK)
    np.maximum.at(margin, at, excess)
    around = np.repeat(
        np.repeat(scipy.ndimage.maximum_filter(margin, 3), _BLOCK, axis=0), _BLOCK, axis=1
    )
    lowered = table.log_ratio - 2 * around[:lines, :steps] - _LEAST_MARGIN
    return replace(table, log_ratio=lowered)
