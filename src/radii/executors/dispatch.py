"""Gives shards to workers, one at a time each, and replaces workers that die."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from radii.errors import RadiiError

S = TypeVar("S")
R = TypeVar("R")

_AGAIN = 3  # times that a shard is given out again, and a worker started again


class Worker(ABC, Generic[S, R]):
    """A process that makes a function once and then applies it to shards, one at a time."""

    @abstractmethod
    def start(self) -> Future[Any]:
        """Starts the process and makes the function; called once, before anything else."""

    @abstractmethod
    def work(self, shard: S) -> Future[R]:
        """The result for a shard, later."""

    @abstractmethod
    def death(self, error: BaseException) -> str | None:
        """How the process ended, if this error says that it did; None for one of the function."""

    def raised(self, error: BaseException) -> BaseException:
        """What the function raised, where this error is not a death."""
        return error

    @abstractmethod
    def kill(self) -> None:
        """Ends the process at once, whatever it does."""

    @abstractmethod
    def close(self) -> None:
        """Ends a process that does nothing, and waits for its end, also after `kill`."""


@dataclass
class _Task(Generic[S]):
    """A shard, and how many workers died over it."""

    shard: S
    deaths: int = 0


def dispatch(
    hire: Callable[[int], Worker[S, R]], count: int, shards: Iterable[S]
) -> Generator[R, None, None]:
    """What `Executor.map` promises, with workers of any kind.

    Only a worker that has started gets a shard, so one that has to wait for its resources holds
    nobody up.

    Args:
        hire: From a number to a new worker, which has not started.
        count: How many workers, at most.
        shards: See `Executor.map`.
    """
    crew = _Crew(hire, shards)
    try:
        crew.open(count)
        while crew.busy:
            yield from crew.finished()
    finally:
        crew.close()


class _Crew(Generic[S, R]):
    """The workers of one map, and what is under way."""

    def __init__(self, hire: Callable[[int], Worker[S, R]], shards: Iterable[S]) -> None:
        self._hire = hire
        self._source = iter(shards)
        self._waiting: deque[_Task[S]] = deque()  # for a worker
        self._workers: dict[int, Worker[S, R]] = {}
        self._idle: list[int] = []
        self._failed_starts: dict[int, int] = {}
        self._starting: dict[Future[Any], int] = {}
        self._working: dict[Future[R], tuple[int, _Task[S]]] = {}

    @property
    def busy(self) -> bool:
        """Whether a result is still to come."""
        return bool(self._waiting or self._working)

    def open(self, count: int) -> None:
        """Starts workers, no more than there are shards."""
        self._waiting.extend(map(_Task, itertools.islice(self._source, count)))
        for number in range(len(self._waiting)):
            self._start(number)

    def finished(self) -> Iterator[R]:
        """Waits until something ends, gives out new shards, and yields the results.

        Results come before errors, which end the map and would take them along.
        """
        done, _ = wait([*self._starting, *self._working], return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda each: each.exception() is not None):
            yield from self._look_at(future)

    def close(self) -> None:
        """Ends all workers: at once those that do something."""
        under_way = {*self._starting.values(), *(number for number, _ in self._working.values())}
        for number in under_way:
            self._workers[number].kill()
        if self._workers:
            with ThreadPoolExecutor(len(self._workers)) as pool:
                list(pool.map(lambda worker: worker.close(), self._workers.values()))

    def _look_at(self, future: Future[Any]) -> list[R]:
        error = future.exception()
        started = self._starting.pop(future, None)
        number, task = (started, None) if started is not None else self._working.pop(future)
        if error is None:
            self._failed_starts.pop(number, None)
            self._idle.append(number)
            self._give_out()
            return [] if task is None else [future.result()]
        death = self._workers[number].death(error)
        if death is None:
            raise self._workers[number].raised(error)
        if task is None:
            self._failed_starts[number] = failed = self._failed_starts.get(number, 0) + 1
            self._check(failed, "while it started", death)
        else:
            task.deaths += 1
            self._check(task.deaths, "over the same shard", death)
            self._waiting.appendleft(task)
        self._workers[number].close()
        self._start(number)
        self._give_out()
        return []

    def _check(self, deaths: int, when: str, death: str) -> None:
        if deaths > _AGAIN:
            raise RadiiError(
                f"a worker died {deaths} times {when}, at last: {death}; find out why, or use the "
                f"executor serial, which shows it."
            )

    def _start(self, number: int) -> None:
        worker = self._workers[number] = self._hire(number)
        self._starting[worker.start()] = number

    def _give_out(self) -> None:
        while self._idle:
            if not self._waiting:
                self._waiting.extend(map(_Task, itertools.islice(self._source, 1)))
            if not self._waiting:
                return
            number, task = self._idle.pop(), self._waiting.popleft()
            self._working[self._workers[number].work(task.shard)] = (number, task)
