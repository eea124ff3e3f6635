"""The examples of a run, and the batches of an epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from radii.data import Dataset, unit_interval
from radii.data.base import IntArray
from radii.noise import Generators, Stream

_IN_MEMORY_BYTES = 4 << 30


class Batches:
    """The examples to train on, in an order of its own in each epoch.

    They lie on the device if they are few enough; else worker processes read them. The batches are
    the same either way.

    Args:
        dataset: Inputs and labels.
        chosen: `(examples,)` positions of those to train on.
        batch_size: Examples in one step.
        seed: Names the order.
        device: Where batches are wanted.
    """

    def __init__(
        self, dataset: Dataset, chosen: IntArray, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self._dataset = dataset
        self._chosen = torch.from_numpy(chosen.copy())
        self._size = batch_size
        self._seed = seed
        self._device = device
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
        return -(-self.examples // self._size)

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs `(batch, *shape)` float32 and labels `(batch,)` of each step, on the device."""
        generator = Generators(torch.device("cpu"))(Stream(self._seed, epoch, "order", 0))
        order = self._chosen[torch.randperm(self.examples, generator=generator)]
        if self._tensors is not None:
            x, y = self._tensors
            for chosen in torch.split(order.to(self._device), self._size):
                yield unit_interval(x[chosen]), y[chosen]
            return
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            self._dataset,  # type: ignore[arg-type]
            batch_size=self._size,
            sampler=order.tolist(),
            num_workers=os.cpu_count() or 1,
            pin_memory=self._device.type == "cuda",
            generator=generator,
        )
        for x, y in loader:
            yield x.to(self._device, non_blocking=True), y.to(self._device, non_blocking=True)


def parts_of(x: Tensor, y: Tensor, parts: int) -> list[tuple[Tensor, Tensor]]:
    """A batch in at most so many parts, as equal as can be, none of them empty."""
    parts = min(parts, len(x))
    return list(zip(torch.tensor_split(x, parts), torch.tensor_split(y, parts), strict=True))
