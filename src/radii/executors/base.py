"""What an executor is: shards of work in, results out, each as soon as it is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import ClassVar, TypeVar

from radii.registry import Registry

S = TypeVar("S")
R = TypeVar("R")


class Executor(ABC):
    """Where shards run: a frozen dataclass that maps.

    Attributes:
        examples: Fields of valid members, read by the listings and the conformance tests.
    """

    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    def check(self) -> None:
        """Refuses, before anything else is done, what can be known to fail.

        Raises:
            RadiiError: If an extra that it needs is not installed.
        """
        return

    @abstractmethod
    def map(
        self, make: Callable[[int], Callable[[S], R]], shards: Iterable[S]
    ) -> Generator[R, None, None]:
        """The results of a function on shards, in the order in which they come.

        A worker has one shard at a time. Shards are taken one by one, each when a worker is free,
        so what yields them may decide late. A worker that dies is replaced and its shard given out
        again, up to three times. When the driver dies, or closes what this returns, no worker lives
        on.

        Args:
            make: Is called once in each worker, with the number of that worker, and makes the
                function. In another process it finds there, in the environment variable
                `OMP_NUM_THREADS`, how many cores are its share.
            shards: What the function takes. They are pickled, and so are `make` and the results.

        Yields:
            A result for each shard.

        Raises:
            RadiiError: If the workers of a shard, or at the start, died again and again.
            Exception: What `make` or the function raised in a worker, as soon as it is known.
        """


EXECUTORS: Registry[Executor] = Registry("executor", "radii.executors")
