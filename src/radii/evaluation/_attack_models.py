"""The models that attacks on a smoothed classifier ask, for one batch of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from radii.noise import Generators, Noise, Stream
from radii.records import Counts, Votes
from radii.smoothing import SamplingPlan, SmoothedClassifier

_BLOCK = 100  # draws from one stream


class NoiseOfBatch:
    """Draws noise for a batch, each time other noise; each input has streams of its own."""

    def __init__(
        self, noise: Noise, x: Tensor, indices: Sequence[int], draws: int, seed: int
    ) -> None:
        self._noise, self._draws, self._seed = noise, draws, seed
        self._zero, self._indices = torch.zeros_like(x[0]), tuple(indices)
        self._generators = Generators(x.device)
        self._blocks = 0  # drawn of each input

    def __call__(self) -> Tensor:
        """`(draws, batch, *shape)` float32."""
        delta = self._zero.new_empty(self._draws, len(self._indices), *self._zero.shape)
        for first in range(0, self._draws, _BLOCK):
            rows = self._zero.expand(min(_BLOCK, self._draws - first), *self._zero.shape)
            for at, index in enumerate(self._indices):
                stream = Stream(self._seed, index, "attack", self._blocks)
                delta[first : first + len(rows), at] = self._noise.at(
                    rows, stream, self._generators
                )
            self._blocks += 1
        return delta


class VotesOfBatch:
    """Shares of the votes of a smoothed classifier; for attacks that look at decisions alone."""

    def __init__(
        self, smoothed: SmoothedClassifier, indices: Sequence[int], draws: int, seed: int
    ) -> None:
        self._smoothed, self._indices = smoothed, tuple(indices)
        self._draws, self._plan = draws, SamplingPlan(seed=seed)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, num_classes)` float32."""
        inputs = zip(self._indices, x, strict=True)
        found = dict(self._smoothed.votes_each(inputs, self._draws, self._plan, stage="attack"))
        return torch.stack([_shares(found[index]) for index in self._indices]).to(x.device)


def _shares(votes: Votes) -> Tensor:
    assert isinstance(votes, Counts)
    return torch.from_numpy(votes.votes / votes.n).float()


class LabelsAsScores:
    """Scores of a base classifier, or its labels as scores of 0 and 1."""

    def __init__(self, base: Callable[[Tensor], Any], num_classes: int) -> None:
        self._base, self._num_classes = base, num_classes

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, num_classes)`."""
        answers = torch.as_tensor(self._base(x), device=x.device)
        if answers.ndim == 1:
            return one_hot(answers.long(), self._num_classes).float()
        return answers
