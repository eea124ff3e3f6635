"""The law of `||z||_inf` under `mixed_linf` noise with sigma 1, to float64 digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import erf, erfc

FloatArray = npt.NDArray[np.float64]

_CELLS = 4096  # on each side of the mode
_DROP = 60.0  # the table ends where the density is exp(-60) of its largest value
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True, eq=False)
class RadiusLaw:
    """The law of `x = ln ||z||_inf` on a grid.

    Attributes:
        x: `(points,)` increasing.
        logit: `(points,)` `ln F - ln (1 - F)` at `x`, F the distribution function.
        slope: `(points,)` derivative of x in the logit.
        log_mass: `ln E[||g||_inf^-pole]`, g standard normal.
    """

    x: FloatArray
    logit: FloatArray
    slope: FloatArray
    log_mass: float


@lru_cache(maxsize=16)
def radius_law(pole: float, dim: int) -> RadiusLaw:
    """The law of the logarithm of the linf norm, `pole < dim`.

    The density of x is proportional to `exp((1 - pole) x) phi(e^x) (2 Phi(e^x) - 1)^(dim - 1)` and
    log-concave, so it has one mode and tails that fall at least exponentially. The cells shrink
    towards the mode, and each is integrated by 6 Gauss-Legendre nodes.
    """

    def log_density(x: FloatArray) -> FloatArray:
        rho = np.exp(x)
        small = x + math.log(2 / math.pi) / 2  # of ln erf(rho / sqrt 2), to all digits below 1e-8
        middle = np.log(erf(np.maximum(rho, 1e-8) / math.sqrt(2)))
        core = np.where(rho < 1, middle, np.log1p(-erfc(np.maximum(rho, 1) / math.sqrt(2))))
        core = np.where(rho < 1e-8, small, core)
        out: FloatArray = (1 - pole) * x - rho**2 / 2 + (dim - 1) * core
        return out

    mode = _mode(pole, dim)
    top = float(log_density(np.array(mode)))
    reach = []
    for side in (-1.0, 1.0):
        step = 1e-3
        while step < 1e9 and float(log_density(np.array(mode + side * step))) > top - _DROP:
            step *= 1.25
        reach.append(step)
    share = (np.arange(_CELLS + 1) / _CELLS) ** 2
    x = np.concatenate([mode - reach[0] * share[:0:-1], mode + reach[1] * share])
    half = np.diff(x)[:, None] / 2
    nodes = x[:-1, None] + half * (1 + _NODES)
    cells = (half * _WEIGHTS * np.exp(log_density(nodes) - top)).sum(1)
    total = float(cells.sum())
    # Beyond the ends the tails are taken as exponential, so that no logit is infinite.
    below = np.concatenate([[0.0], np.cumsum(cells)]) + math.exp(-_DROP)
    above = np.concatenate([np.cumsum(cells[::-1])[::-1], [0.0]]) + math.exp(-_DROP)
    density = np.exp(log_density(x) - top)
    slope = below * above / (density * (below + above))
    log_mass = math.log(total) + top + math.log(2 * dim) - math.log(2 * math.pi) / 2
    return RadiusLaw(x, np.log(below) - np.log(above), slope, log_mass)


def _mode(pole: float, dim: int) -> float:
    """Where the density of x is largest: its log has a decreasing derivative."""

    def derivative(x: float) -> float:
        rho = math.exp(x)
        hazard = rho * math.sqrt(2 / math.pi) * math.exp(-(rho**2) / 2) / math.erf(rho / 2**0.5)
        return (1 - pole) - rho**2 + (dim - 1) * hazard

    low, high = -300.0, 4.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if derivative(middle) > 0 else (low, middle)
    return low
