"""The l2 radius of Gaussian smoothing by hockey-stick divergences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from radii.certificates._search import BoolArray, bisect
from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 1e-12  # above the relative error of each side of the comparison
_TINY = 1e-300  # pB_upper is raised to this: its threshold is then above -38, and b below e^700


@CERTIFICATES.register("gaussian_l2_hockey_stick")
@dataclass(frozen=True)
class GaussianL2HockeyStick(Certificate):
    """The largest R with `sup_b (pA - E_b(R)) / b >= inf_b (b pB + E_b(R))`, open ball.

    `E_b(r) = Phi(r/2s - s ln b / r) - b Phi(-r/2s - s ln b / r)`, s = sigma, is the hockey-stick
    divergence, the integral of `(q - b p)_+`, of two Gaussians at a distance r: no event that has
    probability P around one has more than `b P + E_b` around the other. So the left side bounds pA'
    from below and the right side pB' from above, for every b > 0. Together the b are as good as the
    Neyman-Pearson lemma: R equals `gaussian_l2`, found without a normal quantile. The right side is
    convex in b, with the derivative `pB - Phi(-r/2s - s ln b / r)`; so a first search finds the
    threshold at which `Phi` is pB, which gives the best b for every r at once, and another
    that of pA. A last one finds R.

    Any b gives a valid radius, and the two sides must differ by a share of 2e-12 to count, so the
    result errs low: by less than 1e-11 sigma where `pA + pB <= 1`, and by more where `pB_upper` is
    below 1e-300 and counts as that. Infinite where `pA_lower` is 1 or `pB_upper` is 0.

    Reference:
        Dvijotham et al. 2020, ICLR, "A framework for robustness certification of smoothed
        classifiers using f-divergences", hockey-stick divergences.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2HockeyStick(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([1.0616, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        leads = bounds.pA_lower > bounds.pB_upper
        certain = leads & ((bounds.pA_lower == 1) | (bounds.pB_upper == 0))
        searched = leads & ~certain
        at_a, over_a = _threshold(np.where(searched, bounds.pA_lower, 0.5))
        at_b, over_b = _threshold(np.where(searched, np.maximum(bounds.pB_upper, _TINY), 0.5))

        def ahead(r: FloatArray) -> BoolArray:
            pA = ndtr(at_a - r) + over_a * np.exp(r * (at_a - r / 2))
            pB = ndtr(at_b + r) + over_b * np.exp(-r * (at_b + r / 2))
            return np.asarray(pA * (1 - _MARGIN) > pB * (1 + _MARGIN))

        high = np.where(searched, np.maximum(at_a - at_b, 0), 0)
        radius = self.noise.sigma * bisect(ahead, 0.0, high)
        return np.where(certain, np.inf, np.nextafter(radius, 0))


def _threshold(p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A number t with `Phi(t)` close to p, and the rest `p - Phi(t)`, each to its own last digits.

    Both come from the smaller of p and 1 - p, which has them.
    """
    tail = np.minimum(p, 1 - p)
    t = bisect(lambda t: ndtr(t) < tail, np.full(p.shape, -40.0), 0.0, steps=60)
    rest = tail - ndtr(t)
    return np.where(p < 0.5, t, -t), np.where(p < 0.5, rest, -rest)
