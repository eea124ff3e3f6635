"""How radii and probabilities are spread over the inputs of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.special import ndtr, ndtri

from radii.evaluation.metrics import BoolArray, Outcomes, check_nonempty
from radii.records import FloatArray

_CHUNK = 2**22  # counts of resampling that are in memory at once


@dataclass(frozen=True)
class Interval:
    """Two ends.

    Attributes:
        lower: The lower one.
        upper: The upper one.
    """

    lower: float
    upper: float


def acr_interval(
    outcomes: Outcomes,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2_000,
) -> Interval | None:
    """Bootstrap interval of the ACR over the choice of examples: bias-corrected, accelerated (BCa).

    Samples of as many examples are drawn from the examples, with replacement, and the interval is
    between two quantiles of their ACR. Which two corrects for bias and skewness: radii pile up at 0
    and at the largest that n allows, and percentiles taken as they are lag behind. A plain standard
    error needs no resampling and is enough for thousands of examples; see `acr_standard_error`.
    The time goes with resamples and the number of distinct radii: a second for 10,000 examples.

    Args:
        outcomes: At least one example.
        generator: The source of randomness; equal states give equal intervals.
        level: How often the interval holds the ACR of all inputs, in (0, 1); approximately.
        resamples: How many samples are drawn.

    Returns:
        None for a single example, and where a radius is infinite.

    Reference:
        Efron 1987, "Better bootstrap confidence intervals", JASA 82, pages 171-185.
    """
    check_nonempty(outcomes)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples!r}")
    radii = outcomes.correct_radius
    if len(radii) == 1 or np.isinf(radii).any():
        return None
    mean = radii.mean()
    spread = radii - mean
    squares = float((spread**2).sum())
    if radii.min() == radii.max() or squares == 0:
        return Interval(float(mean), float(mean))
    means = np.sort(_resampled_means(radii, generator, resamples))
    below = (np.searchsorted(means, mean, "left") + np.searchsorted(means, mean, "right")) / 2
    bias = ndtri(np.clip(below / resamples, 0.5 / resamples, 1 - 0.5 / resamples))
    acceleration = float((spread**3).sum()) / (6 * squares**1.5)
    tails = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    shares = ndtr(bias + tails / (1 - acceleration * tails))
    lower, upper = np.quantile(means, shares)
    return Interval(float(lower), float(upper))


def _resampled_means(
    radii: FloatArray, generator: np.random.Generator, resamples: int
) -> FloatArray:
    """`(resamples,)` the means of samples of as many radii, drawn with replacement.

    A sample is how often it holds each value that occurs: one multinomial draw.
    """
    values, counts = np.unique(radii, return_counts=True)
    rows = max(1, _CHUNK // len(values))
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    shares = counts / counts.sum()
    drawn = [generator.multinomial(len(radii), shares, size) @ values for size in sizes]
    return np.asarray(np.concatenate(drawn) / len(radii))


def radius_quantiles(outcomes: Outcomes, shares: Sequence[float]) -> FloatArray:
    """Quantiles of the radius over all examples, 0 for those wrong or abstained.

    The quantile at q is the least radius of an example such that at least the share q of examples
    have none that is larger: always one that occurs, never between two. `shares=[0.5]` is the
    median.

    Args:
        outcomes: At least one example.
        shares: Each in [0, 1], read as the shortest decimal that it is the nearest float to.

    Returns:
        `(shares,)` float64.
    """
    return _quantiles(outcomes, outcomes.correct_radius, shares)


def median_radius(outcomes: Outcomes) -> float:
    """The median of the radius over all examples, 0 for those wrong or abstained.

    Of an even number of examples it is the smaller of the two in the middle.
    """
    return float(radius_quantiles(outcomes, [0.5])[0])


@dataclass(frozen=True)
class Probabilities:
    """How `pA_lower` is distributed, the bound below the probability of the class selected.

    Attributes:
        edges: `bins + 1` numbers, rising from 0 to 1. A bin holds its lower edge and not its upper
            one; the last holds both.
        right: How many inputs with the right class certified are in each bin.
        wrong: The same of those with another class certified.
        abstained: The same of those without one.
        quantiles: Pairs of a share q and the quantile of `pA_lower` at q over all inputs, 0 for
            those wrong or abstained; as in `radius_quantiles`.
    """

    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]
    abstained: tuple[int, ...]
    quantiles: tuple[tuple[float, float], ...]


def probabilities(
    outcomes: Outcomes,
    edges: Sequence[float] = (0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1),
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
) -> Probabilities:
    """The distribution of `pA_lower`, which unlike the radius does not grow beyond bounds.

    Args:
        outcomes: At least one example.
        edges: Of the bins, rising from 0 to 1.
        shares: For the quantiles.
    """
    check_nonempty(outcomes)
    bins = tuple(float(edge) for edge in edges)
    if len(bins) < 2 or (bins[0], bins[-1]) != (0, 1) or sorted(set(bins)) != list(bins):
        raise ValueError(f"edges must rise from 0 to 1, got {list(edges)!r}")
    wrong = ~outcomes.correct & ~outcomes.abstained

    def counts(chosen: BoolArray) -> tuple[int, ...]:
        return tuple(np.histogram(outcomes.pA_lower[chosen], bins=np.array(bins))[0].tolist())

    values = np.where(outcomes.correct, outcomes.pA_lower, 0.0)
    found = _quantiles(outcomes, values, shares).tolist()
    return Probabilities(
        edges=bins,
        right=counts(outcomes.correct),
        wrong=counts(wrong),
        abstained=counts(outcomes.abstained),
        quantiles=tuple(zip(map(float, shares), found, strict=True)),
    )


def _quantiles(outcomes: Outcomes, values: FloatArray, shares: Sequence[float]) -> FloatArray:
    check_nonempty(outcomes)
    for share in shares:
        if not 0 <= share <= 1:
            raise ValueError(f"shares must be in [0, 1], got {share!r}")
    exact = [Fraction(repr(float(share))) for share in shares]
    at = [max(math.ceil(share * len(values)) - 1, 0) for share in exact]
    return np.asarray(np.sort(values)[at], dtype=np.float64)
