"""The log density ratio of radial noise and its shift: its law, in 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from radii.records import FloatArray
from radii.verification.independent.numbers import MP, Real, beta_tail, number
from tests.reference.digits.quadrature import integral

_DEPTHS = (70.0, 50.0, 32.0, 18.0, 8.0, 2.5, 0.3)  # logs of the density below its maximum


@dataclass(frozen=True)
class Shift:
    """L for a shift of length r to an extreme point of the ball, at scale 1.

    With rho the norm, L exceeds t where the shifted norm is below the rho' of `g(rho') = g(rho) -
    t`. In l2 this is a cap of the sphere. In l1 and linf the shifted norm is `rho + r` with
    probability 1/2; else it is at most `rho + r - 2 c rho`, down to `|rho - r|`, with probability
    `(1 - c)^(dim - 1)`.
    """

    exponent: float
    pole: float
    dim: int
    r: Real
    ball: bool

    def exceeds(self, t: Real) -> Real:
        """`P(L > t)`."""
        norm = MP.loggamma(self._shape)

        def height(x: Real) -> Real:
            rho = MP.exp(x)
            chance = self._chance(rho, self._nearer(x, t))
            if not chance:
                return number(0)
            power = self.exponent * x
            return chance * self.exponent * MP.exp(self._shape * power - MP.exp(power) - norm)

        return integral(height, self._cuts(t, self._pieces()), 12)

    def _chance(self, rho: Real, nearer: Real) -> Real:
        """That the shifted norm is below `nearer`."""
        if self.ball:
            if nearer <= abs(rho - self.r) or nearer >= rho + self.r:
                return number(nearer >= rho + self.r)
            cosine = (rho**2 + self.r**2 - nearer**2) / (2 * rho * self.r)
            half = number(self.dim - 1) / 2
            return beta_tail(half, half, (1 - cosine) / 2, (1 + cosine) / 2)
        chance = number(0)
        if nearer > abs(rho - self.r):
            c = max((rho + self.r - nearer) / (2 * rho), 0)
            chance = (1 - c) ** (self.dim - 1) / 2
        return chance + number(0.5) if nearer > rho + self.r else chance

    @property
    def _shape(self) -> Real:
        return (self.dim - number(self.pole)) / number(self.exponent)

    def _pieces(self) -> FloatArray:
        """Ends of pieces of `ln rho`, within each of which its density varies by a few powers."""
        x = np.linspace(-700, 700, 1_400_001) / self.exponent
        height = float(self._shape) * self.exponent * x
        height -= np.exp(np.minimum(self.exponent * x, 700))
        inside = [np.flatnonzero(height > height.max() - depth)[[0, -1]] for depth in _DEPTHS]
        return np.asarray(np.unique(x[np.concatenate(inside)]))

    def _nearer(self, x: Real, t: Real) -> Real:
        """`rho'`; 0 where no norm is that small."""
        k = self.exponent
        level = MP.exp(k * x) - t
        if not self.pole:
            return level ** (1 / number(k)) if level > 0 else number(0)
        level += self.pole * x
        y = number(float(self._roughly(np.array(float(x)), float(t))))
        for _ in range(12):  # Newton's method for ln rho', which is concave or convex
            power = MP.exp(k * y)
            step = (self.pole * y + power - level) / (self.pole + k * power)
            y -= step
            if abs(step) < 1e-25 * (1 + abs(y)):
                break
        return MP.exp(y)

    def _roughly(self, x: FloatArray, t: float) -> FloatArray:
        """The log of `rho'` as floats, by Newton's method from the right."""
        k, power = self.exponent, np.exp(self.exponent * x)
        level = power - t
        if not self.pole:
            return np.log(np.maximum(level, 1e-300)) / k
        y = np.log(power + max(-t, 0.0)) / k
        level = level + self.pole * x
        for _ in range(100):
            power = np.exp(k * y)
            y = y - (self.pole * y + power - level) / (self.pole + k * power)
        return np.asarray(y)

    def _cuts(self, t: Real, pieces: FloatArray) -> list[Real]:
        """The ends of the pieces, and where the integrand has a kink or a jump."""
        r = float(self.r)
        near = np.geomspace(1e-12, 1, 400)  # a rare ratio is met only next to the shift itself
        x = np.concatenate([np.linspace(pieces[0], pieces[-1], 4001), np.log(r) + near])
        x = np.unique(np.concatenate([x, np.log(r) - near]).clip(pieces[0], pieces[-1]))
        rho, nearer = np.exp(x), np.exp(self._roughly(x, float(t)))
        rough = np.stack([nearer - rho - r, nearer - abs(rho - r), rho - r, nearer - 1e-90]) > 0

        def sign(at: Real, which: int) -> bool:
            rho, nearer = MP.exp(at), self._nearer(at, t)
            sides = (nearer - rho - self.r, nearer - abs(rho - self.r), rho - self.r, nearer)
            return bool(sides[which] > 0)

        found = [number(float(each)) for each in pieces]
        for which, cell in zip(*np.nonzero(np.diff(rough.astype(int), axis=1)), strict=True):
            ends = (number(float(x[max(cell - 1, 0)])), number(float(x[min(cell + 2, len(x) - 1)])))
            found.append(_switch(partial(sign, which=int(which)), *ends))
        return sorted(found)


def _switch(holds: Callable[[Real], bool], low: Real, high: Real) -> Real:
    first = holds(low)
    for _ in range(90):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) == first else (low, middle)
    return low
