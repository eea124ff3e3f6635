"""How many items make up a shard: as many as keep a worker busy for about a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS = 1.0  # long against handing a shard over, which takes some milliseconds
_GROWTH = 2


class Portions(Generic[T]):
    """Cuts items, of which nobody knows how long each takes, into shards of about a second.

    The size follows from what shards took so far; it starts with single items, at most doubles, and
    falls towards the end, so that all workers end at about the same time. An item that takes longer
    than a second is a shard by itself.

    Args:
        items: In the order in which they are given out.
    """

    def __init__(self, items: Sequence[T]) -> None:
        self._items = items
        self._under_way = 0
        self._most = 1  # in a shard
        self._each: float | None = None  # seconds an item

    def __iter__(self) -> Iterator[Sequence[T]]:
        first = 0
        while first < len(self._items):
            size = self._size(len(self._items) - first)
            self._under_way += 1
            yield self._items[first : first + size]
            first += size

    def done(self, count: int, seconds: float) -> None:
        """Is told that a shard of so many items took a worker so long."""
        self._under_way -= 1
        each = seconds / count
        self._each = each if self._each is None else (self._each + each) / 2
        self._most = max(self._most, _GROWTH * count)

    def _size(self, left: int) -> int:
        if self._each is None:
            return 1
        fair = left // (2 * (self._under_way + 1))  # about half of a worker's share of what is left
        fitting = self._most if self._each == 0 else _SECONDS / self._each
        return max(1, int(min(fitting, self._most, fair)))
