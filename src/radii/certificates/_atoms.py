"""Laws of numbers on finitely many atoms that are wider than a given law.

A *spread* of a law moves the mass of each bin to the two ends of the bin and keeps its mean. By
Jensen's inequality it raises the mean of every convex function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radii.records import FloatArray

_LARGEST = 1e280


@dataclass(frozen=True, eq=False)
class Atoms:
    """The positive part of a law, or of a wider one.

    For every `t >= 0` the mean of `max(V - t, 0)` is at most
    `sum_i weights_i max(values_i - t, 0) + rest`.

    Attributes:
        values: `(atoms,)`, each at least 0, in any order.
        weights: `(atoms,)` masses, each at least 0.
        rest: Mean of V over an event without atoms.
    """

    values: FloatArray
    weights: FloatArray
    rest: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of `max(V, 0)`."""
        return float(self.weights @ self.values) + self.rest

    @property
    def dispersion(self) -> float:
        """Mean distance of the atoms from their mean, as a share of it."""
        mean = (self.weights @ self.values) / self.weights.sum()
        return float(self.weights @ np.abs(self.values / mean - 1))

    def times(self, other: Atoms) -> Atoms:
        """The law of the product of V and an independent number of the law `other`.

        The mean of `max(V W - t, 0)` is that of a convex function of V for each W, and of W for
        each V, so a spread of either only raises it. `V W` outside the atoms is counted whole.
        """
        values = np.multiply.outer(self.values, other.values).ravel()
        weights = np.multiply.outer(self.weights, other.weights).ravel()
        return Atoms(values, weights, self.rest * other.mean + self.mean * other.rest)


def spread(ends: FloatArray, masses: FloatArray, gains: FloatArray) -> Atoms:
    """The law with atoms at the ends of bins.

    Args:
        ends: `(bins + 1,)` values at the ends, each at least 0. Within a bin the values lie between
            its ends, in whatever order. A bin with an infinite end gets no atoms, nor one whose end
            is too large to be multiplied.
        masses: `(bins,)` probability of each bin.
        gains: `(bins,)` mean of the value over each bin, that is mass times conditional mean.
    """
    left, right = ends[:-1], ends[1:]
    finite = (left < _LARGEST) & (right < _LARGEST)
    rest = float(gains[~finite].sum())
    step = np.where(finite & (left != right), right - left, 1)
    share = np.clip((gains - np.where(finite, left, 0) * masses) / step, 0, masses)
    share = np.where(finite & (left != right), share, 0)
    weights = np.zeros(ends.shape)
    weights[1:] += share
    weights[:-1] += np.where(finite, masses - share, 0)
    return Atoms(np.where(ends < _LARGEST, ends, 0), weights, rest)
