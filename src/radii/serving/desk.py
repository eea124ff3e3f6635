"""A queue of questions and the thread that answers them on one device."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from radii.errors import RadiiError
from radii.noise.streams import Stage
from radii.records import Votes
from radii.smoothing.certify import Question
from radii.smoothing.scheduler import Request, Sampler


class BusyError(RadiiError):
    """A service whose queue is full."""


@dataclass(frozen=True, eq=False)
class Job:
    """What somebody waits for.

    Attributes:
        make: Makes the question to the sampler; called by the thread that owns the device, and
            again if the question has to be asked again.
        expired: Says that nobody waits any longer.
        future: Gets the answer.
    """

    make: Callable[[], Question[Any]]
    expired: Callable[[], bool] | None
    future: Future[Any] = field(default_factory=Future)

    def conclude(self, question: Question[Any], votes: Mapping[Stage, Votes]) -> None:
        """Gives the future what the votes answer."""
        try:
            self.future.set_result(question.answer(votes))
        except Exception as error:  # whoever asked gets to know of it, and the thread goes on
            self.future.set_exception(error)


class Desk:
    """Puts the questions of many callers to one sampler, which lets them share its rounds.

    Args:
        sampler: Used by the thread of the desk alone.
        queue: Jobs that may wait for room in a round.
    """

    def __init__(self, sampler: Sampler, queue: int) -> None:
        self._sampler = replace(sampler, on_draws=lambda draws: self._sweep())
        self._queue = queue
        self._waiting: deque[Job] = deque()
        self._under_way: dict[int, tuple[Job, Question[Any]]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="radii-service", daemon=True)
        self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """How many jobs wait, and how many are under way."""
        with self._changed:
            return len(self._waiting), len(self._under_way)

    def put(self, job: Job) -> None:
        """Adds a job at the end of the queue.

        Raises:
            BusyError: If the queue is full.
            RuntimeError: If the desk is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the service is closed: make another one")
            if len(self._waiting) >= self._queue:
                raise BusyError(
                    f"the service is busy: {len(self._waiting)} requests wait; ask again later, "
                    f"or make it with a larger queue."
                )
            self._waiting.append(job)
            self._changed.notify()

    def close(self, *, cancel: bool) -> None:
        """Takes no more jobs, answers or cancels those that wait, and ends the thread."""
        with self._changed:
            self._closed = True
            dropped = [*self._waiting] if cancel else []
            if cancel:
                self._waiting.clear()
            self._changed.notify()
        for job in dropped:
            _cancelled(job.future)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _serve(self) -> None:
        """What the thread does."""
        try:
            while True:
                try:
                    for request, votes in self._sampler.run(self._requests()):
                        with self._changed:
                            job, question = self._under_way.pop(id(request))
                        job.conclude(question, votes)
                    return
                except Exception:  # of one question or of all: asked again, it is told which
                    self._one_by_one()
        finally:  # whatever ends the thread, nobody waits in vain
            with self._changed:
                self._closed = True
                left = [*self._waiting, *(job for job, _ in self._under_way.values())]
                self._waiting.clear()
                self._under_way.clear()
            for job in left:
                if not _cancelled(job.future) and not job.future.done():
                    job.future.set_exception(RuntimeError("the service ended before its answer"))

    def _requests(self) -> Iterator[Request | None]:
        """Requests in the order in which they came; None for "nothing now"; see `Sampler.run`."""
        while True:
            with self._changed:
                while not (self._waiting or self._under_way or self._closed):
                    self._changed.wait()
                job = self._waiting.popleft() if self._waiting else None
                if job is None and self._closed and not self._under_way:
                    return
            question = None if job is None else self._begun(job)
            if job is not None and question is not None:
                with self._changed:
                    self._under_way[id(question.request)] = (job, question)
                yield question.request
            elif job is None:
                yield None

    def _begun(self, job: Job) -> Question[Any] | None:
        """The question of a job, unless it was cancelled or cannot be asked."""
        if not job.future.set_running_or_notify_cancel():
            return None
        try:
            return job.make()
        except Exception as error:  # a device without memory, say
            job.future.set_exception(error)
            return None

    def _sweep(self) -> None:
        """After each round: answers jobs whose time was up while they waited."""
        with self._changed:
            over = [job for job in self._waiting if job.expired is not None and job.expired()]
            for job in over:
                self._waiting.remove(job)
        for job in over:
            if (question := self._begun(job)) is not None:
                job.conclude(question, self._sampler.no_votes(question.request))

    def _one_by_one(self) -> None:
        """Asks again each question that was under way, by itself."""
        with self._changed:
            jobs = [job for job, _ in self._under_way.values()]
            self._under_way.clear()
        for job in jobs:
            try:
                question = job.make()
                ((_, votes),) = self._sampler.run([question.request])
            except Exception as error:  # it is this one that fails
                job.future.set_exception(error)
            else:
                job.conclude(question, votes)


def _cancelled(future: Future[Any]) -> bool:
    """Cancels a future that was not begun, and says whether it did; `wait` gets to know of it."""
    return future.cancel() and not future.set_running_or_notify_cancel()
