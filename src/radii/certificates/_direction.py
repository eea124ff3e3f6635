"""How a uniform direction of the sphere of a norm lies to the worst direction of another."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc, poch

from radii.certificates._atoms import Atoms, spread

_RAREST = 1e-22  # least probability of a tail that gets atoms


def sign(chance: float = 1.0) -> Atoms:
    """1 and -1 with probability `chance / 2` each, else 0."""
    return Atoms(np.ones(1), np.array([chance / 2]))


def coordinate(dim: int, bins: int) -> Atoms:
    """A spread of one coordinate of a uniform point of the l2 sphere, `dim >= 2`.

    Its square has the law Beta(1/2, (dim - 1)/2), and its mean over values above c is a multiple of
    `(1 - c^2)^((dim - 1)/2)`. The bins are of equal angles, and one more.
    """
    half = (dim - 1) / 2
    widest = math.asin(math.sqrt(-math.expm1(math.log(_RAREST) / half)))
    ends = np.unique(np.append(np.sin(np.linspace(0, widest, bins + 1)), 1.0))
    below = betainc(0.5, half, ends**2) / 2
    above = betainc(half, 0.5, (1 - ends) * (1 + ends)) / 2
    masses = np.where(below[1:] < 0.25, np.diff(below), -np.diff(above))
    with np.errstate(divide="ignore"):
        log_left = half * np.log1p(-(ends**2))
    factor = 1 / (2 * math.sqrt(math.pi) * float(poch(dim / 2, 0.5)))
    gains = -factor * np.exp(log_left[:-1]) * np.expm1(np.diff(log_left))
    return spread(ends, np.maximum(masses, 0), gains)


def sum_of_signs(dim: int) -> Atoms:
    """The sum of `dim` independent signs, `2K - dim` with K of the law Binomial(dim, 1/2)."""
    half = dim // 2 + 1  # the least k with 2k > dim
    central = math.exp(math.fsum(np.log1p(-0.5 / np.arange(1, half))))  # C(2m, m) / 4^m
    k = np.arange(half, dim + 1, dtype=np.float64)
    log_fall = np.log1p((2 * k[:-1] + 1 - dim) / (dim - k[:-1]))  # of P(K = k) to the next
    chance = dim / 2 * central / half * np.exp(-np.append(0, np.cumsum(log_fall)))
    atoms = int(np.searchsorted(-chance, -_RAREST))
    # The mean over K >= j is j P(K = j).
    rest = float(k[atoms] * chance[atoms]) if atoms < len(k) else 0.0
    return Atoms(2 * k[:atoms] - dim, chance[:atoms], rest)
