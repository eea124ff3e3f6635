"""Tests of the noise that is actually drawn, with a stated rate of false alarms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from radii._torch import torch
from radii.noise.base import AdditiveNoise
from radii.noise.streams import Stream

if TYPE_CHECKING:
    from radii.noise.base import Noise
    from radii.noise.streams import Generators

FALSE_ALARM = 1e-6  # of all checks together
DRAWS = 2**19  # numbers
FEWEST = 2**16

_INPUTS, _IN_A_ROW = 16, 64  # whose streams, so many, are compared with each other
_OF_STREAM = 64  # numbers of each, at least
_LAGS = (1, 2, 3, 16, 32, 64, 256, 512)
_TAILS = (1e-1, 1e-2, 1e-3, 1e-4)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Floats = npt.NDArray[np.float64]
Found = tuple[str, float, float]


@dataclass(frozen=True)
class NoiseTest:
    """One test of the noise.

    Attributes:
        name: What is tested.
        statistic: How far off it is, or how often it happened.
        p_value: An upper bound on the probability of a statistic so large or larger, if the noise
            is what it should be.
        passed: Whether the p-value is not below the level of this check.
    """

    name: str
    statistic: float
    p_value: float
    passed: bool


def self_test(
    noise: Noise, generators: Generators, *, seed: int, draws: int = DRAWS, dim: int = 512
) -> tuple[NoiseTest, ...]:
    """Whether the noise that these generators give is what it should be.

    Each p-value is an upper bound at every number of draws: by the inequality of Dvoretzky,
    Kiefer, Wolfowitz and Massart, that of Hoeffding and Azuma, an exact binomial test, or a union
    over all pairs that could agree. With m checks each fails below `1e-6 / m`, so good noise fails
    any of them with probability at most 1e-6. (The rounding of noise to float32 is not counted.)

    What is tested depends on what is known of the noise: its law where `AdditiveNoise.marginal`
    gives it; correlation, of the signs at least, where it is additive; repeats, and the bits of the
    generators' words, always. The streams are of a stage that no run uses.

    Args:
        noise: That is drawn, and not enumerated.
        generators: What it is drawn with.
        seed: Of the streams.
        draws: Numbers to draw, about; and so many words.
        dim: Numbers of an input; there is noise that does not exist for many.

    Raises:
        ValueError: If the noise is enumerated, or there are too few draws for a verdict.
    """
    if noise.num_outcomes is not None:
        raise ValueError(f"noise must be drawn to be tested, got {noise!r}, which is enumerated")
    if draws < FEWEST:
        raise ValueError(f"draws must be at least {FEWEST}, got {draws!r}")
    found = [
        *_of_noise(noise, generators, seed, draws, dim),
        *_of_words(generators, seed, draws),
    ]
    level = FALSE_ALARM / len(found)
    return tuple(NoiseTest(name, value, min(p, 1.0), p >= level) for name, value, p in found)


def _of_noise(
    noise: Noise, generators: Generators, seed: int, draws: int, dim: int
) -> Iterator[Found]:
    rows = -(-draws // (3 * dim))

    def drawn(index: int, first: int, rows: int, count: int = 1) -> npt.NDArray[np.float32]:
        names = [Stream(seed, index, "selftest", first + i) for i in range(count)]
        zero = torch.zeros(dim, device=generators.device)
        out = torch.empty((count * rows, dim), device=generators.device)
        return np.asarray(noise.copies(zero, names, rows, generators, out).cpu().flatten().numpy())

    here, next_block, next_input = (
        drawn(index, block, rows) for index, block in ((0, 0), (0, 1), (1, 0))
    )
    short = -(-_OF_STREAM // dim)
    streams = np.concatenate(
        [drawn(2 + i, 0, short, _IN_A_ROW).reshape(_IN_A_ROW, -1) for i in range(_INPUTS)]
    )
    yield from _repeats(here, streams)
    if not isinstance(noise, AdditiveNoise):
        return
    known = noise.marginal(torch.zeros(1, dtype=torch.float64)) is not None
    if known:
        yield from _of_law(_uniforms(noise, np.concatenate([here, next_block, next_input]), seed))

    def centred(numbers: npt.NDArray[np.float32]) -> Floats:
        """In [-1, 1], with mean 0: additive noise is symmetric."""
        if not known:
            return np.sign(numbers).astype(np.float64)
        return 2 * _uniforms(noise, numbers, seed) - 1

    first, second, third = (centred(each) for each in (here, next_block, next_input))
    for lag in _LAGS:
        yield _mean(f"correlation at lag {lag}", first[lag:] * first[:-lag], 2.0)
        if known:
            size = first**2 - 1 / 3  # in [-1/3, 2/3]; of a product, one factor is given
            yield _mean(f"correlation of sizes at lag {lag}", size[lag:] * size[:-lag], 2 / 3)
    yield _mean("correlation of two blocks", first * second, 2.0)
    yield _mean("correlation of two inputs", first * third, 2.0)
    of_streams = centred(streams.ravel()).reshape(streams.shape)
    yield _mean("correlation of streams in a row", (of_streams[1:] * of_streams[:-1]).ravel(), 2.0)


def _of_law(u: Floats) -> Iterator[Found]:
    """Of numbers that should be independent and uniform in [0, 1]."""
    n = len(u)
    ranks = np.arange(n) / n
    ordered = np.sort(u)
    distance = float(max(np.max(ordered - ranks), np.max(ranks + 1 / n - ordered)))
    yield "Kolmogorov-Smirnov", distance, 2 * math.exp(-2 * n * distance**2)
    for power, moment in ((1, 0.0), (2, 1 / 3), (3, 0.0), (4, 1 / 5)):
        terms = (2 * u - 1) ** power - moment
        yield _mean(f"moment {power}", terms, 2.0 if power % 2 else 1.0)
    for q in _TAILS:
        yield _frequency(f"lower tail of {q:g}", int((u < q).sum()), n, q)
        yield _frequency(f"upper tail of {q:g}", int((u > 1 - q).sum()), n, q)


def _of_words(generators: Generators, seed: int, draws: int) -> Iterator[Found]:
    stream = Stream(seed, 0, "selftest", 2)
    sources = {"": generators.words(stream, draws).cpu().numpy()}
    if generators.rng == "auto" and generators.native is not None:  # both are drawn from
        found = torch.empty(draws, dtype=torch.int64)
        sources[" of torch"] = found.random_(0, 2**32, generator=generators(stream)).numpy()
    for source, words in sources.items():
        turned = (words[1:] ^ words[:-1])[::2]
        for name, each in ((f"bits{source}", words), (f"changes of bits{source}", turned)):
            tested = [
                _frequency(name, int(((each >> bit) & 1).sum()), len(each), 0.5)
                for bit in range(32)
            ]
            _, share, p = min(tested, key=lambda found: found[2])
            yield name, share, 32 * p


def _repeats(stream: npt.NDArray[np.float32], streams: npt.NDArray[np.float32]) -> Iterator[Found]:
    """Whether windows of a stream agree, or whole streams.

    Two numbers agree by chance with a probability c, which is at most their share among disjoint
    pairs, plus an error that is exceeded with probability 1e-9. Two windows of m numbers agree with
    probability at most `c^(m/2)`, also where they overlap. So long that this is small are they.
    """
    pairs = stream[: len(stream) // 2 * 2].reshape(-1, 2)
    share = float((pairs[:, 0] == pairs[:, 1]).mean())
    c = min(share + math.sqrt(math.log(1e9) / (2 * len(pairs))), 1 - 1e-3)
    long = math.ceil(2 * math.log(1e12 * len(stream) ** 2) / -math.log(c))
    if long < len(stream):
        rolled = np.stack([stream[i : len(stream) - long + i + 1] for i in range(long)])
        yield "repeats within a stream", *_equal(rolled, c)
    yield "repeats among streams", *_equal(np.ascontiguousarray(streams.T), c)


def _equal(columns: npt.NDArray[np.float32], c: float) -> tuple[float, float]:
    """How many columns repeat another one, and how likely any would."""
    length, count = columns.shape
    hashed = np.zeros(count, np.uint64)
    for row in columns.view(np.uint32):
        hashed = (hashed ^ row) * _MULTIPLIER
        hashed ^= hashed >> np.uint64(32)
    repeated = count - len(np.unique(hashed))
    chance = count**2 / 2 * (c ** (length / 2) + 2.0**-60) + 1e-9
    return float(repeated), chance if repeated else 1.0


def _uniforms(noise: AdditiveNoise, numbers: npt.NDArray[np.float32], seed: int) -> Floats:
    """Numbers through their law: uniform in [0, 1], at random within each jump of the law."""
    z = torch.from_numpy(numbers).double()
    marginal = noise.marginal(z)
    assert marginal is not None, "a law that is known"
    below, upto = (each.numpy() for each in marginal)
    return np.asarray(below + np.random.default_rng(seed).random(len(numbers)) * (upto - below))


def _mean(name: str, terms: Floats, width: float) -> Found:
    """Of terms with mean 0 given those before, within an interval of this width."""
    mean = float(terms.mean())
    return name, mean, 2 * math.exp(-2 * len(terms) * (mean / width) ** 2)


def _frequency(name: str, count: int, n: int, p: float) -> Found:
    """Of events with probability p: the share, and both tails of the binomial law."""
    above = float(bdtrc(count - 1, n, p)) if count else 1.0
    return name, count / n, 2 * min(float(bdtr(count, n, p)), above)
