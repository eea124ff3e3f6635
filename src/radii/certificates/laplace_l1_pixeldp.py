"""The l1 radius of Laplace smoothing by differential privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from radii.certificates.base import CERTIFICATES, Certificate
from radii.noise.laplace import Laplace
from radii.records import ClassBounds, FloatArray, Norm

_MARGIN = 2e-15


@CERTIFICATES.register("laplace_l1_pixeldp")
@dataclass(frozen=True)
class LaplaceL1Pixeldp(Certificate):
    """`R = b/2 ln(pA_lower / pB_upper)`, open ball.

    The Laplace mechanism is (r/b, 0)-differentially private, so at distance r the probability of A
    is at least `exp(-r/b) pA` and that of B at most `exp(r/b) pB`. Infinite where `pB_upper` is 0.
    Rounded down by a share of 2e-15.

    Reference:
        Lecuyer, Atlidakis, Geambasu, Hsu and Jana 2019, arXiv:1802.03471, Proposition 1 and
        Lemma 1, with delta = 0.

    Example:
        >>> bounds = ClassBounds(pA_lower=np.array([0.9, 0.6]), pB_upper=np.array([0.1, 0.2]))
        >>> LaplaceL1Pixeldp(Laplace(b=1.0)).radius(bounds).round(4)
        array([1.0986, 0.5493])
    """

    noise: Laplace
    norm: ClassVar[Norm] = "l1"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        return self.noise.b / 2 * log_ratio(bounds) * (1 - _MARGIN)


def log_ratio(bounds: ClassBounds) -> FloatArray:
    """`ln(pA / pB)` to all digits; 0 where `pA <= pB`, infinite where only pB is 0.

    A pB between 0 and the least normal number 2.2e-308 is raised to that, which errs low.
    """
    pA, pB = bounds.pA_lower, bounds.pB_upper
    raised = np.maximum(pB, np.finfo(np.float64).tiny)
    share = np.maximum(pA - raised, 0.0) / raised
    finite = np.where(share < 1, np.log1p(share), np.log(np.maximum(pA, raised) / raised))
    return np.where((pB == 0) & (pA > 0), np.inf, finite)
