"""Named streams of randomness: which noise an input meets depends on the name alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from radii._torch import torch
from radii.noise import _chacha, _native
from radii.noise.base import NOISES

if TYPE_CHECKING:
    from torch import Tensor

    from radii.noise.base import Noise

Rng = Literal["auto", "chacha"]
Stage = Literal[
    "selection", "estimation", "bound", "prediction", "training", "order", "attack", "selftest"
]

_CHACHA = "chacha20"  # how the names of its generators begin
_WORDS = 624  # 32-bit words in the state of MT19937
_HEADER = 24  # bytes before them in the state that torch saves


@dataclass(frozen=True, slots=True)
class Stream:
    """The name of a stream.

    Attributes:
        seed: Of the run.
        index: Of the input in its data set, or of the epoch in training.
        stage: What the draws are for; selection, estimation and bound must not share any.
        block: Number of the block of draws within the stage; in training, of the part of a batch.
    """

    seed: int
    index: int
    stage: Stage
    block: int

    def hashed(self, size: int) -> bytes:
        """The first bytes of the SHAKE-128 hash of the name."""
        name = f"radii/1/{self.seed}/{self.index}/{self.stage}/{self.block}"
        return hashlib.shake_128(name.encode()).digest(size)

    def secret(self) -> bytes:
        """32 bytes that nobody can tell from random ones who does not know the seed."""
        name = f"radii/chacha/1/{self.seed}/{self.index}/{self.stage}/{self.block}"
        return hashlib.shake_256(name.encode()).digest(32)

    def uniform(self) -> float:
        """A number in [0, 1) with 53 bits, which follows from the name alone."""
        return (int.from_bytes(self.hashed(8), "little") >> 11) * 2.0**-53


def check_rng(rng: Rng, noise: Noise) -> None:
    """Refuses a generator that there is not, or that this noise cannot be drawn from.

    Raises:
        ValueError: If it is.
    """
    if rng not in get_args(Rng):
        raise ValueError(f"rng must be one of {', '.join(get_args(Rng))}, got {rng!r}")
    if rng == "chacha" and noise.num_outcomes is None and not noise.from_words:
        able = [name for name in NOISES.names() if NOISES[name].from_words]
        raise ValueError(
            f"rng must be 'auto' for {NOISES.name_of(noise)} noise, got {rng!r}; "
            f"these can be drawn from it: {', '.join(able)}"
        )


def checked_seed(seed: object) -> int:
    """A seed as a Python integer.

    Raises:
        ValueError: If it is no whole number of at least 0 and at most 256 bits.
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        whole = int(seed)
        if 0 <= whole < 1 << 256:
            return whole
    raise ValueError(f"seed must be a whole number in [0, 2**256), got {seed!r}")


def key_hash(seed: int) -> str:
    """The SHA-256 hash of the key material of a run: it names a seed without telling it.

    That of a small seed is soon found by trying; that of 256 bits from the system never is.
    """
    return hashlib.sha256(f"radii/key/1/{seed}".encode()).hexdigest()


def rng_of(name: str) -> Rng:
    """The `rng` of the generator that a ledger names."""
    return "chacha" if name.startswith(_CHACHA) else "auto"


class Generators:
    """Makes the generator of any stream on one device.

    On CPU the whole state of a Mersenne Twister (19,968 bits) is the SHAKE-128 hash of the stream's
    name: `torch.Generator.manual_seed` would keep only 32 bits of it, so that among the blocks of
    a run some would be equal. On CUDA the 64-bit key of Philox4x32-10 is the hash; another
    device is seeded with 64 bits of it.

    The generator is one object set anew each time: it is valid until the next call.

    With `rng="chacha"` the words are those of ChaCha20, under a key of 256 bits that is the
    SHAKE-256 hash of the name. There is no torch generator of it: only noise that is made of
    `words` can be drawn.

    Args:
        device: Where the draws are to lie.
        rng: "auto" for the fastest on the device, "chacha" for a cryptographic one.

    Attributes:
        device: Where the draws lie.
        rng: As given.
        name: What the generators are, as a ledger records it.
        native: Compiled code that fills CPU tensors faster, for noise that has a use for it.
        native_name: What the compiled code draws from.
    """

    def __init__(self, device: torch.device, rng: Rng = "auto") -> None:
        if rng not in get_args(Rng):
            raise ValueError(f"rng must be one of {', '.join(get_args(Rng))}, got {rng!r}")
        self.device = device
        self.rng = rng
        self._generator = torch.Generator(device)
        self._cpu = device.type == "cpu"
        self.native = _native.library() if self._cpu else None
        self.name = {
            "cpu": "mt19937-shake128/1",
            "cuda": "philox4x32_10-shake128/1",
        }.get(device.type, f"{device.type}-shake128/1")
        self.native_name = _native.NAME
        if rng == "chacha":
            self.name = self.native_name = _native.CHACHA
        if self._cpu:
            self._generator.manual_seed(0)
            self._state = self._generator.get_state()
            words = self._state[_HEADER : _HEADER + 8 * _WORDS].numpy().view(np.int64)
            # Fails if torch ever lays its state out otherwise: the first words of MT19937 seed 0.
            assert words[:2].tolist() == [0, 1], "unknown layout of torch's generator state"

    def __call__(self, stream: Stream) -> torch.Generator:
        """The generator at the start of `stream`.

        Raises:
            ValueError: If there is none, with `rng="chacha"`.
        """
        if self.rng == "chacha":
            raise ValueError("rng must be 'auto' for a generator of torch, got 'chacha'")
        if not self._cpu:
            return self._generator.manual_seed(int.from_bytes(stream.hashed(8), "little") >> 1)
        words = np.frombuffer(stream.hashed(4 * _WORDS), dtype="<u4").astype(np.int64)
        return self._generator.set_state(self._with(words))

    def key(self, stream: Stream) -> bytes:
        """What compiled code draws a stream from."""
        return stream.secret() if self.rng == "chacha" else stream.hashed(16)

    def words(self, stream: Stream, count: int, *, row: int = 0) -> Tensor:
        """The first words of a stream, of 32 random bits each.

        Args:
            stream: The name.
            count: How many.
            row: 0 or 1: a stream has two rows of words. Those of torch's generators have one.

        Returns:
            `(count,)` int64 in [0, 2^32), on the device.
        """
        if self.native is not None:
            return _native.words(self.native, count, self.key(stream), row)
        if self.rng == "chacha":
            return _chacha.words(count, self.key(stream), row, self.device)
        assert row == 0, "a generator of torch has one row of words"
        found = torch.empty(count, dtype=torch.int64, device=self.device)
        return found.random_(0, 2**32, generator=self(stream))

    def _with(self, words: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        self._state[_HEADER : _HEADER + 8 * _WORDS] = torch.from_numpy(words.view(np.uint8))
        return self._state
