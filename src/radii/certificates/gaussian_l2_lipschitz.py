"""The l2 radius of Gaussian smoothing of scores, by a Lipschitz constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radii.certificates.base import CERTIFICATES, Certificate
from radii.certificates.gaussian_l2 import GaussianL2
from radii.noise.gaussian import Gaussian
from radii.records import ClassBounds, FloatArray, Norm


@CERTIFICATES.register("gaussian_l2_lipschitz")
@dataclass(frozen=True)
class GaussianL2Lipschitz(Certificate):
    """`R = sigma/2 (Phi^-1(pA_lower) - Phi^-1(pB_upper))` for mean scores pA and pB, open ball.

    Let `F_c` be the score of class c, with values in [0, 1], and `p_c(x) = E F_c(x + delta)`. Then
    `x -> sigma Phi^-1(p_c(x))` has the Lipschitz constant 1 in l2. So at a distance below R that of
    the top class is still above that of every other: the smoothed classifier, which answers the
    class of largest mean score, does not change. Votes are the scores 0 and 1, and the radius is
    that of `gaussian_l2`, with the same arithmetic: infinite where `pB_upper` is 0. Half-spaces
    attain it.

    Proof of the constant, which holds at once for scores and votes. Given x and its p = p_c(x),
    among all F with values in [0, 1] and mean p under `N(x, sigma^2 I)` the one with the smallest
    mean under `N(x + v, sigma^2 I)` is, by the Neyman-Pearson lemma for randomised tests, the
    indicator of a half-space across v. Its mean there is `Phi(Phi^-1(p) - ||v||_2 / sigma)`. So
    `sigma Phi^-1(p_c)` falls by at most `||v||_2`, and rises by no more, as `1 - F` shows.

    What bounds the mean of scores is a bound that is `soft`, not Clopper-Pearson.

    Reference:
        Salman et al. 2019, arXiv:1906.04584, Lemma 2 and Appendix A.

    Example:
        >>> import numpy as np
        >>> bounds = ClassBounds(pA_lower=np.array([0.8, 0.5]), pB_upper=np.array([0.1, 0.5]))
        >>> GaussianL2Lipschitz(Gaussian(sigma=1.0)).radius(bounds).round(4)
        array([1.0616, 0.    ])
    """

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = True

    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius; see `Certificate.radius`."""
        return GaussianL2(self.noise).radius(bounds)
