"""The random generator of a run, tested as it draws on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import torch

from radii.noise import NOISES, Generators, Noise, rng_of, self_test
from radii.noise.selftest import NoiseTest
from radii.noise.streams import Rng
from radii.verification.result import Check
from radii.verification.stored import Stored

_NAME = "random generator"
_DIM = 512  # numbers of an input, at most: as many as suit the tests


def generator_tested(stored: Stored) -> Iterator[Check]:
    """Whether the noise that the run's generator gives here is what it should be.

    The streams have the run's seed, and are of a stage that no run uses.
    """
    meta = stored.meta
    name = meta.get("generator")
    noise = NOISES.build(meta["noise"])
    if stored.imported or name is None or noise.num_outcomes is not None:
        why = "it has none" if noise.num_outcomes is not None else "it does not say which it used"
        yield Check(_NAME, "not checked", why)
        return
    cuda = meta.get("device") == "cuda" and torch.cuda.is_available()
    device, rng = "cuda" if cuda else "cpu", rng_of(name)
    here = noise.generator_name(Generators(torch.device(device), rng))
    if here != name:
        yield Check(_NAME, "not checked", f"the run used {name}, and this machine has {here}")
        return
    dim = min(_DIM, math.prod(meta.get("input_shape", [_DIM])))
    found = _tested(noise, device, rng, meta["seed"], dim)
    problems = [
        f"{each.name} is {each.statistic:.4g}, which has probability {each.p_value:.1g} at most"
        for each in found
        if not each.passed
    ]
    yield Check.of(_NAME, problems, f"{name} passed all {len(found)} tests of its noise")


@lru_cache(maxsize=16)
def _tested(noise: Noise, device: str, rng: Rng, seed: int, dim: int) -> tuple[NoiseTest, ...]:
    """The same noise is tested once; it takes a second."""
    return self_test(noise, Generators(torch.device(device), rng), seed=seed, dim=dim)
