"""Noise by compiled code, where the machine has a C compiler.

The code is compiled at its first use, into the user's cache folder. Without a compiler, or with
`RADII_NATIVE=0` in the environment, there is none, and torch's generator takes its place; a run
records which of them it used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radii._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise._thresholds import Thresholds

NAME = "threefry4x32_20-shake128/1"
CHACHA = "chacha20-shake256/1"

_SOURCE = Path(__file__).with_name("_native.c")
_SOURCES = (_SOURCE, *(_SOURCE.with_name(name) for name in ("_words.h", "_normal.h")))
_FLAGS = (
    *("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)
# Of Random123 (Salmon et al. 2011): counter and key are the digits of pi.
_COUNTER = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
_KEY = (0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89)
_ANSWER = (0x59CD1DBB, 0xB8879579, 0x86B5D00C, 0xAC8B6D84)

# Of RFC 8439, section 2.3.2: the first words of the block of counter 1.
_BLOCK = (0xE4E7F110, 0x15593BD1, 0x1FDD0F50, 0xC47120A3)
_NONCE = (0x09000000, 0x4A000000, 0)

_Words = ctypes.c_uint32 * 4
_Rows = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)


class _Grid(ctypes.Structure):
    """The struct of the same name in the source."""

    _fields_ = (
        ("guide", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("thresholds", ctypes.c_void_p),
        ("count", ctypes.c_uint32),
        ("bits", ctypes.c_uint32),
        ("least", ctypes.c_int32),
        ("levels", ctypes.c_float),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled code, or None where there is none."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or os.environ.get("RADII_NATIVE") == "0":
        return None
    try:
        found = ctypes.CDLL(str(_compiled(compiler)))
    except (OSError, subprocess.SubprocessError):
        return None
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    for function, arguments in (
        (found.radii_threefry, (_Words, _Words, _Words)),
        (found.radii_chacha, (ctypes.c_uint32, pointer, ctypes.c_char_p, pointer)),
        (found.radii_words, (pointer, size, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)),
        (found.radii_normal, (*_Rows, size, ctypes.c_float, ctypes.c_int, ctypes.c_char_p)),
        (found.radii_grid, (*_Rows, pointer, ctypes.c_int, ctypes.c_char_p)),
    ):
        function.argtypes, function.restype = arguments, None
    right = threefry(found, _COUNTER, _KEY) == _ANSWER
    right = right and chacha(found, 1, _NONCE, bytes(range(32)))[:4] == _BLOCK
    return found if right else None


def threefry(code: ctypes.CDLL, counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The four words of a counter under a key."""
    answer = _Words()
    code.radii_threefry(_Words(*counter), _Words(*key), answer)
    return tuple(answer)


def chacha(code: ctypes.CDLL, counter: int, nonce: tuple[int, ...], key: bytes) -> tuple[int, ...]:
    """The sixteen words of a block."""
    answer = (ctypes.c_uint32 * 16)()
    code.radii_chacha(counter, (ctypes.c_uint32 * 3)(*nonce), key, answer)
    return tuple(answer)


def words(code: ctypes.CDLL, count: int, key: bytes, row: int = 0) -> Tensor:
    """`(count,)` int64 in [0, 2^32): a row of the stream of a key, which has two of them."""
    out = np.empty(count, np.uint32)
    code.radii_words(out.ctypes.data, count, _kind(key), key, row)
    return torch.from_numpy(out.astype(np.int64))


def add_normal(
    code: ctypes.CDLL,
    x: Tensor,
    out: Tensor,
    sigma: float,
    keys: Sequence[bytes],
    block: int | None = None,
) -> Tensor:
    """Inputs plus N(0, sigma^2), the streams of keys.

    Args:
        code: What `library` returned.
        x: Float32 on the CPU, contiguous. Repeated where it has fewer numbers than `out`.
        out: Float32 or bfloat16 on the CPU, contiguous. Is overwritten and returned.
        sigma: The standard deviation.
        keys: Name the streams: 16 bytes for Threefry, 32 for ChaCha.
        block: How often `x` is repeated with the numbers of each stream; None if there is one.
    """
    where = _rows(x, out)
    parts = where[3] if block is None else block
    if len(keys) != max(1, -(-where[3] // max(parts, 1))):
        raise ValueError(f"{where[3]} rows in blocks of {parts} do not have {len(keys)} keys")
    code.radii_normal(*where, parts, sigma, _kind(keys[0]), b"".join(keys))
    return out


def add_whole(
    code: ctypes.CDLL, x: Tensor, out: Tensor, table: Thresholds, levels: int, key: bytes
) -> Tensor:
    """Inputs on a grid plus whole numbers of levels, the stream of a key; see `add_normal`."""
    grid = _Grid(
        table.guide.ctypes.data,
        table.first.ctypes.data,
        table.values.ctypes.data,
        len(table.values),
        table.bits,
        table.least,
        levels,
    )
    code.radii_grid(*_rows(x, out), ctypes.byref(grid), _kind(key), key)
    return out


def _rows(x: Tensor, out: Tensor) -> tuple[int, int, int, int, int]:
    size = max(x.numel(), 1)
    return out.data_ptr(), int(out.element_size() == 2), x.data_ptr(), out.numel() // size, size


def _kind(key: bytes) -> int:
    return {16: 0, 32: 1}[len(key)]


def _compiled(compiler: str) -> Path:
    """The shared object for this source, compiler and processor."""
    machine = subprocess.run(  # noqa: S603 the compiler that the user has chosen
        [compiler, *_FLAGS, "-dM", "-E", "-x", "c", os.devnull],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    parts = [*(source.read_bytes() for source in _SOURCES), machine]
    named = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    path = _folder() / f"noise-{named}.so"
    if not path.exists():
        descriptor, made = tempfile.mkstemp(suffix=".so", dir=path.parent)
        os.close(descriptor)
        try:
            subprocess.run(  # noqa: S603
                [compiler, *_FLAGS, str(_SOURCE), "-o", made, "-lm"],
                capture_output=True,
                check=True,
                timeout=60,
            )
            os.replace(made, path)
        finally:
            Path(made).unlink(missing_ok=True)
    return path


def _folder() -> Path:
    """The cache folder of the user, or a new one that nobody else can write."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(home) / "radii"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError where the user has no home folder
        return Path(tempfile.mkdtemp(prefix="radii-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="radii-"))
