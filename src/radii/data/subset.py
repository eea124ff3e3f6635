"""Which inputs of a data set are used: `all`, `first:N`, `every:K`, `random:N,seed=S`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radii.data.base import IntArray

_GRAMMAR = re.compile(
    r"(?P<all>all)|(?P<kind>first|every):(?P<number>[0-9]+)|random:(?P<size>[0-9]+),seed=(?P<seed>[0-9]+)"
)


@dataclass(frozen=True)
class Subset:
    """A choice of inputs; `Subset.parse` and `str` are inverse to each other.

    Args:
        kind: `all`; `first` number inputs; `every` number-th input, from the first on; `random`
            number inputs, drawn without replacement.
        number: N or K, at least 1; None for `all`.
        seed: Names the random choice; None unless `random`.

    Raises:
        ValueError: If number or seed are no whole numbers, or do not fit the kind.

    Example:
        >>> Subset.parse("every:4").indices(10)
        array([0, 4, 8])
        >>> print(Subset("random", 500, seed=1))
        random:500,seed=1
    """

    kind: Literal["all", "first", "every", "random"] = "all"
    number: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("all", "first", "every", "random"):
            raise ValueError(f"kind must be all, first, every or random, got {self.kind!r}")
        for name in ("number", "seed"):
            value = getattr(self, name)
            if isinstance(value, np.integer):
                object.__setattr__(self, name, int(value))
            elif value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
        if (self.number is None) != (self.kind == "all") or (
            self.number is not None and self.number < 1
        ):
            raise ValueError(
                f"number must be at least 1 (None for 'all'), got {self.number!r} for {self.kind!r}"
            )
        if (self.seed is None) == (self.kind == "random") or (
            self.seed is not None and self.seed < 0
        ):
            raise ValueError(
                f"seed must be at least 0 for 'random' (else None), got {self.seed!r} "
                f"for {self.kind!r}"
            )

    @classmethod
    def parse(cls, text: str) -> Subset:
        """The subset that a text names.

        Raises:
            ValueError: If the text names none.
        """
        match = _GRAMMAR.fullmatch(text)
        number = match and (match["number"] or match["size"])
        if match is None or (number and int(number) < 1):
            raise ValueError(
                f"a subset must be all, first:N, every:K or random:N,seed=S "
                f"with N and K at least 1, got {text!r}"
            )
        if match["all"]:
            return cls()
        if match["kind"]:
            return cls("first" if match["kind"] == "first" else "every", int(match["number"]))
        return cls("random", int(match["size"]), int(match["seed"]))

    def __str__(self) -> str:
        if self.kind == "all":
            return "all"
        return f"{self.kind}:{self.number}" + ("" if self.seed is None else f",seed={self.seed}")

    def indices(self, total: int) -> IntArray:
        """Positions in a data set of `total` inputs, ascending and distinct.

        A random choice depends on seed and total only, in every version of numpy, and the choice of
        N inputs contains that of fewer with the same seed.

        Args:
            total: Length of the data set.

        Returns:
            `(chosen,)` int64.

        Raises:
            ValueError: If more inputs are asked for than there are.
        """
        if self.number is None:
            return np.arange(total, dtype=np.int64)
        if self.kind == "every":
            return np.arange(0, total, self.number, dtype=np.int64)
        if self.number > total:
            raise ValueError(
                f"subset {str(self)!r} asks for {self.number} inputs, but the data set has {total}"
            )
        if self.kind == "first":
            return np.arange(self.number, dtype=np.int64)
        # numpy promises a stable raw stream, but not a stable `choice`; 64-bit ties do not matter.
        keys = np.random.PCG64(self.seed).random_raw(total)
        return np.sort(np.argsort(keys, kind="stable")[: self.number]).astype(np.int64)

    def describes(self, total: int) -> Literal["complete", "random", "window"]:
        """What may be concluded from the chosen inputs about all `total`.

        `complete`: they are all of them; `random`: they are a fair sample; `window`: they are a
        fixed part (`first:N`, `every:K`), from which nothing follows about the rest.
        """
        if len(self.indices(total)) == total:
            return "complete"
        return "random" if self.kind == "random" else "window"
