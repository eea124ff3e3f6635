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
        share: Of the examples of the batch.
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
    """

    def __init__(
        self,
        dataset: Dataset,
        chosen: IntArray,
        plan: TrainingPlan,
        device: torch.device,
        workers: Workers,
    ) -> None:
        self._dataset = dataset
        self._chosen = torch.from_numpy(chosen.copy())
        self._plan = plan
        self._device = device
        self._workers = workers
        self._tensors: tuple[Tensor, Tensor] | None = None
        if len(dataset) * math.prod(dataset.input_shape) * 4 <= _IN_MEMORY_BYTES:
            x, y = dataset.tensors()
            self._tensors = x.to(device), y.to(device)

    @property
    def examples(self) -> int:
        """In an epoch."""
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
        generator = Generators(torch.device("cpu"))(Stream(self._plan.seed, epoch, "order", 0))
        order = self._chosen[torch.randperm(self.examples, generator=generator)]
        steps = [self._own(batch) for batch in torch.split(order, self._plan.batch_size)]
        read = self._read([positions for step in steps for _, positions, _ in step])
        for number, step in enumerate(steps):
            first = number * self._plan.accumulate
            yield (Part(*next(read), first + i, share) for i, _, share in step)

    def _own(self, batch: Tensor) -> list[tuple[int, Tensor, float]]:
        """The parts of a batch for this process: number in the batch, positions, share.

        Parts are as equal as can be, and a batch with fewer examples than parts has fewer of them.
        """
        parts = enumerate(torch.tensor_split(batch, min(self._plan.accumulate, len(batch))))
        rank, count = self._workers.rank, self._workers.count
        return [(i, part, len(part) / len(batch)) for i, part in parts if i % count == rank]

    def _read(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs float32 and labels of each part, on the device."""
        if self._tensors is not None:
            x, y = self._tensors
            for part in parts:
                positions = part.to(self._device)
                yield unit_interval(x[positions]), y[positions]
            return
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            self._dataset,  # type: ignore[arg-type]
            batch_sampler=[part.tolist() for part in parts],
            num_workers=max(1, (os.cpu_count() or 1) // self._workers.count),
            pin_memory=self._device.type == "cuda",
            generator=Generators(torch.device("cpu"))(Stream(self._plan.seed, 0, "order", 2)),
        )
        for x, y in loader:
            yield x.to(self._device, non_blocking=True), y.to(self._device, non_blocking=True)
