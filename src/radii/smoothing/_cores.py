"""Independent pieces of work side by side on the cores of a CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

T = TypeVar("T")


def on_cores(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each piece of work gives, in their order.

    The cores that torch may use are shared out among them. A small convolution gains little from a
    second core, and two side by side gain all of it. What is set for this thread alone, autocast
    and whether gradients are kept, is not set for the works.
    """
    cores = torch.get_num_threads()
    if len(works) == 1 or cores == 1:
        return [work() for work in works]
    side_by_side = min(len(works), cores)
    each = cores // side_by_side
    torch.set_num_threads(each)  # also for libraries that do not keep one number for each thread
    try:
        return list(_threads(side_by_side, each, os.getpid()).map(lambda work: work(), works))
    finally:
        torch.set_num_threads(cores)


@lru_cache(maxsize=4)
def _threads(count: int, cores: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process that use so many cores each; a fork of it has none of them."""
    return ThreadPoolExecutor(
        count, "radii-cores", initializer=torch.set_num_threads, initargs=(cores,)
    )
