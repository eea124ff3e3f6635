"""`H(p)`, the integral of `dp / Psi(p)`, from the density of the slope G of a noise, in 50 digits.

With `A(z) = E[G; G > t]`, where z tells t, a set of the highest mass q of G grows at the rate A. So
`H = integral of w / A dz`, where w is the density of z. Everything is a Chebyshev series of z.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from radii.records import FloatArray
from radii.verification.independent.numbers import MP, Real, number
from tests.reference.digits.series import Panel, at, at_nodes, fitted, panels, primitive

_DEEP, _FLAT = 750.0, 150.0  # logs of what is left out beyond and before
_STEPS = 40


class Growth:
    """The law of the positive part of G, and what follows from it.

    Args:
        density: Of z, `P(G > t(z)) = chance/2 integral of density beyond z`.
        slope: G at z, rising with z.
        support: Where the density counts, of which `support` finds the ends.
        chance: That G is not 0.
        enough: Relative error of the density at which a panel is not halved again.
        spread: By so much the density may vary within a panel.
    """

    def __init__(
        self,
        density: Callable[[Real], Real],
        slope: Callable[[Real], Real],
        support: tuple[float, float],
        chance: Real = 1,
        enough: float = 1e-24,
        spread: float = 1e7,
    ) -> None:
        self.chance = number(1) * chance
        mass = panels(density, number(support[0]), number(support[1]), 12, enough, spread)
        self._panels = mass
        gain = [[v * slope(z) for v, z in zip(p.values, p.places, strict=True)] for p in mass]
        above = _beyond(mass, [p.coefficients for p in mass])
        self._mass, self._ends = above
        gains, self._gain_ends = _beyond(mass, [fitted(values) for values in gain])
        inverse = [
            fitted([w / a for w, a in zip(p.values, at_nodes(series), strict=True)])
            for p, series in zip(mass, gains, strict=True)
        ]
        self._gains = gains
        self._done, self._before = _up_to(mass, inverse)
        self.total = self._ends[0]  # 1, but for what was left out
        self._starts = [-float(MP.log(end)) if end > 0 else 1e9 for end in self._ends[:-1]]

    def integral(self, q: Real) -> Real:
        """`H(1 - q)` for q in (0, 1/2]: from 1/2 to there, erring low by 1e-20 of it or less."""
        most = self.chance / 2
        if q >= most:
            return (number(0.5) - q) / (most * self._gain_ends[0])
        wanted = q / most
        i = max(bisect_right(self._starts, -float(MP.log(wanted))) - 1, 0)
        panel, series = self._panels[i], self._mass[i]
        density = panel.coefficients
        x = number(0)
        low, high = number(-1), number(1)
        for _ in range(_STEPS):
            excess = at(series, x) - wanted
            low, high = (x, high) if excess > 0 else (low, x)
            step = excess / (at(density, x) * panel.half)
            fresh = x + step
            if not low <= fresh <= high:
                fresh = (low + high) / 2
            moved, x = abs(fresh - x), fresh
            if moved < 1e-22:
                break
        start = (number(0.5) - most) / (most * self._gain_ends[0])
        # Psi is at most E[G; G > 0], which is exact next to 1/2.
        least = (number(0.5) - q) / (most * self._gain_ends[0])
        return max(start + self._before[i] + at(self._done[i], x), least)


def support(
    log_density: Callable[[FloatArray], FloatArray], guess: tuple[float, float], points: int
) -> tuple[float, float]:
    """From where the log of a density is 150 below its maximum, to where it is 750 below.

    The far end is refined by bisection, for a density that ends there.
    """
    z = np.linspace(*guess, points)
    with np.errstate(over="ignore"):
        height = log_density(z)
    top = int(np.argmax(height))
    before = np.flatnonzero(height[: top + 1] > height[top] - _FLAT)[0]
    beyond = np.flatnonzero(height[top:] > height[top] - _DEEP)[-1] + top
    inner, outer = float(z[beyond]), float(z[min(beyond + 1, points - 1)])
    for _ in range(50):
        middle = (inner + outer) / 2
        counts = log_density(np.array([middle]))[0] > height[top] - _DEEP
        inner, outer = (middle, outer) if counts else (inner, middle)
    return float(z[before]), inner


def _beyond(where: list[Panel], of: list[list[Real]]) -> tuple[list[list[Real]], list[Real]]:
    """Integrals from z to the far end: their series, and their values at the ends of the panels."""
    found, ends, above = [], [number(0)], number(0)
    for panel, coefficients in zip(reversed(where), reversed(of), strict=True):
        series = primitive(coefficients, panel.half)
        whole = sum(series)
        falling = [-c for c in series]
        falling[0] += whole + above
        above += whole
        found.append(falling)
        ends.append(above)
    return found[::-1], ends[::-1]


def _up_to(where: list[Panel], of: list[list[Real]]) -> tuple[list[list[Real]], list[Real]]:
    """Integrals from the left end of each panel, and their values at the left ends."""
    found, before, done = [], [], number(0)
    for panel, coefficients in zip(where, of, strict=True):
        series = primitive(coefficients, panel.half)
        found.append(series)
        before.append(done)
        done += sum(series)
    return found, before
