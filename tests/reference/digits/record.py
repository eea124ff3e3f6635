"""What is found at a point, and the figures of many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Finding:
    """One number of the library beside the exact one.

    Attributes:
        slack: The share by which it is on the safe side; below 0 if and only if it is not. None
            where the library says nothing, as a radius of 0, although something could be said.
        at: The point, for whoever wants to see it again.
        ordinary: Whether the loss at this point counts for what the documentation states.
    """

    slack: float | None
    at: tuple[object, ...]
    ordinary: bool = True


@dataclass(frozen=True)
class Check:
    """One name, and how it is compared.

    Attributes:
        kind: "bound", "certificate" or "function".
        against: What stands for the exact value, in a few words.
        find: From a generator and a number of points to what is found there.
        most: Points at most, where an exact value is dear.
    """

    kind: str
    against: str
    find: Callable[[np.random.Generator, int], Iterator[Finding]]
    most: int = 10**9


@dataclass(frozen=True)
class Figures:
    """The figures of one name.

    Attributes:
        name: Of the bound, the certificate or the function.
        kind: See `Check`.
        against: See `Check`.
        points: How many were compared.
        wrong: At how many the library is on the wrong side.
        silent: At how many it says nothing although something could be said.
        least: Least of them.
        median: Median loss at ordinary points: share by which the library is on the safe side.
        largest: Largest loss at ordinary points.
        anywhere: Largest loss at any point.
        milliseconds: A point, the library's own time included.
        examples: Points on the wrong side, at most three.
    """

    name: str
    kind: str
    against: str
    points: int
    wrong: int
    silent: int
    least: float
    median: float
    largest: float
    anywhere: float
    milliseconds: float
    examples: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The figures as a row of a JSON file."""
        return asdict(self)


def figures(name: str, check: Check, rng: np.random.Generator, points: int) -> Figures:
    """Compares at so many points, or at as many as the check allows."""
    start = time.process_time()
    found = list(check.find(rng, min(points, check.most)))
    seconds = time.process_time() - start
    wrong = [each for each in found if each.slack is not None and each.slack < 0]
    said = [(each.slack, each.ordinary) for each in found if each.slack is not None]
    losses = np.array([slack for slack, _ in said] or [0.0])
    ordinary = np.array([slack for slack, plain in said if plain] or [0.0])
    return Figures(
        name,
        check.kind,
        check.against,
        len(found),
        len(wrong),
        len(found) - len(said),
        float(losses.min()),
        float(np.median(ordinary)),
        float(ordinary.max()),
        float(losses.max()),
        round(1000 * seconds / max(len(found), 1), 3),
        tuple(f"{each.slack!r} at {each.at!r}" for each in wrong[:3]),
    )
