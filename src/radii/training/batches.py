"""The examples of a run, and the batches of an epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from radii.data import Dataset, PictureDataset, PixelDataset, unit_interval
from radii.data.base import IntArray
from radii.data.pictures import channels_first
from radii.noise import Generators, Stream
from radii.training.augmentations import PictureAugmentation
from radii.training.from_disk import read_ahead
from radii.training.plan import TrainingPlan
from radii.training.streams import seed_of_cuts
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

    They lie on the device if they are few enough; else threads read them while the device works.
    The batches are the same either way, and with any number of threads.

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
        self._examples = _Examples(dataset, device, workers, plan, 0)
        self._further = None
        self._weight = 0.0
        if further is not None:
            self._further = _Examples(further[0], device, workers, plan, 1)
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
            reads.append(examples.read(epoch, [part.positions for step in own for part in step]))
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
    """Inputs and labels, on the device if they are few enough.

    Pictures that are cut at random are read anew in each epoch, however few they are.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        workers: Workers,
        plan: TrainingPlan,
        kind: int,
    ) -> None:
        self._dataset = dataset
        self._device = device
        self._threads = max(1, (os.cpu_count() or 1) // workers.count)
        self._labels = torch.from_numpy(dataset.labels.copy())
        self._cut = plan.augment if isinstance(plan.augment, PictureAugmentation) else None
        self._seed = seed_of_cuts(plan.seed)
        self._kind = kind
        self._tensors: tuple[Tensor, Tensor] | None = None
        if self._cut is None and dataset.in_memory_bytes <= _IN_MEMORY_BYTES:
            x, y = dataset.tensors()
            self._tensors = x.to(device), y.to(device)

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, epoch: int, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs float32 and labels at the positions of each part, on the device."""
        if self._tensors is not None:
            x, y = self._tensors
            for part in parts:
                positions = part.to(self._device)
                yield unit_interval(x[positions]), y[positions]
            return
        wanted = (part.tolist() for part in parts)
        images = read_ahead(lambda index: self._one(epoch, index), wanted, threads=self._threads)
        for part, found in zip(parts, images, strict=True):
            x, y = self._moved(torch.stack(found)), self._moved(self._labels[part])
            yield unit_interval(x), y

    def _one(self, epoch: int, index: int) -> Tensor:
        """One input, uint8 if that is what is decoded; called from several threads at once."""
        dataset = self._dataset
        if self._cut is not None and isinstance(dataset, PictureDataset):
            height, width = dataset.input_shape[1:]
            stream = Stream(self._seed, epoch, "order", 2 * index + self._kind)
            part = self._cut.cut(dataset.picture(index), (width, height), stream=stream)
            return torch.from_numpy(channels_first(part))
        if isinstance(dataset, PixelDataset):
            return torch.from_numpy(dataset.pixels(index))
        return dataset[index][0]

    def _moved(self, tensor: Tensor) -> Tensor:
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)
