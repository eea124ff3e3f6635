"""Everything in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from radii.executors.base import EXECUTORS, Executor

S = TypeVar("S")
R = TypeVar("R")


@EXECUTORS.register("serial")
@dataclass(frozen=True)
class Serial(Executor):
    """Everything in this process, one shard after another. Nothing is pickled or tried again."""

    def map(
        self, make: Callable[[int], Callable[[S], R]], shards: Iterable[S]
    ) -> Generator[R, None, None]:
        """The results in the order of the shards; see `Executor.map`."""
        function = make(0)
        for shard in shards:
            yield function(shard)
