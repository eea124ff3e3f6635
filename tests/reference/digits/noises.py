"""Random and extreme noises and dimensions for each certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from radii.noise import (
    Gaussian,
    IidExponential,
    Laplace,
    Noise,
    Pareto,
    Splitting,
    Uniform,
    UniformBall,
)
from tests.reference.digits.points import log_uniform, scales

Draw = Callable[[np.random.Generator], Iterator[Noise]]


def _by_scale(kind: Callable[[float], Noise]) -> Draw:
    return lambda rng: (kind(scale) for scale in scales(rng))


def _with(
    kind: Callable[[float, float], Noise], first: tuple[float, ...], low: float, high: float
) -> Draw:
    """Noises with a second parameter: the extreme ones, then between two ends."""

    def draw(rng: np.random.Generator) -> Iterator[Noise]:
        given = scales(rng)
        yield from (kind(next(given), value) for value in first)
        while True:
            yield kind(next(given), float(log_uniform(rng, low, high, 1)[0]))

    return draw


def _splitting(rng: np.random.Generator) -> Iterator[Noise]:
    """Random offsets and enumerated ones in turn."""
    yield from (Splitting(0.5), Splitting(1 / 510, deterministic=True))
    for scale in scales(rng):
        yield Splitting(scale)
        yield Splitting(int(rng.integers(1, 10_000)) / 510, deterministic=True)


gaussian = _by_scale(Gaussian)
laplace = _by_scale(Laplace)
uniform = _by_scale(Uniform)
uniform_ball = _by_scale(UniformBall)
splitting_random = _by_scale(Splitting)
splitting: Draw = _splitting
pareto = _with(Pareto, (3.0, 0.5, 100.0), 0.5, 100.0)
iid_exponential = _with(IidExponential, (1.0, 0.1, 100.0, 2.0, 0.999), 0.1, 100.0)
