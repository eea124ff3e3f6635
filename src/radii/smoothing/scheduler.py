"""Keeps one device batch full with blocks of draws from many inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radii.errors import BaseClassifierError
from radii.noise.base import Noise
from radii.noise.streams import Generators, Stage, Stream
from radii.records import Counts, IntArray

_BUFFER_BYTES = {"cpu": 64 << 20}  # of noisy inputs in one batch
_BUFFER_BYTES_ELSEWHERE = 1 << 30
_ROWS = {"cpu": 1_000}
_ROWS_ELSEWHERE = 10_000


@dataclass(frozen=True)
class Request:
    """One input and the draws it needs.

    Attributes:
        index: Of the input in its data set; names its streams.
        x: `(*shape)` float32 on the sampler's device.
        draws: How many draws in each stage, at least 1.
    """

    index: int
    x: Tensor
    draws: Mapping[Stage, int]

    def __post_init__(self) -> None:
        if not self.draws or min(self.draws.values()) < 1:
            raise ValueError(f"a request must ask for draws in each stage, got {self.draws!r}")


@dataclass(frozen=True)
class _Block:
    request: Request
    votes: IntArray  # where this block's votes are added; the last entry counts invalid answers
    stage: Stage
    number: int
    rows: int
    last: bool  # of its request


@dataclass(frozen=True)
class Sampler:
    """Draws noise around inputs and counts what the base classifier answers.

    Attributes:
        base: From `(rows, *shape)` to scores `(rows, num_classes)` or labels `(rows,)`.
        noise: The smoothing distribution.
        num_classes: How many classes the base classifier has.
        seed: Of the random streams.
        block: Draws in one block of a stream.
        device: Where noise is drawn and votes are counted.
        batch_size: Draws in one batch, at most; None picks one that fits the inputs.
        on_draws: Is told the number of draws of each batch, once its votes are counted.
    """

    base: Callable[[Tensor], Any]
    noise: Noise
    num_classes: int
    seed: int
    block: int
    device: torch.device
    batch_size: int | None = None
    on_draws: Callable[[int], object] | None = None

    def run(self, requests: Iterable[Request]) -> Iterator[tuple[Request, dict[Stage, Counts]]]:
        """Votes of each request, in the order of the requests.

        Inputs are taken from `requests` only when the batch has room for them, and each is yielded
        as soon as its last draw is counted.

        Raises:
            BaseClassifierError: If an answer is NaN, out of range or of the wrong shape.
        """
        generators = Generators(self.device)
        buffer: Tensor | None = None
        waiting: deque[tuple[Request, dict[Stage, IntArray]]] = deque()
        for batch in self._batches(requests, waiting):
            if buffer is None:
                rows = max(self.rows(batch[0].request.x), batch[0].rows)
                buffer = torch.empty((rows, *batch[0].request.x.shape), device=self.device)
            self._count(batch, buffer, generators)
            for block in batch:
                if block.last:
                    request, votes = waiting.popleft()
                    yield request, {stage: Counts(v[:-1]) for stage, v in votes.items()}

    def rows(self, x: Tensor) -> int:
        """Rows of a full batch of inputs like `x`."""
        if self.batch_size is not None:
            return max(self.batch_size, self.block)
        fitting = _BUFFER_BYTES.get(self.device.type, _BUFFER_BYTES_ELSEWHERE) // (4 * x.numel())
        most = _ROWS.get(self.device.type, _ROWS_ELSEWHERE)
        return max(self.block, min(most, fitting))

    def _blocks(
        self,
        requests: Iterable[Request],
        waiting: deque[tuple[Request, dict[Stage, IntArray]]],
    ) -> Iterator[_Block]:
        for request in requests:
            votes = {
                stage: np.zeros(self.num_classes + 1, dtype=np.int64) for stage in request.draws
            }
            waiting.append((request, votes))
            left = sum(request.draws.values())
            for stage, draws in request.draws.items():
                for number, start in enumerate(range(0, draws, self.block)):
                    rows = min(self.block, draws - start)
                    left -= rows
                    yield _Block(request, votes[stage], stage, number, rows, last=left == 0)

    def _batches(
        self,
        requests: Iterable[Request],
        waiting: deque[tuple[Request, dict[Stage, IntArray]]],
    ) -> Iterator[list[_Block]]:
        """Blocks in order, as many at a time as fit into a batch."""
        batch: list[_Block] = []
        rows = 0
        for block in self._blocks(requests, waiting):
            if batch and rows + block.rows > self.rows(block.request.x):
                yield batch
                batch, rows = [], 0
            batch.append(block)
            rows += block.rows
        if batch:
            yield batch

    @torch.no_grad()
    def _count(self, batch: list[_Block], buffer: Tensor, generators: Generators) -> None:
        """Draws one batch, classifies it and adds its votes: one host synchronisation."""
        noisy = buffer[: sum(block.rows for block in batch)]
        pieces = torch.split(noisy, [block.rows for block in batch])
        for block, piece in zip(batch, pieces, strict=True):
            stream = Stream(self.seed, block.request.index, block.stage, block.number)
            copies = block.request.x.expand(block.rows, *block.request.x.shape)
            self.noise.apply(copies, generator=generators(stream), out=piece)
        if self.device.type == "cpu":
            # One block at a time: its neighbours in the batch cannot change its last bits, so votes
            # do not depend on the batch size, and activations stay in the cache.
            labels = torch.cat([self._classify(piece) for piece in pieces])
        else:
            labels = self._classify(noisy)
        width = self.num_classes + 1
        rows = torch.tensor([block.rows for block in batch])
        offset = (torch.arange(len(batch)) * width).repeat_interleave(rows).to(self.device)
        counts = torch.zeros(len(batch) * width, dtype=torch.int64, device=self.device)
        counts.index_add_(0, labels + offset, torch.ones_like(labels))
        for block, votes in zip(batch, counts.view(-1, width).cpu().numpy(), strict=True):
            if votes[-1]:
                raise BaseClassifierError(
                    f"the base classifier answered NaN or a label outside "
                    f"0..{self.num_classes - 1} for {votes[-1]} of {block.rows} noisy copies of "
                    f"input {block.request.index}; mend it or check num_classes."
                )
            np.add(block.votes, votes, out=block.votes)
        if self.on_draws is not None:
            self.on_draws(len(noisy))

    def _classify(self, noisy: Tensor) -> Tensor:
        """`(rows,)` int64 labels; `num_classes` stands for an answer that is none."""
        rows = len(noisy)
        try:
            answer: Tensor = torch.as_tensor(self.base(noisy), device=self.device)
        except torch.OutOfMemoryError as error:
            raise BaseClassifierError(
                f"{self.device} has no memory for {rows} draws at once; lower the batch size."
            ) from error
        except Exception as error:  # whatever a user's code may raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BaseClassifierError(
                f"the base classifier failed on inputs of shape {tuple(noisy.shape)}: {reason}"
            ) from error
        if answer.shape == (rows,) and not answer.is_floating_point():
            labels = answer.to(torch.int64)
            outside = (labels < 0) | (labels >= self.num_classes)
        elif answer.shape == (rows, self.num_classes) and answer.is_floating_point():
            labels = answer.argmax(1)
            outside = answer.isnan().any(1)
        else:
            raise BaseClassifierError(
                f"the base classifier must answer scores of shape ({rows}, {self.num_classes}) or "
                f"whole-number labels of shape ({rows},), "
                f"got {answer.dtype} of shape {tuple(answer.shape)}."
            )
        return labels.masked_fill(outside, self.num_classes)
