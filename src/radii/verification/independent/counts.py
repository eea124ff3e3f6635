"""The exact radius that a count of votes gives, for runs of which only radii are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from scipy.special import betaincinv

from radii.verification.independent.bounds import Evidence, bound_of
from radii.verification.independent.numbers import MP, Real, number

_UNSURE = 1e-9  # share within which a bound in double precision decides nothing


class CountRadii:
    """Radii by count, under Clopper-Pearson, with `pB = 1 - pA`.

    Args:
        slack: What `radius_of` gives.
        n: Draws of the estimation.
        alpha: Of the one-sided bound.
    """

    def __init__(self, slack: Callable[[Real, Real, Real], Real], n: int, alpha: float) -> None:
        self.n = n
        self._slack, self._alpha = slack, alpha
        self._exactly = cache(self._exact_bound)

    def excess(self, radius: float, k: int) -> float:
        """The share by which a radius is above what k votes give; below 0 if it is not."""
        if k <= 0:
            return 1.0
        p = number(float(betaincinv(k, self.n - k + 1, self._alpha)))
        found = self._slack(number(radius), p, 1 - p)
        if abs(found) < _UNSURE:
            p = self._exactly(k)
            found = self._slack(number(radius), p, 1 - p)
        return -float(found)

    def least(self, radius: float) -> int:
        """The fewest votes that give a radius; n + 1 if none do."""
        below, above = 0, self.n + 1
        while below + 1 < above:
            middle = (below + above) // 2
            below, above = (below, middle) if self.excess(radius, middle) <= 0 else (middle, above)
        return above

    def _exact_bound(self, k: int) -> Real:
        rule = bound_of("clopper_pearson", self._alpha)
        assert rule is not None
        p = number(float(betaincinv(k, self.n - k + 1, self._alpha)))
        for _ in range(8):  # Newton's method for the logarithms
            share = rule(p, number(1), Evidence(k, self.n, 0, 2)).lower
            p *= MP.exp(share)
            if abs(share) < MP.mpf(10) ** -30:
                break
        return p
