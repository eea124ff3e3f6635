"""The classifier that is worst for a certificate, found without knowing the certificate.

Among all classifiers that answer A with probability at least pA and B with at most pB under noise
around x, the one that at `x + delta` gives A least and B most answers A where the likelihood ratio
`W = density(z - delta) / density(z)` is lowest, on a set of mass pA, and B where it is highest, on
a set of mass pB (Neyman and Pearson 1933; Cohen et al. 2019, arXiv:1902.02918, Lemma 3). What it
answers at `x + delta` follows from `draw` and `log_density` of the noise alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from radii.certificates import Certificate
from radii.noise import AdditiveNoise, Generators, Stream
from radii.records import ClassBounds, FloatArray, Norm

SHAPE = (2,)  # of the inputs that are tried
DRAWS = 2**18
ELEMENTS = 2**22  # of a piece of noise
STANDARD_ERRORS = 5.0

# (pA, pB): bounds that know only pB <= 1 - pA, and bounds on both.
LEVELS = ((0.7, 0.3), (0.9, 0.1), (0.99, 0.01), (0.5, 0.1), (0.6, 0.2))

_ORDERS: dict[Norm, float] = {"l1": 1, "l2": 2, "linf": math.inf}


@dataclass(frozen=True)
class WorstCase:
    """What the worst classifier still answers at `x + delta`.

    Attributes:
        pA: Estimated probability of A.
        pB: Estimated probability of B.
        error: `pA - pB` is off by more than this with probability below 1e-6 or so.
    """

    pA: float
    pB: float
    error: float

    @property
    def margin(self) -> float:
        """How far A is ahead of B."""
        return self.pA - self.pB


def worst_case(
    noise: AdditiveNoise, delta: Tensor, pA: float, pB: float, *, draws: int = DRAWS
) -> WorstCase:
    """What the worst classifier for a shift answers there.

    Args:
        noise: The smoothing distribution.
        delta: `(*shape)` float64. The shift.
        pA: Probability of A at x, in (0, 1).
        pB: Probability of B at x, in (0, 1 - pA].
        draws: Noise vectors around x.
    """
    (ratios,) = likelihood_ratios(noise, [delta], draws=draws)
    return worst_answer(ratios, pA, pB)


def likelihood_ratios(
    noise: AdditiveNoise, deltas: Sequence[Tensor], *, draws: int = DRAWS
) -> list[FloatArray]:
    """The likelihood ratio W of each shift at the same noise vectors around x.

    They are drawn in pieces of at most 32 MiB, and forgotten.
    """
    generator = Generators(torch.device("cpu"))(Stream(0, 0, "estimation", 0))
    shape = deltas[0].shape
    piece = max(1, ELEMENTS // max(1, math.prod(shape)))
    found: list[list[Tensor]] = [[] for _ in deltas]
    for done in range(0, draws, piece):
        z = noise.draw((min(piece, draws - done), *shape), generator=generator).double()
        before = noise.log_density(z)
        for ratios, delta in zip(found, deltas, strict=True):
            ratios.append((noise.log_density(z - delta) - before).exp())
    joined = [torch.cat(ratios).numpy() for ratios in found]
    assert not any(np.isnan(ratios).any() for ratios in joined), "a draw of density 0"
    return joined


def worst_answer(ratios: FloatArray, pA: float, pB: float) -> WorstCase:
    """What the worst classifier still answers, from the ratios at draws around x."""
    kept, error_a = _mass_after(ratios, pA)
    rest, error_b = _mass_after(ratios, 1 - pB)
    return WorstCase(kept, 1 - rest, error_a + error_b)


def _mass_after(ratios: FloatArray, p: float) -> tuple[float, float]:
    """Mass around `x + delta` of the set of lowest ratios that has mass p around x.

    With t the p-quantile of the ratio W around x, that set is `{W < t}` and so much of `{W = t}` as
    brings it to mass p. Its mass around x + delta is the mean of W over it, which is

        t p - E[max(t - W, 0)]

    however the part of `{W = t}` is chosen. Mass that lies only around x + delta is not in it.

    Returns:
        The estimate, with the quantile and the mean of the draws, and its error. In t the formula
        is concave and largest at the p-quantile, so the error of the quantile enters with its
        square, of order 1/draws. What remains is the error of a mean of independent terms in
        [0, t]: their standard deviation over the root of the draws.
    """
    n = len(ratios)
    rank = min(math.ceil(p * n), n) - 1
    t = float(np.partition(ratios, rank)[rank])
    missing = np.maximum(t - ratios, 0)
    error = STANDARD_ERRORS * float(missing.std()) / math.sqrt(n)
    return t * p - float(missing.mean()), error


def directions(norm: Norm, length: float, shape: Sequence[int] = SHAPE) -> list[Tensor]:
    """Shifts of a given length: along one axis, along all, and at random."""
    first = torch.zeros(tuple(shape), dtype=torch.float64)
    first.view(-1)[0] = 1
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(tuple(shape), dtype=torch.float64, generator=generator)
    return [
        ray * (length / float(torch.linalg.vector_norm(ray, _ORDERS[norm])))
        for ray in (first, torch.ones_like(first), random)
    ]


def worst_cases(certificate: Certificate, factor: float) -> list[tuple[str, list[WorstCase]]]:
    """For each level: its name, and the worst case in every direction at `factor` times the radius.

    Levels with radius 0 certify nothing and are left out.
    """
    noise = certificate.noise
    assert isinstance(noise, AdditiveNoise)
    levels = []
    for pA, pB in LEVELS:
        radius = float(certificate.radius(ClassBounds(np.array(pA), np.array(pB))))
        assert math.isfinite(radius), f"radius {radius} at pA={pA}, pB={pB}"
        if radius > 0:
            levels.append((pA, pB, radius, directions(certificate.norm, factor * radius)))
    if not levels:
        return []
    shifts = [delta for *_, deltas in levels for delta in deltas]
    ratios = iter(likelihood_ratios(noise, shifts))
    return [
        (
            f"{factor} x {radius} at pA={pA}, pB={pB}",
            [worst_answer(next(ratios), pA, pB) for _ in deltas],
        )
        for pA, pB, radius, deltas in levels
    ]


def assert_no_flip(certificate: Certificate) -> None:
    """Inside the radius no classifier with these bounds prefers B."""
    levels = worst_cases(certificate, 0.98)
    assert levels, "the certificate gives no radius at any level"
    for name, cases in levels:
        for case in cases:
            assert case.margin > -case.error, f"a classifier flips at {name}: {case}"


def assert_tight(certificate: Certificate) -> None:
    """5 % beyond the radius some classifier with these bounds prefers B."""
    levels = worst_cases(certificate, 1.05)
    assert len(levels) == len(LEVELS), "a tight certificate has a radius wherever pA > pB"
    for name, cases in levels:
        flips = any(case.margin < -case.error for case in cases)
        assert flips, f"no classifier flips at {name}: {cases}"
