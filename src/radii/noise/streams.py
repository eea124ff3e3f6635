"""Named streams of randomness: which noise an input meets depends on the name alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from radii._torch import torch
from radii.noise._native import library

if TYPE_CHECKING:
    from torch import Tensor

Stage = Literal["selection", "estimation", "bound", "prediction", "training", "order", "attack"]

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

    def uniform(self) -> float:
        """A number in [0, 1) with 53 bits, which follows from the name alone."""
        return (int.from_bytes(self.hashed(8), "little") >> 11) * 2.0**-53


class Generators:
    """Makes the generator of any stream on one device.

    On CPU the whole state of a Mersenne Twister (19,968 bits) is the SHAKE-128 hash of the stream's
    name: `torch.Generator.manual_seed` would keep only 32 bits of it, so that among the blocks of
    a run some would be equal. On CUDA the 64-bit key of Philox4x32-10 is the hash; another
    device is seeded with 64 bits of it.

    The generator is one object set anew each time: it is valid until the next call.

    Args:
        device: Where the draws are to lie.

    Attributes:
        name: What the generators are, as a ledger records it.
        native: Compiled code that fills CPU tensors faster, for noise that has a use for it.
    """

    def __init__(self, device: torch.device) -> None:
        self._generator = torch.Generator(device)
        self._cpu = device.type == "cpu"
        self.native = library() if self._cpu else None
        self.name = {
            "cpu": "mt19937-shake128/1",
            "cuda": "philox4x32_10-shake128/1",
        }.get(device.type, f"{device.type}-shake128/1")
        if self._cpu:
            self._generator.manual_seed(0)
            self._state = self._generator.get_state()
            words = self._state[_HEADER : _HEADER + 8 * _WORDS].numpy().view(np.int64)
            # Fails if torch ever lays its state out otherwise: the first words of MT19937 seed 0.
            assert words[:2].tolist() == [0, 1], "unknown layout of torch's generator state"

    def __call__(self, stream: Stream) -> torch.Generator:
        """The generator at the start of `stream`."""
        if not self._cpu:
            return self._generator.manual_seed(int.from_bytes(stream.hashed(8), "little") >> 1)
        words = np.frombuffer(stream.hashed(4 * _WORDS), dtype="<u4").astype(np.int64)
        return self._generator.set_state(self._with(words))

    def _with(self, words: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        self._state[_HEADER : _HEADER + 8 * _WORDS] = torch.from_numpy(words.view(np.uint8))
        return self._state
