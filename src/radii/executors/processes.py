"""Several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar, TypeVar

from radii.executors.base import EXECUTORS, Executor
from radii.executors.dispatch import Worker, dispatch
from radii.executors.worker import Job

S = TypeVar("S")
R = TypeVar("R")


@EXECUTORS.register("processes")
@dataclass(frozen=True)
class Processes(Executor):
    """So many processes of this machine, each with an equal share of its cores.

    They are started afresh (`spawn`). In a script, what uses them must therefore stand under
    `if __name__ == "__main__":`.

    Attributes:
        workers: How many.
    """

    workers: int
    positional: ClassVar[str] = "workers"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"workers": 2},)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers!r}")

    def map(
        self, make: Callable[[int], Callable[[S], R]], shards: Iterable[S]
    ) -> Generator[R, None, None]:
        """Results as they come; see `Executor.map`."""
        share = max(1, _cores() // self.workers)

        def hire(number: int) -> Worker[S, R]:
            return _Process(partial(_start, make, number, share))

        return dispatch(hire, self.workers, shards)


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Process(Worker[S, R]):
    """A pool of one process, so that a death is known to be its own."""

    def __init__(self, start: Callable[[], None]) -> None:
        self._start = start
        self._process: BaseProcess | None = None
        context = SpawnContext()
        context.Process = self._remembered  # type: ignore[assignment, misc]
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_watch_driver)

    def _remembered(self, *args: Any, **kwargs: Any) -> BaseProcess:
        self._process = multiprocessing.get_context("spawn").Process(*args, **kwargs)
        return self._process

    def start(self) -> Future[Any]:
        """See `Worker.start`."""
        with _interrupts_held():
            return self._submitted(self._start)

    def work(self, shard: S) -> Future[R]:
        """See `Worker.work`."""
        return self._submitted(_work, shard)

    def _submitted(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool as error:  # it died with nothing to do
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def death(self, error: BaseException) -> str | None:
        """See `Worker.death`."""
        if not isinstance(error, BrokenProcessPool):
            return None
        self.close()
        code = None if self._process is None else self._process.exitcode
        if code is None or code >= 0:
            return f"its process ended with code {code}"
        why = ", as it is when memory runs out" if -code == signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{why}"

    def kill(self) -> None:
        """See `Worker.kill`."""
        if self._process is not None and self._process.pid is not None:
            self._process.kill()

    def close(self) -> None:
        """See `Worker.close`."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What starts inside it never sees Ctrl-C or SIGTERM, which are the driver's to answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the process of a worker.

_jobs: list[Job[Any, Any]] = []


def _watch_driver() -> None:
    """Ends this process when the one that started it does."""
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start(make: Callable[[int], Callable[[Any], Any]], number: int, cores: int) -> None:
    _jobs[:] = [Job(make, number, cores)]


def _work(shard: Any) -> Any:
    return _jobs[0](shard)
