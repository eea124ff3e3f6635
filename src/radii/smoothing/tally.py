"""How the answers of a base classifier are added up: as votes, or as soft scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.errors import BaseClassifierError
from radii.records import Counts, SoftVotes, Votes

Vote = Literal["hard", "soft"]


@dataclass(frozen=True)
class Tally(ABC):
    """Sums over draws, in one array whose last entry counts the answers that are none.

    Attributes:
        num_classes: How many classes the base classifier has.
        dtype: Of the array.
    """

    num_classes: int
    dtype: ClassVar[type[np.int64 | np.float64]]

    @property
    @abstractmethod
    def width(self) -> int:
        """Entries of the array."""

    @abstractmethod
    def check(self, answer: Tensor, rows: int) -> None:
        """Refuses answers to so many rows that cannot be added up.

        Raises:
            BaseClassifierError: If they have another shape or type.
        """

    @abstractmethod
    def sums(self, answer: Tensor, rows: Sequence[int]) -> Tensor:
        """`(blocks, width)` sums of answers that were checked.

        Args:
            answer: `(sum(rows), num_classes)` scores or `(sum(rows),)` labels.
            rows: How many answers belong to each block.
        """

    @abstractmethod
    def votes(self, sums: npt.NDArray[Any], draws: int) -> Votes:
        """The record of sums over so many draws."""


@dataclass(frozen=True)
class HardTally(Tally):
    """Each draw is a vote for the class of the label, or of the highest score."""

    dtype: ClassVar[type[np.int64 | np.float64]] = np.int64

    @property
    def width(self) -> int:
        """A count for each class."""
        return self.num_classes + 1

    def check(self, answer: Tensor, rows: int) -> None:
        """Scores or labels; see `Tally.check`."""
        labels = answer.shape == (rows,) and not answer.is_floating_point()
        scores = answer.shape == (rows, self.num_classes) and answer.is_floating_point()
        if not labels and not scores:
            raise BaseClassifierError(
                f"the base classifier must answer scores of shape ({rows}, {self.num_classes}) or "
                f"whole-number labels of shape ({rows},), "
                f"got {answer.dtype} of shape {tuple(answer.shape)}."
            )

    def sums(self, answer: Tensor, rows: Sequence[int]) -> Tensor:
        """Votes, counted on the device; see `Tally.sums`."""
        if answer.is_floating_point():
            labels = answer.argmax(1)  # where there are NaN, it is that of one of them
            outside = answer.gather(1, labels.unsqueeze(1)).squeeze(1).isnan()
        else:
            labels = answer.to(torch.int64)
            outside = (labels < 0) | (labels >= self.num_classes)
        labels = labels.masked_fill(outside, self.num_classes)
        first, ones = _places(tuple(rows), self.width, str(labels.device))
        counts = torch.zeros(len(rows) * self.width, dtype=torch.int64, device=labels.device)
        return counts.index_add_(0, labels.add_(first), ones).view(len(rows), self.width)

    def votes(self, sums: npt.NDArray[Any], draws: int) -> Counts:
        """The votes of each class."""
        return Counts(sums[:-1])


@dataclass(frozen=True)
class SoftTally(Tally):
    """Each draw adds the softmax of its scores, and their squares, in float64."""

    dtype: ClassVar[type[np.int64 | np.float64]] = np.float64

    @property
    def width(self) -> int:
        """A sum and a sum of squares for each class."""
        return 2 * self.num_classes + 1

    def check(self, answer: Tensor, rows: int) -> None:
        """Scores; see `Tally.check`."""
        if answer.shape != (rows, self.num_classes) or not answer.is_floating_point():
            raise BaseClassifierError(
                f"for soft votes the base classifier must answer scores of shape "
                f"({rows}, {self.num_classes}), got {answer.dtype} of shape "
                f"{tuple(answer.shape)}; a classifier that answers labels has hard votes only."
            )

    def sums(self, answer: Tensor, rows: Sequence[int]) -> Tensor:
        """Sums in the order of the draws, block by block; see `Tally.sums`."""
        scores = answer.double().softmax(1)
        wrong = scores.isnan().any(1, keepdim=True)
        columns = torch.cat([scores, scores.square(), wrong.double()], dim=1)
        return torch.stack([block.sum(0) for block in torch.split(columns, list(rows))])

    def votes(self, sums: npt.NDArray[Any], draws: int) -> SoftVotes:
        """The sums of each class."""
        return SoftVotes(
            sums=sums[: self.num_classes].copy(),
            squares=sums[self.num_classes : -1].copy(),
            n=np.array(draws),
        )


@lru_cache(maxsize=64)
def _places(rows: tuple[int, ...], width: int, device: str) -> tuple[Tensor, Tensor]:
    """Where the counts of the block of each answer start, and as many ones."""
    first = (torch.arange(len(rows)) * width).repeat_interleave(torch.tensor(rows)).to(device)
    return first, torch.ones_like(first)


def tally(vote: Vote, num_classes: int) -> Tally:
    """The tally of a kind of vote."""
    return {"hard": HardTally, "soft": SoftTally}[vote](num_classes)
