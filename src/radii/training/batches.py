"""The examples of a run, and the batches of an epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from radii.data import Dataset, unit_interval
from radii.data.base import IntArray
from radii.noise import Generators, Stream
from radii.training.plan import TrainingPlan
from radii.training.workers import Workers

_IN_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True)
class Part:
    """Some of the examples of a batch, that go through the network together.

    Attributes:
        x: `(examples, *shape)` float32 on the device.
        y: `(examples,)` int64.
        number: In the epoch, over all processes; names the noise.
        share: Of the loss of the batch.
    """

    x: Tensor
    y: Tensor
    number: int
    share: float


class Batches:
    """The examples to train on, in an order of its own in each epoch.

    They lie on the device if they are few enough; else worker processes read them. The batches are
    the same either way.

    Args:
        dataset: Inputs and labels.
        chosen: `(examples,)` positions of those to train on.
        plan: Size of a batch, its parts, and the seed that names the order.
        device: Where batches are wanted.
        workers: Share the parts of each batch.
        further: Examples of self-training, as many in each batch as others, and their weight.
    """

    def __init__(
        self,
        dataset: Dataset,
        chosen: IntArray,
        plan: TrainingPlan,
        device: torch.device,
        workers: Workers,
        further: tuple[Dataset, float] | None = None,
    ) -> None:
        self._chosen = torch.from_numpy(chosen.copy())
        self._plan = plan
        self._workers = workers
        self._examples = _Examples(dataset, device, workers, plan.seed)
        self._further = None
        self._weight = 0.0
        if further is not None:
            self._further = _Examples(further[0], device, workers, plan.seed)
            self._weight = further[1]

    @property
    def examples(self) -> int:
        """In an epoch; those of self-training are not counted."""
        return len(self._chosen)

    @property
    def steps(self) -> int:
        """In an epoch; the last one may be smaller."""
        return -(-self.examples // self._plan.batch_size)

    def size(self, step: int) -> int:
        """Examples of a step, over all processes."""
        return min(self._plan.batch_size, self.examples - step * self._plan.batch_size)

    def of(self, epoch: int) -> Iterator[Iterator[Part]]:
        """For each step the parts that this process computes, in turn."""
        order = self._chosen[self._permutation(self.examples, epoch, 0)]
        kinds = [(self._examples, order, 1 / (1 + self._weight))]
        if self._further is not None:
            more = self._more(epoch, len(self._further))
            kinds.append((self._further, more, self._weight / (1 + self._weight)))
        parts, reads = [], []
        for kind, (examples, positions, weight) in enumerate(kinds):
            batches = torch.split(positions, self._plan.batch_size)
            own = [self._own(batch, kind, weight) for batch in batches]
            parts.append(own)
            reads.append(examples.read([part.positions for step in own for part in step]))
        for step in range(self.steps):
            first = step * len(kinds) * self._plan.accumulate
            yield (
                Part(*next(read), first + part.number, part.share)
                for read, own in zip(reads, parts, strict=True)
                for part in own[step]
            )

    def _own(self, batch: Tensor, kind: int, weight: float) -> list[_Slice]:
        """The parts of a batch for this process.

        Parts are as equal as can be, and a batch with fewer examples than parts has fewer of them.
        """
        accumulate = self._plan.accumulate
        rank, count = self._workers.rank, self._workers.count
        return [
            _Slice(kind * accumulate + i, part, weight * len(part) / len(batch))
            for i, part in enumerate(torch.tensor_split(batch, min(accumulate, len(batch))))
            if i % count == rank
        ]

    def _more(self, epoch: int, count: int) -> Tensor:
        """Positions of as many examples of self-training as an epoch has others.

        They go on where the epoch before ended, in a new order at each round.
        """
        first = epoch * self.examples
        rounds = range(first // count, -(-(first + self.examples) // count))
        whole = torch.cat([self._permutation(count, i, 3) for i in rounds])
        start = first - rounds[0] * count
        return whole[start : start + self.examples]

    def _permutation(self, count: int, index: int, number: int) -> Tensor:
        generator = Generators(torch.device("cpu"))(Stream(self._plan.seed, index, "order", number))
        return torch.randperm(count, generator=generator)


@dataclass(frozen=True)
class _Slice:
    """A part before it is read; its number is that in the batch."""

    number: int
    positions: Tensor
    share: float


class _Examples:
    """Inputs and labels, on the device if they are few enough."""

    def __init__(self, dataset: Dataset, device: torch.device, workers: Workers, seed: int) -> None:
        self._dataset = dataset
        self._device = device
        self._readers = max(1, (os.cpu_count() or 1) // workers.count)
        self._seed = seed
        self._tensors: tuple[Tensor, Tensor] | None = None
        if len(dataset) * math.prod(dataset.input_shape) * 4 <= _IN_MEMORY_BYTES:
            x, y = dataset.tensors()
            self._tensors = x.to(device), y.to(device)

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs float32 and labels at the positions of each part, on the device."""
        if self._tensors is not None:
            x, y = self._tensors
            for part in parts:
                positions = part.to(self._device)
                yield unit_interval(x[positions]), y[positions]
            return
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            self._dataset,  # type: ignore[arg-type]
            batch_sampler=[part.tolist() for part in parts],
            num_workers=self._readers,
            pin_memory=self._device.type == "cuda",
            generator=Generators(torch.device("cpu"))(Stream(self._seed, 0, "order", 2)),
        )
        for x, y in loader:
            yield x.to(self._device, non_blocking=True), y.to(self._device, non_blocking=True)
