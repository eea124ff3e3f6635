"""The compiled generator: the published bits, the stated transform, and what replaces it."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import ndtr

from radii.noise import AdditiveNoise, Gaussian, Generators, Laplace, Stream, _native
from radii.noise._native import NAME, add_normal, library, threefry

if shutil.which(os.environ.get("CC", "cc")) is None:
    pytest.skip("no C compiler on this machine", allow_module_level=True)
CODE = library()
assert CODE is not None, "the code could not be compiled"

KEY = bytes(range(16))
WORDS = tuple(np.frombuffer(KEY, dtype="<u4").tolist())


def drawn(count: int, sigma: float = 1.0, key: bytes = KEY) -> npt.NDArray[np.float32]:
    return np.asarray(add_normal(CODE, torch.zeros(1), torch.empty(count), sigma, [key]).numpy())


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    # The file kat_vectors of Random123 (Salmon et al. 2011), threefry4x32 with 20 rounds.
    [
        ((0,) * 4, (0,) * 4, (0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 4, (0x2A881696, 0x57012287, 0xF6C7446E, 0xA16A6732)),
    ],
)
def test_published_bits(
    counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    assert threefry(CODE, counter, key) == answer


def test_numbers_are_the_transform_of_the_bits() -> None:
    for count in (1, 7, 64, 65, 1_000):
        numbers = drawn(count)
        for place in range(0, count, 13):
            group, lane = divmod(place, 64)
            words = threefry(CODE, (16 * group + lane % 16, 0, 0, 0), WORDS)
            a, b = words[:2] if lane < 32 else words[2:]
            u, v = ((a >> 1) + 0.5) / 2**31, b / 2**32
            turn = math.cos if lane % 32 < 16 else math.sin
            expected = math.sqrt(-2 * math.log(u)) * turn(2 * math.pi * v)
            assert numbers[place] == pytest.approx(expected, rel=3e-6, abs=3e-6)


def test_every_rounding_is_that_of_float32() -> None:
    # The same steps in NumPy's float32 give the same bits, so every machine does.
    f = np.float32
    words = np.array(
        [threefry(CODE, (i, 0, 0, 0), WORDS) for i in range(160)], dtype=np.uint32
    ).reshape(10, 16, 4)
    a, b = words[..., 0].ravel(), words[..., 1].ravel()
    u = ((a >> 1).astype(np.float32) + f(0.5)) * f(2.0**-31)
    above = u.view(np.uint32) - np.uint32(0x3F3504F3)
    e = (above.view(np.int32) >> 23).astype(np.float32)
    m = (u.view(np.uint32) - (above & np.uint32(0xFF800000))).view(np.float32) - f(1)
    p = np.full(m.shape, f(7.0376836292e-2))
    for c in (
        *(-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    ):
        p = p * m + f(c)
    log_u = p * m * (m * m) - f(2.12194440e-4) * e - f(0.5) * (m * m) + m + f(0.693359375) * e
    r = np.sqrt(f(-2) * np.minimum(log_u, f(0))) * f(0.7)
    quarter = (b + np.uint32(0x20000000)) >> 30
    t = (b - (quarter << 30)).view(np.int32).astype(np.float32) * f(1.46291807926715968e-9)
    s = t * t
    sine = ((f(-1.9515295891e-4) * s + f(8.3321608736e-3)) * s - f(1.6666654611e-1)) * s * t + t
    cosine = (
        ((f(2.443315711809948e-5) * s - f(1.388731625493765e-3)) * s + f(4.166664568298827e-2))
        * s
        * s
    ) - f(0.5) * s
    cosine = cosine + f(1)
    x = np.where(quarter & 1, sine, cosine)
    signed = np.where((quarter + 1) & 2, -x, x) * r
    ours = drawn(640, sigma=0.7).reshape(10, 4, 16)[:, 0].ravel()
    assert np.array_equal(ours, signed)


def test_they_are_normal() -> None:
    n = 2**22
    z = drawn(n).astype(np.float64)
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    distance = np.abs(np.sort(ndtr(z)) - (np.arange(n) + 0.5) / n).max()
    assert distance < math.sqrt(math.log(2e9) / (2 * n))  # Dvoretzky-Kiefer-Wolfowitz
    for lag in (1, 15, 16, 17, 32, 64, 784):
        assert abs((z[lag:] * z[:-lag]).mean()) < 5 / math.sqrt(n)
        squares = z**2 - 1
        assert abs((squares[lag:] * squares[:-lag]).mean()) < 5 * 2 / math.sqrt(n)


def test_another_key_is_another_stream() -> None:
    a, b = drawn(10_000), drawn(10_000, key=bytes(range(1, 17)))
    assert abs(float((a * b).mean())) < 5 / 100
    assert not np.any(a == b)


def test_each_block_of_rows_has_a_key() -> None:
    for keys, block in (([KEY], 4), ([KEY] * 4, 4), ([KEY] * 2, None)):
        with pytest.raises(ValueError, match=r"10 rows in blocks of (4|10) do not have \d keys"):
            add_normal(CODE, torch.zeros(1), torch.empty(10), 1.0, keys, block)
    assert add_normal(CODE, torch.zeros(0), torch.empty(0), 1.0, [KEY]).numel() == 0


def test_nothing_is_written_beyond_the_end() -> None:
    for count in range(1, 130):
        room = torch.full((200,), torch.nan)
        add_normal(CODE, torch.zeros(1), room[:count], 1.0, [KEY])
        assert not bool(room[:count].isnan().any())
        assert bool(room[count:].isnan().all())


def test_the_noise_of_a_stream_is_that_of_its_key() -> None:
    stream, x = Stream(3, 1, "estimation", 2), torch.linspace(0, 1, 6)
    generators = Generators(torch.device("cpu"))
    noisy = Gaussian(0.5).at(x.expand(4, 6), stream, generators)
    z = torch.from_numpy(drawn(24, 0.5, stream.hashed(16))).reshape(4, 6)
    assert torch.equal(noisy, x + z)
    assert Gaussian(0.5).generator_name(generators) == NAME


@pytest.mark.parametrize("variable", [{"RADII_NATIVE": "0"}, {"CC": "no-such-compiler"}])
def test_without_it_torch_draws_and_the_name_says_so(variable: dict[str, str]) -> None:
    program = (
        "import torch; from radii.noise import *; g = Generators(torch.device('cpu'));"
        "s = Stream(0, 0, 'estimation', 0); x = torch.zeros(3, 4); n = Gaussian(1.0);"
        "assert torch.equal(n.at(x, s, g), n.apply(x, generator=g(s)));"
        "print(n.generator_name(g))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variable},
    )
    assert done.stdout.strip() == "mt19937-shake128/1"


@pytest.mark.parametrize("dim", [1, 3, 63, 64, 65, 128, 200])
def test_inputs_are_added_place_by_place(dim: int) -> None:
    stream, rows = Stream(3, 1, "estimation", 2), 7
    generators = Generators(torch.device("cpu"))
    z = torch.from_numpy(drawn(rows * dim, 0.5, stream.hashed(16))).reshape(rows, dim)
    one, many = torch.randn(dim), torch.randn(rows, dim)
    for x in (one.expand(rows, dim), many, torch.randn(dim, rows).T):
        assert torch.equal(Gaussian(0.5).at(x, stream, generators), x + z)


@pytest.mark.parametrize("dim", [1, 37, 64, 784])
@pytest.mark.parametrize("sigma", [1e-3, 0.5, 100.0])
def test_rounded_numbers_are_those_of_float32_rounded_as_torch_rounds(
    dim: int, sigma: float
) -> None:
    x = torch.rand(dim, generator=torch.Generator().manual_seed(0))
    exact, rounded = torch.empty(9, dim), torch.empty(9, dim, dtype=torch.bfloat16)
    add_normal(CODE, x, exact, sigma, [KEY])
    assert add_normal(CODE, x, rounded, sigma, [KEY]) is rounded
    assert torch.equal(rounded, exact.bfloat16())


@pytest.mark.parametrize("noise", [Gaussian(0.3), Laplace(0.3)])
def test_noise_is_added_before_it_is_rounded(noise: AdditiveNoise) -> None:
    generators, stream = Generators(torch.device("cpu")), Stream(1, 2, "estimation", 3)
    x = torch.rand(1, 5, generator=torch.Generator().manual_seed(0)).expand(40, 5)
    exact = noise.at(x, stream, generators)
    found = noise.at(x, stream, generators, out=torch.empty(40, 5, dtype=torch.bfloat16))
    assert torch.equal(found, exact.bfloat16())
    assert not torch.equal(found.float(), exact)


def test_a_user_without_a_home_gets_a_folder_for_the_time_being(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(*_: object) -> object:
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError):
        Path.home()
    assert _native._folder().parent == tmp_path
