"""Actors of a Ray cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from radii.errors import RadiiError
from radii.executors.base import EXECUTORS, Executor
from radii.executors.dispatch import Worker, dispatch
from radii.executors.worker import Job
from radii.extras import imported

S = TypeVar("S")
R = TypeVar("R")

# Of a cluster that this process starts for itself.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@EXECUTORS.register("ray")
@dataclass(frozen=True)
class Ray(Executor):
    """Actors of a Ray cluster, one for each GPU, or for each CPU where there is no GPU.

    Where this process is connected to a cluster already, it is that one.

    Attributes:
        address: Of the cluster. Without one it is in the environment variable `RAY_ADDRESS`, or
            else a cluster of this machine alone is started, and ended with the work.
        workers: How many actors; None takes as many as the cluster has room for at the start.
        cpus: CPU cores of each.
        gpus: GPUs of each; None takes 1 if the cluster has any.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 1
    gpus: float | None = None
    positional: ClassVar[str] = "address"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"workers": 2},)

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers!r}")
        if self.cpus < 1:
            raise ValueError(f"cpus must be at least 1, got {self.cpus!r}")
        if self.gpus is not None and self.gpus < 0:
            raise ValueError(f"gpus must be at least 0, got {self.gpus!r}")

    def check(self) -> None:
        """See `Executor.check`."""
        imported("ray", "ray")

    def map(
        self, make: Callable[[int], Callable[[S], R]], shards: Iterable[S]
    ) -> Generator[R, None, None]:
        """Results as they come; see `Executor.map`."""
        ray = imported("ray", "ray")
        with self._connected(ray):
            gpus, count = self._room(ray.cluster_resources())
            made = ray.put(make)
            actor = ray.remote(num_cpus=self.cpus, num_gpus=gpus)(_Actor)

            def hire(number: int) -> Worker[S, R]:
                return _RayWorker(ray, actor, made, number, self.cpus)

            yield from dispatch(hire, count, shards)

    def _room(self, resources: Mapping[str, float]) -> tuple[float, int]:
        """GPUs of each actor, and how many actors."""
        gpus = self.gpus
        if gpus is None:
            gpus = 1 if resources.get("GPU", 0) >= 1 else 0
        fitting = int(resources.get("CPU", 0) // self.cpus)
        if gpus:
            fitting = min(fitting, int(resources.get("GPU", 0) // gpus))
        if fitting < 1:
            raise RadiiError(
                f"the Ray cluster must have room for a worker with {self.cpus} CPUs and {gpus:g} "
                f"GPUs, got one with {resources.get('CPU', 0):g} and {resources.get('GPU', 0):g}; "
                f"ask for fewer by cpus and gpus."
            )
        return gpus, fitting if self.workers is None else self.workers

    @contextmanager
    def _connected(self, ray: Any) -> Iterator[None]:
        if ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        options: dict[str, Any] = {}
        if address == "local":
            options["include_dashboard"] = False
            if self.workers is not None:
                options["num_cpus"] = self.workers * self.cpus
        with _environment(_QUIET), _sigterm_left_alone():
            try:
                ray.init(address, log_to_driver=False, logging_level="ERROR", **options)
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                raise RadiiError(
                    f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}; start "
                    f"one with `ray start --head`, or leave the address out."
                ) from error
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Inside it, these variables are set, unless they were before."""
    new = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for key in new:
            os.environ.pop(key, None)


@contextmanager
def _sigterm_left_alone() -> Iterator[None]:
    """After it, whoever answered SIGTERM still does; Ray would take that place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


class _RayWorker(Worker[S, R]):
    """A Ray actor."""

    def __init__(self, ray: Any, actor: Any, made: Any, number: int, cores: int) -> None:
        self._ray = ray
        self._actor = actor.remote()
        self._arguments = (made, number, cores)

    def start(self) -> Future[Any]:
        """See `Worker.start`."""
        future: Future[Any] = self._actor.start.remote(*self._arguments).future()
        return future

    def work(self, shard: S) -> Future[R]:
        """See `Worker.work`."""
        future: Future[R] = self._actor.work.remote(shard).future()
        return future

    def death(self, error: BaseException) -> str | None:
        """See `Worker.death`."""
        errors = self._ray.exceptions
        if isinstance(error, errors.RayTaskError) or not isinstance(error, errors.RayError):
            return None
        return " ".join(str(error).split())

    def raised(self, error: BaseException) -> BaseException:
        """See `Worker.raised`; Ray's own error has a traceback for its message."""
        cause = getattr(error, "cause", None)
        return cause if isinstance(cause, BaseException) else error

    def kill(self) -> None:
        """See `Worker.kill`."""
        self.close()

    def close(self) -> None:
        """See `Worker.close`."""
        self._ray.kill(self._actor)


class _Actor:
    """In the process of a worker."""

    def __init__(self) -> None:
        self._jobs: list[Job[Any, Any]] = []

    def start(self, make: Callable[[int], Callable[[Any], Any]], number: int, cores: int) -> None:
        self._jobs = [Job(make, number, cores)]

    def work(self, shard: Any) -> Any:
        return self._jobs[0](shard)
