"""What a run shows: certified accuracy by radius, average certified radius, abstention.

Every metric counts an input that is wrong or abstained as one with radius 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from radii.bounds.clopper_pearson import ClopperPearson
from radii.evaluation.ledger import Row
from radii.records import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

_STEP = 0.25
_MOST_RADII = 40
_CHUNK = 2**22  # counts of resampling that are in memory at once


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcome of each input, as arrays; abstaining and being wrong both count as not correct.

    Attributes:
        correct: `(examples,)` whether the certified class is the true one.
        abstained: `(examples,)` whether no class was certified.
        radius: `(examples,)` float64. Certified radius of the class certified, right or wrong.
        pA_lower: `(examples,)` float64.
        samples: Draws spent on all of them.
        seconds: Wall-clock time spent on all of them.
        label: `(examples,)` int64. The true class.
    """

    correct: BoolArray
    abstained: BoolArray
    radius: FloatArray
    pA_lower: FloatArray
    samples: int
    seconds: float
    label: IntArray

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Outcomes:
        """The outcomes of a ledger's rows."""
        listed = [
            (
                r.prediction == r.label,
                r.prediction is None,
                r.radius,
                r.pA_lower,
                r.samples,
                r.seconds,
                r.label,
            )
            for r in rows
        ]
        correct, abstained, radius, pA_lower, samples, seconds, label = (
            zip(*listed, strict=True) if listed else ((),) * 7
        )
        return cls(
            correct=np.array(correct, dtype=bool),
            abstained=np.array(abstained, dtype=bool),
            radius=np.array(radius, dtype=np.float64),
            pA_lower=np.array(pA_lower, dtype=np.float64),
            samples=sum(samples),
            seconds=float(sum(seconds)),
            label=np.array(label, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.correct)

    def where(self, chosen: BoolArray | IntArray) -> Outcomes:
        """The outcomes of some of the examples, by a mask or positions.

        Samples and seconds stay those of all.
        """
        return replace(
            self,
            correct=self.correct[chosen],
            abstained=self.abstained[chosen],
            radius=self.radius[chosen],
            pA_lower=self.pA_lower[chosen],
            label=self.label[chosen],
        )

    @property
    def correct_radius(self) -> FloatArray:
        """`(examples,)` certified radius where the class is the true one, else 0."""
        return np.where(self.correct, self.radius, 0.0)


@dataclass(frozen=True)
class Share:
    """A share of the examples, with its 95 % Clopper-Pearson interval.

    Attributes:
        value: The share itself.
        lower: Lower end of the interval.
        upper: Upper end of the interval.
    """

    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, hits: BoolArray) -> Share:
        """The share of `hits` `(examples,)` that are true."""
        k, n = np.array(np.count_nonzero(hits)), len(hits)
        tail = 0.05 / 2  # two sides share what the interval may miss
        bound = ClopperPearson()
        return cls(float(k / n), float(bound.lower(k, n, tail)), float(bound.upper(k, n, tail)))


def certified_accuracy(outcomes: Outcomes, radii: Sequence[float]) -> list[Share]:
    """The share of examples whose true class is certified within each radius.

    An example counts at radius r if its class is right and its certified radius is at least r: no
    point closer than r is answered otherwise.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
    """
    _nonempty(outcomes)
    return [Share.of(outcomes.correct & (outcomes.radius >= radius)) for radius in radii]


def certified_shares(outcomes: Outcomes, radii: FloatArray) -> FloatArray:
    """The values of `certified_accuracy` at `radii` `(*batch,)`, without their intervals."""
    _nonempty(outcomes)
    certified = np.sort(outcomes.radius[outcomes.correct])
    below = np.searchsorted(certified, radii, side="left")
    return np.asarray((len(certified) - below) / len(outcomes), dtype=np.float64)


def certified_accuracy_lower(
    outcomes: Outcomes, radii: Sequence[float], *, alpha: float, rho: float = 0.001
) -> FloatArray:
    """What certified accuracy is at least on these examples, wrong certificates allowed for.

    A certificate is wrong with probability at most alpha, so a share of about alpha may count that
    should not. With probability at least `1 - rho` over the noise, the share of these examples
    that are right and robust at each of the radii, all of them at once, is at least

        certified accuracy - alpha - sqrt(2 alpha (1 - alpha) L / N) - L / (3 N),   L = ln(1/rho).

    It is about the N examples at hand; the interval of `certified_accuracy` is about the choice of
    examples. By Bernstein's inequality for the number of wrong certificates, of which each input
    has one at most, whatever the radius. The 2 is needed: without it the statement fails.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
        alpha: Probability that what is said of one example is wrong, in [0, 1/2]: that of the plan.
        rho: Probability that the answer is too large, in (0, 1).

    Returns:
        `(radii,)` float64, at least 0.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, section 3.2.2; the inequality in this
        form is of Boucheron, Lugosi and Massart 2013, "Concentration Inequalities", section 2.8.
    """
    if not 0 <= alpha <= 0.5:
        raise ValueError(f"alpha must be in [0, 1/2], got {alpha!r}")
    if not 0 < rho < 1:
        raise ValueError(f"rho must be in (0, 1), got {rho!r}")
    shares = certified_shares(outcomes, np.asarray(radii, dtype=np.float64))
    if alpha == 0:
        return shares
    loss = -math.log(rho) / len(outcomes)
    return np.maximum(shares - alpha - math.sqrt(2 * alpha * (1 - alpha) * loss) - loss / 3, 0.0)


def radius_grid(outcomes: Iterable[Outcomes]) -> tuple[float, ...]:
    """Radii for a table, up to the largest finite radius of a right class; see `grid_to`."""
    radii = np.concatenate([[0.0], *(each.correct_radius for each in outcomes)])
    return grid_to(float(radii[np.isfinite(radii)].max()))


def grid_to(largest: float) -> tuple[float, ...]:
    """0, 0.25, 0.5 and so on up to `largest`, in wider steps where that would be more than 40.

    Example:
        >>> grid_to(0.8)
        (0.0, 0.25, 0.5, 0.75)
    """
    step = _STEP
    while largest / step > _MOST_RADII:
        step *= 2
    return tuple(step * k for k in range(max(1, math.floor(largest / step)) + 1))


def standard_accuracy(outcomes: Outcomes) -> float:
    """The share of examples whose true class is certified within some radius."""
    _nonempty(outcomes)
    return float(outcomes.correct.mean())


def abstention_rate(outcomes: Outcomes) -> float:
    """The share of examples for which no class is certified."""
    _nonempty(outcomes)
    return float(outcomes.abstained.mean())


def average_certified_radius(outcomes: Outcomes) -> float:
    """ACR: the mean radius over all examples, 0 for those wrong or abstained.

    It equals the area under the curve of certified accuracy, and grows with n for easy inputs:
    compare at equal n only.

    Reference:
        Zhai et al. 2020, arXiv:2001.02378, section 5.
    """
    _nonempty(outcomes)
    return float(outcomes.correct_radius.mean())


def acr_standard_error(outcomes: Outcomes) -> float | None:
    """Standard error of the ACR over the choice of examples.

    None for a single example, and where a radius is infinite.
    """
    _nonempty(outcomes)
    radii = outcomes.correct_radius
    if len(outcomes) == 1 or np.isinf(radii).any():
        return None
    return float(radii.std(ddof=1) / np.sqrt(len(outcomes)))


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
    _nonempty(outcomes)
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
class OfClass:
    """The examples of one true class.

    Attributes:
        label: The class.
        examples: How many.
        standard_accuracy: Share of them with this class certified within some radius.
        abstention_rate: Share of them without a certified class.
        acr: Average certified radius.
        acr_se: Its standard error; None for a single example or an infinite radius.
        certified_accuracy: Radius, and share of them certified right within it.
    """

    label: int
    examples: int
    standard_accuracy: float
    abstention_rate: float
    acr: float
    acr_se: float | None
    certified_accuracy: tuple[tuple[float, Share], ...]


def per_class(outcomes: Outcomes, radii: Sequence[float]) -> tuple[OfClass, ...]:
    """The metrics of each true class that occurs, by label.

    Their mean, weighted by examples, is that of the run. With several classes, the extremes of
    such a table are more extreme than the classes are: each is an estimate.

    Args:
        outcomes: At least one example.
        radii: Each at least 0.
    """
    _nonempty(outcomes)
    table = []
    for label in np.unique(outcomes.label).tolist():
        part = outcomes.where(outcomes.label == label)
        table.append(
            OfClass(
                label=label,
                examples=len(part),
                standard_accuracy=standard_accuracy(part),
                abstention_rate=abstention_rate(part),
                acr=average_certified_radius(part),
                acr_se=acr_standard_error(part),
                certified_accuracy=tuple(zip(radii, certified_accuracy(part, radii), strict=True)),
            )
        )
    return tuple(table)


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
    _nonempty(outcomes)
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
    _nonempty(outcomes)
    for share in shares:
        if not 0 <= share <= 1:
            raise ValueError(f"shares must be in [0, 1], got {share!r}")
    exact = [Fraction(repr(float(share))) for share in shares]
    at = [max(math.ceil(share * len(values)) - 1, 0) for share in exact]
    return np.asarray(np.sort(values)[at], dtype=np.float64)


def _nonempty(outcomes: Outcomes) -> None:
    if not len(outcomes):
        raise ValueError("a run must hold at least one input to be summarised, got none")
