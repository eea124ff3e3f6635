"""Normal numbers by compiled code, where the machine has a C compiler.

The code is compiled at its first use, into the user's cache folder. Without a compiler, or with
`RADII_NATIVE=0` in the environment, there is none, and torch's generator takes its place; a run
records which of them it used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

NAME = "threefry4x32_20-shake128/1"

_SOURCE = Path(__file__).with_name("_threefry.c")
_FLAGS = (
    *("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)
# Of Random123 (Salmon et al. 2011): counter and key are the digits of pi.
_COUNTER = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
_KEY = (0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89)
_ANSWER = (0x59CD1DBB, 0xB8879579, 0x86B5D00C, 0xAC8B6D84)

_Words = ctypes.c_uint32 * 4


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
    found.radii_threefry.argtypes = (_Words, _Words, _Words)
    found.radii_threefry.restype = None
    for normal in (found.radii_normal, found.radii_normal_bfloat16):
        normal.argtypes = (
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t),
            *(ctypes.c_float, _Words),
        )
        normal.restype = None
    return found if threefry(found, _COUNTER, _KEY) == _ANSWER else None


def threefry(code: ctypes.CDLL, counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The four words of a counter under a key."""
    answer = _Words()
    code.radii_threefry(_Words(*counter), _Words(*key), answer)
    return tuple(answer)


def add_normal(code: ctypes.CDLL, x: Tensor, out: Tensor, sigma: float, key: bytes) -> Tensor:
    """Inputs plus N(0, sigma^2), the stream of a key of 16 bytes.

    Args:
        code: What `library` returned.
        x: Float32 on the CPU, contiguous. Repeated where it has fewer numbers than `out`.
        out: Float32 or bfloat16 on the CPU, contiguous. Is overwritten and returned.
        sigma: The standard deviation.
        key: Names the stream.
    """
    words = _Words(*struct.unpack("<4I", key))
    size = max(x.numel(), 1)
    normal = code.radii_normal if out.element_size() == 4 else code.radii_normal_bfloat16
    normal(out.data_ptr(), x.data_ptr(), out.numel() // size, size, sigma, words)
    return out


def _compiled(compiler: str) -> Path:
    """The shared object for this source, compiler and processor."""
    machine = subprocess.run(  # noqa: S603 the compiler that the user has chosen
        [compiler, *_FLAGS, "-dM", "-E", "-x", "c", os.devnull],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    named = hashlib.sha256(b"\0".join([_SOURCE.read_bytes(), machine])).hexdigest()[:32]
    path = _folder() / f"threefry-{named}.so"
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
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home) / "radii"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="radii-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="radii-"))
