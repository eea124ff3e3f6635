"""ChaCha20: the published blocks, how streams are keyed, and the noise that is made of it."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from radii import Certification, SamplingPlan, SmoothedClassifier
from radii.noise import (
    NOISES,
    Gaussian,
    Generators,
    GridGaussian,
    GridUniform,
    Laplace,
    Splitting,
    Stream,
    Uniform,
    _chacha,
    rng_of,
)
from radii.noise._native import chacha, library, words
from radii.records import Counts

CPU = torch.device("cpu")
STREAM = Stream(3, 1, "estimation", 2)
KEY = bytes(range(32))
needs_compiler = pytest.mark.skipif(library() is None, reason="no C compiler on this machine")

# RFC 8439: section 2.3.2, and the test vectors 1, 2, 3 and 5 of appendix A.1.
VECTORS = [
    (
        KEY,
        1,
        "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000000",
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        bytes(32),
        1,
        "000000000000000000000000",
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        bytes(31) + b"\x01",
        1,
        "000000000000000000000000",
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        bytes(32),
        0,
        "000000000000000000000002",
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    ),
]


def words_of(text: str) -> tuple[int, ...]:
    return tuple(np.frombuffer(bytes.fromhex(text), dtype="<u4").tolist())


@pytest.mark.parametrize(("key", "counter", "nonce", "block"), VECTORS)
def test_published_blocks(key: bytes, counter: int, nonce: str, block: str) -> None:
    first, second, third = words_of(nonce)
    found = _chacha.blocks(key, torch.tensor([counter]), (first, second, third))
    assert tuple(found[:, 0].tolist()) == words_of(block)
    code = library()
    if code is not None:
        assert chacha(code, counter, (first, second, third), key) == words_of(block)


@needs_compiler
@pytest.mark.parametrize("count", [1, 15, 255, 256, 257, 5_000])
@pytest.mark.parametrize("row", [0, 1])
def test_words_are_those_of_the_blocks_here_and_there(count: int, row: int) -> None:
    code = library()
    assert code is not None
    found = words(code, count, KEY, row)
    assert torch.equal(found, _chacha.words(count, KEY, row, CPU))
    for place in range(0, count, 97):
        chunk, within = divmod(place, 256)
        counter = 16 * chunk + within % 16
        assert int(found[place]) == chacha(code, counter, (0, row, 0), KEY)[within // 16]


def test_the_key_is_the_hash_of_the_whole_name() -> None:
    name = b"radii/chacha/1/3/1/estimation/2"
    assert Generators(CPU, "chacha").key(STREAM) == hashlib.shake_256(name).digest(32)
    large = replace(STREAM, seed=3 + 2**255)
    assert Generators(CPU, "chacha").key(large) != Generators(CPU, "chacha").key(STREAM)


def test_without_a_seed_the_system_gives_256_bits() -> None:
    seeds = [SamplingPlan().seeded("chacha").seed for _ in range(20)]
    assert all(seed is not None and 0 <= seed < 2**256 for seed in seeds)
    assert len(set(seeds)) == 20
    assert max(seed or 0 for seed in seeds) > 2**250  # fails with probability 2^-100 or so
    assert SamplingPlan(seed=5).seeded("chacha").seed == 5
    assert (SamplingPlan().seeded().seed or 0) < 2**63


@pytest.mark.parametrize(
    "noise", [Gaussian(0.5), Uniform(0.5), GridGaussian(0.5), GridUniform(0.5)], ids=NOISES.spec_of
)
def test_torch_takes_the_place_of_compiled_code(noise: Any) -> None:
    x = (torch.arange(37) / 255).expand(50, 37)
    here, there = Generators(CPU, "chacha"), Generators(CPU, "chacha")
    there.native = None
    a, b = (noise.at(x, STREAM, generators) for generators in (here, there))
    if isinstance(noise, Gaussian) and not isinstance(noise, GridGaussian):
        assert torch.allclose(a, b, rtol=1e-5, atol=3e-6)
        assert noise.generator_name(there) == "chacha20-shake256/1-torch"
    else:  # to the last bit, so the name is the same
        assert torch.equal(a, b)
        assert noise.generator_name(there) == noise.generator_name(here) == "chacha20-shake256/1"
    assert rng_of(noise.generator_name(there)) == "chacha"
    out = torch.empty(50, 37, dtype=torch.bfloat16)
    assert torch.equal(noise.at(x, STREAM, there, out=out), b.bfloat16())


@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(0.5)], ids=NOISES.spec_of)
def test_the_law_is_that_of_the_noise(noise: Any) -> None:
    n = 2**20
    z = noise.at(torch.zeros(1, 1024).expand(1024, 1024), STREAM, Generators(CPU, "chacha"))
    below, _ = noise.marginal(z.flatten().double())
    distance = float((below.sort().values - torch.arange(n) / n).abs().max())
    assert distance < math.sqrt(math.log(2e9) / (2 * n))  # Dvoretzky-Kiefer-Wolfowitz
    assert float(z.abs().max()) <= 0.5 or isinstance(noise, Gaussian)


def test_noise_that_it_cannot_draw_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'auto' for laplace noise.*gaussian, grid_gaussian"):
        SmoothedClassifier(lambda x: x, Laplace(1.0), 2, rng="chacha")
    with pytest.raises(ValueError, match=r"auto.*chacha.*got 'aes'"):
        Generators(CPU, "aes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'auto' for a generator of torch"):
        Generators(CPU, "chacha")(STREAM)
    SmoothedClassifier(lambda x: x, Splitting(0.5, deterministic=True), 2, rng="chacha")


def test_a_smoothed_classifier_draws_from_it() -> None:
    seen: list[torch.Tensor] = []

    def base(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return (x[:, 0] > 0).long()

    plan = SamplingPlan(n0=10, n=100, seed=4, block=100, alpha=0.01)
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 2, rng="chacha")
    smoothed.certify(torch.ones(3), plan)
    drawn = Gaussian(0.5).at(
        torch.ones(1, 3).expand(100, 3), Stream(4, 0, "estimation", 0), Generators(CPU, "chacha")
    )
    assert any(torch.equal(drawn, part) for part in seen)


@needs_compiler
def test_votes_are_those_of_the_seed_in_another_process() -> None:
    program = (
        "import torch; from radii import *; from radii.noise import *;"
        "s = SmoothedClassifier(lambda x: (x[:, 0] > 0.1).long(), GridGaussian(0.5), 2,"
        " rng='chacha'); print(s.certify(torch.zeros(3), SamplingPlan(n=5_000, seed=2**200))"
        ".estimation.votes.tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    smoothed = SmoothedClassifier(
        lambda x: (x[:, 0] > 0.1).long(), GridGaussian(0.5), 2, rng="chacha"
    )
    found = smoothed.certify(torch.zeros(3), SamplingPlan(n=5_000, seed=2**200))
    assert isinstance(found, Certification)
    assert isinstance(found.estimation, Counts)
    votes = found.estimation.votes.tolist()
    assert done.stdout.strip() == str(votes)
    assert min(votes) > 1_000
