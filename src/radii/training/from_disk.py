"""Examples that do not lie in memory: read and decoded by threads while the device works."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from radii.data import Dataset, PixelDataset

T = TypeVar("T")
R = TypeVar("R")

_PARTS_AHEAD = 2


def read_ahead(
    read: Callable[[T], R], parts: Iterable[Sequence[T]], *, threads: int
) -> Iterator[list[R]]:
    """What `read` gives for the items of each part, in their order.

    Two parts are read ahead of the one that is used, and more where parts are so small that
    threads would wait. What comes out depends on neither.

    Args:
        read: Is called from several threads at once.
        parts: The items of each part.
        threads: How many read.
    """
    ahead: deque[list[Future[R]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="radii-reader") as pool:
        try:
            for part in parts:
                ahead.append([pool.submit(read, item) for item in part])
                waiting = sum(len(futures) for futures in ahead) - len(ahead[0])
                if len(ahead) > _PARTS_AHEAD and waiting >= 2 * threads:
                    yield [future.result() for future in ahead.popleft()]
            while ahead:
                yield [future.result() for future in ahead.popleft()]
        finally:  # also where training is interrupted
            pool.shutdown(wait=False, cancel_futures=True)


def inputs_at(dataset: Dataset, positions: Iterable[int]) -> Tensor:
    """Inputs `(positions, *shape)` float32, on the CPU; images are decoded by all cores."""
    if not isinstance(dataset, PixelDataset):
        return torch.stack([dataset[int(index)][0] for index in positions])
    (found,) = read_ahead(
        lambda index: dataset[int(index)][0], [list(positions)], threads=os.cpu_count() or 1
    )
    return torch.stack(found)
