"""Classifiers that are functions on arrays, fast or slow."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.errors import BaseClassifierError
from radii.models.source import found_in_python

Array = npt.NDArray[Any]
Function = Callable[[npt.NDArray[np.float32]], Any]


class ArrayFunction:
    """A base classifier made of a function on arrays, in any library or none.

    The function gets float32 arrays `(rows, *shape)` of its own, on the CPU, and answers scores
    `(rows, num_classes)` or labels `(rows,)`, as an array or a list. A batch is cut into parts of
    `batch_limit` rows, and the parts are answered by a pool, or one after the other. How it is cut
    does not depend on the pool, so neither do the votes.

    A pool starts with the first batch and ends with this object or with the program, however that
    ends. Worker processes are new ones, not forks: the function must have a name in a file or a
    package that they can import, and a script that makes the first call must do so behind
    `if __name__ == "__main__":`.

    Args:
        function: What answers a batch.
        batch_limit: Rows in one call, at most; None gives it whole batches.
        threads: Calls at the same time, in threads: for functions that wait for something.
        processes: Calls at the same time, in processes of their own: for functions that compute in
            Python; 0 takes threads.

    Raises:
        ValueError: If a number is too small, both pools are asked for, or a pool without a limit,
            which would have nothing to share out.

    Example:
        >>> def brightness(x):
        ...     dark = x.reshape(len(x), -1).mean(1) < 0.5
        ...     return np.where(dark, 0, 1)
        >>> ArrayFunction(brightness, batch_limit=2)(torch.tensor([[0.1], [0.9], [0.2]]))
        tensor([0, 1, 0])
    """

    def __init__(
        self,
        function: Function,
        *,
        batch_limit: int | None = None,
        threads: int = 1,
        processes: int = 0,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable, got {type(function).__name__}")
        if batch_limit is not None and batch_limit < 1:
            raise ValueError(f"batch_limit must be at least 1, got {batch_limit!r}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads!r}")
        if processes < 0:
            raise ValueError(f"processes must be at least 0, got {processes!r}")
        if threads > 1 and processes > 0:
            raise ValueError(
                f"either threads or processes must be left out, got {threads!r} and {processes!r}"
            )
        if batch_limit is None and (threads > 1 or processes > 0):
            raise ValueError("a pool needs a batch_limit: the rows that one call gets")
        self.function = function
        self.batch_limit = batch_limit
        self.threads = threads
        self.processes = processes
        self._pool: Executor | None = None
        self._lock = threading.Lock()

    @property
    def pass_rows(self) -> int | None:
        """Rows that keep the whole pool busy, which the engine then passes at once."""
        if self.batch_limit is None:
            return None
        return self.batch_limit * max(self.threads, self.processes)

    def __call__(self, x: Tensor) -> Tensor:
        """Scores or labels of `(rows, *shape)`, on the CPU."""
        rows = np.ascontiguousarray(x.detach().to("cpu", torch.float32).numpy())
        limit = self.batch_limit or max(len(rows), 1)
        parts = [rows[first : first + limit].copy() for first in range(0, max(len(rows), 1), limit)]
        answers = list(self._answers(parts))
        shapes = {answer.shape[1:] for answer in answers}
        if len(shapes) > 1:
            raise BaseClassifierError(
                f"the function must answer all parts of a batch alike, got answers of the shapes "
                f"{sorted(shapes)} for one row; answer labels always, or scores always."
            )
        return torch.from_numpy(np.concatenate(answers))

    def _answers(self, parts: Sequence[Array]) -> Iterator[Array]:
        if self.threads == 1 and not self.processes:
            yield from (answered(self.function, part) for part in parts)
        elif self.processes:
            try:
                yield from self._started().map(_answered_here, parts)
            except BrokenProcessPool as error:
                self._pool = None
                raise BaseClassifierError(
                    "a process that answers for the function died, or could not start; see what "
                    "it wrote, and whether memory suffices for so many processes."
                ) from error
        else:
            pool = self._started()
            yield from pool.map(answered, [self.function] * len(parts), parts)

    def _started(self) -> Executor:
        with self._lock:
            if self._pool is None:
                self._pool = (
                    _processes(self) if self.processes else ThreadPoolExecutor(self.threads)
                )
                weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
            return self._pool

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pool": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


def answered(function: Function, rows: Array) -> Array:
    """What a function answers to some rows, as float32, float64 or int64.

    Raises:
        BaseClassifierError: If that is not one answer a row, or no numbers.
    """
    answer = np.asarray(function(rows))
    whole = answer.ndim in (1, 2) and len(answer) == len(rows)
    if not whole or answer.dtype.kind not in "biuf":
        raise BaseClassifierError(
            f"the function must answer scores ({len(rows)}, num_classes) or labels "
            f"({len(rows)},), got {answer.dtype} of shape {answer.shape}."
        )
    if answer.dtype.kind != "f":
        return answer.astype(np.int64)
    return answer.astype(np.float64 if answer.dtype.itemsize > 4 else np.float32)


_here: Function | None = None  # in a worker process: what it answers for


def _processes(owner: ArrayFunction) -> ProcessPoolExecutor:
    try:
        function = pickle.dumps(owner.function)
    except Exception as error:  # PicklingError, AttributeError, TypeError, ...
        raise BaseClassifierError(
            f"a function for worker processes must have a name in a file or package, but it "
            f"cannot be sent to them: {error}; define it with def at the top of a file, or take "
            f"threads."
        ) from error
    # Files of users, which were run from their path, are no modules that a worker could import.
    files = [
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if name.startswith("radii_base_") and name.encode() in function
    ]
    return ProcessPoolExecutor(
        owner.processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_here,
        initargs=(function, files, list(sys.path)),
    )


def _start_here(function: bytes, files: list[str], path: list[str]) -> None:
    global _here
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave() -> None:
        parent.join()  # ends with the parent, however that ends
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    sys.path[:] = path
    for file in files:
        found_in_python(f"{file}:__name__")
    _here = pickle.loads(function)  # noqa: S301  # from the parent process


def _answered_here(rows: Array) -> Array:
    assert _here is not None
    return answered(_here, rows)
