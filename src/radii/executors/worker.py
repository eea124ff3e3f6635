"""What a worker does in its own process, whatever started it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Generic, TypeVar

from radii.errors import RadiiError

S = TypeVar("S")
R = TypeVar("R")


class Job(Generic[S, R]):
    """The function of a worker.

    Args:
        make: See `Executor.map`.
        number: Of the worker.
        cores: Its share.
    """

    def __init__(self, make: Callable[[int], Callable[[S], R]], number: int, cores: int) -> None:
        given = os.environ.get("OMP_NUM_THREADS", "")
        os.environ["OMP_NUM_THREADS"] = str(min(cores, int(given)) if given.isdigit() else cores)
        try:
            self._function = make(number)
        except (Exception, SystemExit) as error:
            raise _portable(error) from None

    def __call__(self, shard: S) -> R:
        """The function's result, or an error that can be sent."""
        try:
            return self._function(shard)
        except (Exception, SystemExit) as error:
            raise _portable(error) from None


def _portable(error: Exception | SystemExit) -> Exception:
    """The error itself, or one of the same words if it does not survive being sent.

    What ends a worker must not end who gave it work, so an exit becomes an error.
    """
    if isinstance(error, SystemExit):
        return RadiiError(f"a worker's function ended Python by SystemExit({error.code!r})")
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        again = None
    if type(again) is type(error):
        return error
    return RadiiError(f"{type(error).__name__}: {error}")
