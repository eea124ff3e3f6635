"""PREDICT with several looks at the votes, each at a share of alpha."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from radii.noise.streams import Stage
from radii.records import Counts, Prediction, Votes


def looks_until(n: int, block: int) -> tuple[int, ...]:
    """After how many draws a prediction within a time budget looks at its votes.

    The last look is at n; each is at half of the next, in whole blocks, as long as that is a block
    at least.

    Example:
        >>> looks_until(1_000, 100), looks_until(50, 100)
        ((100, 200, 500, 1000), (50,))
    """
    looks = [n]
    while looks[0] > block:
        looks.insert(0, max(looks[0] // 2 // block, 1) * block)
    return tuple(looks)


class Looks:
    """Looks at the votes of one input until an answer is found.

    Args:
        looks: Draws at each look, rising.
        test: From votes to what they answer, each time at the share of one look.
    """

    def __init__(self, looks: tuple[int, ...], test: Callable[[Counts], Prediction]) -> None:
        self._looks = looks
        self._test = test
        self._found: Prediction | None = None
        self._over = False

    def more(self, votes: Mapping[Stage, Votes]) -> int:
        """How many further draws are wanted."""
        counts = votes["prediction"]
        assert isinstance(counts, Counts)
        look = self._looks.index(int(counts.n))
        if look == len(self._looks) - 1:
            return 0
        self._found = self._test(counts)
        self._over = self._found.prediction is not None
        return 0 if self._over else self._looks[look + 1] - self._looks[look]

    def answer(self, votes: Mapping[Stage, Votes]) -> Prediction:
        """What the last look found, or None where time was up before a look found anything."""
        counts = votes["prediction"]
        assert isinstance(counts, Counts)
        if int(counts.n) == self._looks[-1]:
            return self._test(counts)
        if self._over and self._found is not None:
            return self._found
        p_value = 1.0 if self._found is None else self._found.p_value
        return Prediction(None, p_value, counts, timed_out=True)
