"""Accuracy against robustness as the pole of the noise grows (Zhang et al. 2020).

    python docs/figures/pole_tradeoff.py [--png]

Writes `pole_tradeoff.svg` beside this file, the same bytes on every run. The scale of the noise is
fixed. The base classifier is a toy: right exactly where `||z||`, in the norm of the noise, is below
a threshold, so that pA is known: the accuracy term. It rises with the pole k, while the radius at a
fixed pA, the robustness term, falls. What both give is the radius of the votes that pA lets expect.

Reference:
    Zhang, Ye, Gong, Zhu and Liu 2020, arXiv:2002.09169, accuracy and robustness term.
"""

from __future__ import annotations

import argparse
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit, gammainc, gammaincinv, logit

from radii.bounds import ClopperPearson
from radii.certificates import find
from radii.noise import MixedLinf, Noise, Radial
from radii.noise._mixed_radius import radius_law
from radii.records import ClassBounds, FloatArray

HERE = Path(__file__).parent
DIM = 3072
FIXED = 0.9  # the pA at which robustness is shown
STARTS = (0.3, 0.6, 0.9)  # pA without a pole: each sets a threshold
N, ALPHA = 100_000, 0.001
COLOURS = ("#D55E00", "#0072B2", "#009E73")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))


class Family(ABC):
    """Noise of sigma 1 with a pole, and the law of its norm."""

    title: ClassVar[str]
    norm: ClassVar[Literal["l2", "linf"]]
    largest: ClassVar[float]  # pole that is drawn

    @abstractmethod
    def noise(self, pole: float) -> Noise:
        """The noise."""

    @abstractmethod
    def threshold(self, p: float) -> float:
        """What `||z||` stays below with probability p where there is no pole."""

    @abstractmethod
    def below(self, threshold: float, pole: float) -> float:
        """`P(||z|| < threshold)`."""


@dataclass(frozen=True)
class PureL2(Family):
    """`||z||_2^-k exp(-||z||_2^2 / 2)`: `||z||_2^2 / 2` follows `Gamma((d - k) / 2)`."""

    title = "radial l2"
    norm: ClassVar[Literal["l2", "linf"]] = "l2"
    largest = 600.0

    def noise(self, pole: float) -> Noise:
        """See `Family.noise`."""
        return Radial(norm=self.norm, scale=math.sqrt(2), exponent=2.0, pole=pole)

    def threshold(self, p: float) -> float:
        """See `Family.threshold`."""
        return math.sqrt(2 * float(gammaincinv(DIM / 2, p)))

    def below(self, threshold: float, pole: float) -> float:
        """See `Family.below`."""
        return float(gammainc((DIM - pole) / 2, threshold**2 / 2))


@dataclass(frozen=True)
class PureLinf(PureL2):
    """`||z||_inf^-k exp(-||z||_inf^2 / 2)`: the law of its norm is that of `PureL2`."""

    title = "radial linf"
    norm: ClassVar[Literal["l2", "linf"]] = "linf"


@dataclass(frozen=True)
class Mixed(Family):
    """`||z||_inf^-k exp(-||z||_2^2 / 2)`: the law of its norm is integrated by the library."""

    title = "mixed_linf"
    norm: ClassVar[Literal["l2", "linf"]] = "linf"
    largest = 200.0

    def noise(self, pole: float) -> Noise:
        """See `Family.noise`."""
        return MixedLinf(sigma=1.0, pole=pole)

    def threshold(self, p: float) -> float:
        """See `Family.threshold`."""
        law = radius_law(0.0, DIM)
        return math.exp(np.interp(logit(p), law.logit, law.x))

    def below(self, threshold: float, pole: float) -> float:
        """See `Family.below`."""
        law = radius_law(pole, DIM)
        return float(expit(np.interp(math.log(threshold), law.x, law.logit)))


@dataclass(frozen=True)
class Tradeoff:
    """What happens as the pole grows.

    Attributes:
        poles: `(poles,)`.
        pA: `(starts, poles)` the accuracy term.
        fixed: `(poles,)` the robustness term: the radius at the pA that is fixed.
        radius: `(starts, poles)` from the votes nearest to `N pA`.
    """

    poles: FloatArray
    pA: FloatArray
    fixed: FloatArray
    radius: FloatArray

    def best(self) -> FloatArray:
        """`(starts,)` the pole of the largest radius."""
        best: FloatArray = self.poles[self.radius.argmax(axis=1)]
        return best


def tradeoff(family: Family, poles: FloatArray, starts: Sequence[float] = STARTS) -> Tradeoff:
    """The trade-off of one family at a fixed scale."""
    thresholds = [family.threshold(start) for start in starts]
    pA = np.array([[family.below(each, float(pole)) for pole in poles] for each in thresholds])
    votes = np.rint(N * pA).astype(np.int64)
    lower = ClopperPearson().lower(votes, N, alpha=ALPHA)
    radii = []
    for pole, column in zip(poles, lower.T, strict=True):
        certificate = find(family.noise(float(pole)), family.norm, dim=DIM)
        radii.append(certificate.radius(ClassBounds.one_sided(np.append(column, FIXED))))
    found = np.array(radii).T
    return Tradeoff(poles, pA, found[-1], found[:-1])


def column(rows: Sequence[Axes], family: Family, found: Tradeoff) -> None:
    """The three panels of one family."""
    accuracy, robustness, both = rows
    accuracy.set_title(family.title)
    robustness.plot(found.poles, found.fixed, color="black")
    for row, (start, pole) in enumerate(zip(STARTS, found.best(), strict=True)):
        colour, dash = COLOURS[row], DASHES[row]
        without = f"{start:g} at k = 0"
        accuracy.plot(found.poles, found.pA[row], color=colour, linestyle=dash, label=without)
        best = f"best k: {pole:g}"
        both.plot(found.poles, found.radius[row], color=colour, linestyle=dash, label=best)
        both.plot(pole, found.radius[row].max(), "o", color=colour, markersize=5)
    accuracy.legend(loc="lower right")
    both.legend(loc="lower right")
    accuracy.set_ylim(0, 1.04)
    robustness.set_ylim(0)
    both.set_ylim(0, found.radius.max() * 1.12)
    both.set_xlabel("pole k")
    for axes in rows:
        axes.set_xlim(0, family.largest)
        axes.ticklabel_format(axis="y", scilimits=(-2, 3))


def main() -> None:
    """Draws a column for each family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--png", action="store_true", help="write a PNG beside the SVG")
    png = parser.parse_args().png
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.style.use(HERE / "style.mplstyle")
    families: list[Family] = [PureL2(), PureLinf(), Mixed()]
    figure, axes = plt.subplots(3, 3, figsize=(7.6, 6.6))
    for place, family in enumerate(families):
        found = tradeoff(family, np.linspace(0, family.largest, 41))
        column(axes[:, place], family, found)
    axes[0, 0].set_ylabel("accuracy: pA")
    axes[1, 0].set_ylabel(f"robustness: radius / sigma\nat pA = {FIXED:g}")
    axes[2, 0].set_ylabel("both: certified radius / sigma")
    figure.tight_layout()
    figure.savefig(HERE / "pole_tradeoff.svg", metadata={"Date": None, "Creator": None})
    if png:
        figure.savefig(HERE / "pole_tradeoff.png", dpi=110)


if __name__ == "__main__":
    main()
