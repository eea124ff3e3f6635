"""The time by which an answer is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Deadline:
    """A time on a clock.

    Attributes:
        at: When it is, in seconds on the clock.
        clock: What the time is; monotonic, and safe to ask from any thread.
    """

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def within(
        cls, budget: float | None, clock: Callable[[], float] = time.monotonic
    ) -> Self | None:
        """The time so many seconds from now; None if there is no budget.

        Raises:
            ValueError: If the budget is not positive.
        """
        if budget is None:
            return None
        if not budget > 0:
            raise ValueError(f"budget must be a positive number of seconds or None, got {budget!r}")
        return cls(clock() + budget, clock)

    def passed(self) -> bool:
        """Whether it is over."""
        return self.clock() >= self.at
