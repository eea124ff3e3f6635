"""ChaCha20 by tensor operations, where there is no compiled code: on other devices than a CPU."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from radii._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_MASK = 0xFFFFFFFF
_CHUNK = 256  # words: sixteen blocks, word by word
_ROUND = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)


def blocks(key: bytes, counters: Tensor, nonce: tuple[int, int, int]) -> Tensor:
    """`(counters,)` int64 to `(16, counters)` int64: the words of each block.

    Reference:
        RFC 8439, section 2.3.
    """
    fixed = (*_CONSTANTS, *struct.unpack("<8I", key))
    start = [torch.full_like(counters, word) for word in fixed]
    start += [counters & _MASK, *(torch.full_like(counters, word) for word in nonce)]
    x = list(start)
    for _ in range(10):
        for a, b, c, d in _ROUND:
            for first, second, third, turn in (
                *((a, b, d, 16), (c, d, b, 12)),
                *((a, b, d, 8), (c, d, b, 7)),
            ):
                x[first] = (x[first] + x[second]) & _MASK
                mixed = x[third] ^ x[first]
                x[third] = ((mixed << turn) | (mixed >> (32 - turn))) & _MASK
    return torch.stack([(a + b) & _MASK for a, b in zip(x, start, strict=True)])


def words(count: int, key: bytes, row: int, device: torch.device) -> Tensor:
    """`(count,)` int64 in [0, 2^32), in the order of the compiled code."""
    chunks = -(-count // _CHUNK)
    assert chunks < 2**28, "as many words as the counter has room for"
    counters = torch.arange(16 * chunks, dtype=torch.int64, device=device)
    found = blocks(key, counters, (0, row, 0))
    return found.view(16, chunks, 16).transpose(0, 1).flatten()[:count]
