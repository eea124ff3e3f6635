"""The random streams of training beside those of order and noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from radii.noise import Stream


def seed_beside(seed: int) -> int:
    """A seed that no stream of training shares, nor a certification with the seed of training."""
    return int.from_bytes(Stream(seed, 0, "order", 1).hashed(8), "little") >> 1


def seed_of_cuts(seed: int) -> int:
    """The seed of the streams that say how pictures are cut; no other stream of training has it."""
    return int.from_bytes(Stream(seed, 0, "order", 4).hashed(8), "little") >> 1


@contextmanager
def layers_draw_from(stream: Stream, device: torch.device) -> Iterator[None]:
    """Inside it, layers as dropout, which use torch's global generator, draw from a stream.

    The global generator is put back afterwards.
    """
    seed = int.from_bytes(stream.hashed(8), "little") >> 1
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
