"""A run in several processes: what its workers are sent, and what they do with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from radii.certificates import Certificate
from radii.data import Dataset
from radii.errors import RadiiError
from radii.evaluation._sent_base import SentBase
from radii.evaluation.ledger import Row
from radii.executors import Executor, Portions
from radii.noise import Generators
from radii.provenance import versions
from radii.records import FloatArray, Norm
from radii.smoothing import SamplingPlan, SmoothedClassifier

if TYPE_CHECKING:
    from radii.evaluation.run import Run


@dataclass(frozen=True)
class Shard:
    """Some inputs of a run.

    Attributes:
        indices: In the data set; they name the random streams.
        labels: The true classes.
        inputs: `(inputs, *shape)` float32; an array, since tensors would be shared and not sent.
    """

    indices: list[int]
    labels: list[int]
    inputs: FloatArray

    @classmethod
    def of(cls, dataset: Dataset, indices: Sequence[int]) -> Shard:
        """These inputs of a data set."""
        inputs = np.stack([dataset[index][0].numpy() for index in indices])
        return cls(list(indices), [int(dataset.labels[index]) for index in indices], inputs)


@dataclass(frozen=True)
class Certifier:
    """What a worker makes the smoothed classifier of a run of, to certify shards with it.

    Attributes:
        base: The base classifier.
        smoothed: All else of the smoothed classifier.
        shape: Of one input.
        plan: With its seed.
        norm: The norm of the ball.
        certificate: The certificate.
        generator: What noise must be drawn with.
        versions: What the worker must run.
    """

    base: SentBase
    smoothed: SmoothedClassifier
    shape: tuple[int, ...]
    plan: SamplingPlan
    norm: Norm
    certificate: Certificate
    generator: str
    versions: dict[str, str]

    @classmethod
    def of(cls, run: Run, plan: SamplingPlan, certificate: Certificate) -> Certifier:
        """That of a run.

        Raises:
            BaseClassifierError: If no other process can have the base classifier.
        """
        smoothed, device = run.smoothed, run.smoothed.resolve_device()
        return cls(
            base=SentBase.of(run),
            smoothed=replace(smoothed, base=_sent, device=smoothed.device or device.type),
            shape=run.dataset.input_shape,
            plan=plan,
            norm=run.norm,
            certificate=certificate,
            generator=smoothed.noise.generator_name(Generators(device, smoothed.rng)),
            versions=versions(),
        )

    def __call__(self, number: int) -> Callable[[Shard], list[Row]]:
        """In the worker of this number: the function that certifies its shards.

        Raises:
            RadiiError: If its votes would not be those of the driver.
        """
        cores = os.environ.get("OMP_NUM_THREADS", "")
        if cores.isdigit():
            torch.set_num_threads(int(cores))  # torch may have been imported before it was set
        device = _device_of(number, torch.device(self.smoothed.device or "cpu"))
        generator = self.smoothed.noise.generator_name(Generators(device, self.smoothed.rng))
        for what, here, wanted in (
            ("versions", versions(), self.versions),
            ("generator", generator, self.generator),
        ):
            if here != wanted:
                raise RadiiError(
                    f"the {what} of worker {number} must be those of the driver, {wanted}, "
                    f"got {here}; set up all machines alike."
                )
        base: Any = self.base.made(device)
        smoothed = replace(self.smoothed, base=base, device=device)
        if device.type != "cpu":  # found once, and not for each shard
            rows = smoothed.round_rows(torch.zeros(self.shape, device=device), self.plan)
            smoothed = replace(smoothed, batch_size=rows)
            if getattr(base, "compiled_rows", 0) is None:
                base.compiled_rows = rows  # of full rounds; a small first shard has none
        return partial(self._rows, smoothed)

    def _rows(self, smoothed: SmoothedClassifier, shard: Shard) -> list[Row]:
        inputs = torch.from_numpy(np.array(shard.inputs))  # a copy, which can be written to
        labels = dict(zip(shard.indices, shard.labels, strict=True))
        results = smoothed.certify_each(
            zip(shard.indices, inputs, strict=True),
            self.plan,
            norm=self.norm,
            certificate=self.certificate,
        )
        rows, started = [], time.monotonic()
        for index, result in results:
            now = time.monotonic()
            rows.append(Row.of(index, labels[index], result, seconds=now - started))
            started = now
        return rows


def _sent(_: Tensor) -> Tensor:
    raise AssertionError("the base classifier is sent by itself")


def _device_of(number: int, device: torch.device) -> torch.device:
    """The device of a worker: of several GPUs, each gets one in turn."""
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if count == 0:
        raise RadiiError(
            f"worker {number} must have a GPU, as the driver has, but sees none; give it one, or "
            f"take --device cpu."
        )
    return torch.device("cuda", (number if device.index is None else device.index) % count)


def rows_by(
    executor: Executor,
    dataset: Dataset,
    certifier: Certifier,
    on_draws: Callable[[int], object] | None,
    left: Sequence[int],
) -> Generator[Row, None, None]:
    """The rows of these inputs as they come; inputs are read when a worker is free."""
    portions = Portions(left)
    shards = (Shard.of(dataset, part) for part in portions)
    with closing(executor.map(certifier, shards)) as results:
        for rows in results:
            portions.done(len(rows), sum(row.seconds for row in rows))
            for row in rows:
                if on_draws is not None:
                    on_draws(row.samples)
                yield row
