"""Clopper-Pearson at a few look times, read at any time."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from radii.bounds.base import Bound, check
from radii.bounds.clopper_pearson import ClopperPearson
from radii.records import FloatArray, IntArray


class AtLooks(Bound):
    """Clopper-Pearson bounds at fixed look times, whose shares of alpha sum to at most 1.

    Let `L_j` be the Clopper-Pearson lower bound for `t_j` draws at look j's share of alpha, and E
    the event that `L_j(K_j) <= p` at every look, where `K_j` counts the successes in the first
    `t_j` draws. Each look fails with at most its share, so P(E) >= 1 - alpha.

    At any time n, k successes restrict the count at each look, whether it is past or still to
    come:

    - past, `t_j <= n`: at most `n - t_j` successes came later, so `K_j >= k - (n - t_j)`;
    - to come, `t_j > n`: successes stay, so `K_j >= k`.

    `L_j` does not fall when its count rises. On E therefore `L_j(the fewest) <= L_j(K_j) <= p`, at
    all times n and looks j at once. `lower(k, n, alpha)` is the larger of these at the last look
    and at the next one, a function of k and n alone; since E does not mention n, it holds at every
    stopping time. Draws that are never made do no harm: E is a statement about the sequence as it
    would have gone on.

    At a look time, `n = t_j`, it is plain Clopper-Pearson at the share of look j. In between, it is
    looser, for it assumes that all failures (or, for the next look, no successes) fell where they
    hurt. `upper` is the same for failures.
    """

    anytime: ClassVar[bool] = True

    @abstractmethod
    def looks(self, n: int) -> tuple[IntArray, FloatArray]:
        """Look times, rising, up to the first that is `n` or later, and each one's share of alpha.

        Another n lengthens or shortens the list, but does not change it.
        """

    def lower(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound below p; see `Bound.lower`. Holds at every stopping time n."""
        return self._best("lower", k, n, alpha)

    def upper(self, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        """A bound above p; see `Bound.upper`. Holds at every stopping time n."""
        return self._best("upper", k, n, alpha)

    def _best(self, side: str, k: IntArray, n: IntArray | int, alpha: float) -> FloatArray:
        k, n = check(k, n, alpha)
        times, shares = self.looks(int(n.max(initial=1)))
        last, following = np.searchsorted(times, n, "right") - 1, np.searchsorted(times, n, "left")
        best = np.full(k.shape, 0.0 if side == "lower" else 1.0)
        for look in np.union1d(last, following):
            if look < 0:  # there is no look before the first
                continue
            t, share = int(times[look]), float(shares[look]) * alpha
            at = (last == look) | (following == look)
            if side == "lower":
                fewest = np.maximum(k[at] - np.maximum(n[at] - t, 0), 0)
                best[at] = np.maximum(best[at], ClopperPearson().lower(fewest, t, share))
            else:
                most = np.minimum(k[at] + np.maximum(t - n[at], 0), t)
                best[at] = np.minimum(best[at], ClopperPearson().upper(most, t, share))
        return best
