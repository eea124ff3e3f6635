"""What `dispatch` does with futures that end together."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from radii.executors.dispatch import Worker, dispatch


class AtOnce(Worker[int, int]):
    """Starts, works and fails while it is asked, so that all workers are done together."""

    def __init__(self, number: int) -> None:
        self.number = number

    def start(self) -> Future[Any]:
        return ended(None)

    def work(self, shard: int) -> Future[int]:
        return ended(KeyError(shard) if shard == 3 else shard)

    def death(self, error: BaseException) -> str | None:
        return None

    def kill(self) -> None: ...

    def close(self) -> None: ...


def ended(outcome: Any) -> Future[Any]:
    future: Future[Any] = Future()
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
    return future


def test_results_done_beside_an_error_come_before_it() -> None:
    found: list[int] = []

    def collect() -> None:
        for result in dispatch(AtOnce, 8, range(8)):
            found.append(result)

    with pytest.raises(KeyError):
        collect()
    assert sorted(found) == [0, 1, 2, 4, 5, 6, 7]
