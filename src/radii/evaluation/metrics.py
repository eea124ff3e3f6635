"""What a run shows: certified accuracy by radius, average certified radius, abstention.

Every metric counts an input that is wrong or abstained as one with radius 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radii.bounds.clopper_pearson import ClopperPearson
from radii.evaluation.ledger import Row
from radii.records import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

_STEP = 0.25
_MOST_RADII = 40


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
    check_nonempty(outcomes)
    return [Share.of(outcomes.correct & (outcomes.radius >= radius)) for radius in radii]


def certified_shares(outcomes: Outcomes, radii: FloatArray) -> FloatArray:
    """The values of `certified_accuracy` at `radii` `(*batch,)`, without their intervals."""
    check_nonempty(outcomes)
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
    has one at most, whatever the radius. The 2 is needed: without it the statement fails. Radii
    must be those that were certified: it fails for ones rounded to the nearest, as in logs.

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
    check_nonempty(outcomes)
    return float(outcomes.correct.mean())


def abstention_rate(outcomes: Outcomes) -> float:
    """The share of examples for which no class is certified."""
    check_nonempty(outcomes)
    return float(outcomes.abstained.mean())


def average_certified_radius(outcomes: Outcomes) -> float:
    """ACR: the mean radius over all examples, 0 for those wrong or abstained.

    It equals the area under the curve of certified accuracy, and grows with n for easy inputs:
    compare at equal n only. It is rounded down; see `mean_below`.

    Reference:
        Zhai et al. 2020, arXiv:2001.02378, section 5.
    """
    check_nonempty(outcomes)
    return mean_below(outcomes.correct_radius.tolist())


def mean_below(values: Sequence[float]) -> float:
    """A float that is not above the mean of numbers, and off by its last bit at most.

    Example:
        >>> mean_below([0.5, math.nextafter(0.5, 0)]) < 0.5
        True
    """
    if math.inf in values:
        return math.inf
    over = max(0, math.frexp(max(values))[1] - 900)  # the sum of larger ones may be no float
    listed = [math.ldexp(value, -over) for value in values] if over else list(values)
    mean = math.fsum(listed) / len(listed)
    # `fsum` rounds the exact sum, so its sign tells whether the mean is above the exact one.
    while math.fsum([*listed, *[-mean] * len(listed)]) < 0:
        mean = math.nextafter(mean, -math.inf)
    return math.ldexp(mean, over)


def acr_standard_error(outcomes: Outcomes) -> float | None:
    """Standard error of the ACR over the choice of examples.

    None for a single example, and where a radius is infinite.
    """
    check_nonempty(outcomes)
    radii = outcomes.correct_radius
    if len(outcomes) == 1 or np.isinf(radii).any():
        return None
    return float(radii.std(ddof=1) / np.sqrt(len(outcomes)))


def check_nonempty(outcomes: Outcomes) -> None:
    """Refuses a run without inputs."""
    if not len(outcomes):
        raise ValueError("a run must hold at least one input to be summarised, got none")
