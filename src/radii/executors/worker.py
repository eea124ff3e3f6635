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
        self._function = _sent(make, number)

    def __call__(self, shard: S) -> R:
        """The function's result, or an error that can be sent."""
        return _sent(self._function, shard)


def _sent(function: Callable[[S], R], argument: S) -> R:
    """What a function returns; what it raises can be sent."""
    try:
        return function(argument)
    except SystemExit as error:  # of the worker's process; sent, it would end the driver's
        raise RadiiError(
            f"the function of a worker must not end Python, got sys.exit({error.code!r})"
        ) from None
    except Exception as error:
        raise _portable(error) from None


def _portable(error: Exception) -> Exception:
    """The error itself, or one of the same words if it does not survive being sent."""
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        again = None
    if type(again) is type(error):
        return error
    return RadiiError(f"{type(error).__name__}: {error}")
