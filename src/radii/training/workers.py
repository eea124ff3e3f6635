"""Several processes that train one base classifier together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from radii.errors import TrainingError
from radii.training.plan import TrainingPlan

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """The processes of a run, of which this is one.

    All have the same weights at the end of each step. A batch is the same as for one process: its
    parts (`accumulate` of them, each with a noise stream of its own) are shared out, so how many
    processes there are changes the order of sums and nothing else.

    Attributes:
        rank: Number of this process; 0 also writes.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, validates and speaks for all."""
        return self.rank == 0

    def check(self, plan: TrainingPlan) -> None:
        """Refuses a plan whose batches do not have a part for each process, or equally many.

        Raises:
            TrainingError: If `accumulate` is not a multiple of the number of processes.
        """
        if plan.accumulate % self.count:
            raise TrainingError(
                f"accumulate must be a multiple of the {self.count} processes, which share the "
                f"parts of each batch, got {plan.accumulate}; set accumulate={self.count}."
            )

    @torch.no_grad()
    def add_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Puts the sum over all processes into each gradient, in one message.

        A weight without a gradient in any of them stays without one, so that no optimiser moves it.
        """
        if self.count == 1:
            return
        weights = [weight for weight in weights if weight.requires_grad]
        has = torch.tensor([float(w.grad is not None) for w in weights], device=weights[0].device)
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        whole = torch.cat([*(gradient.flatten() for gradient in gradients), has])
        distributed.all_reduce(whole)
        *sums, have = torch.split(whole, [*(w.numel() for w in weights), len(weights)])
        for at, (weight, part) in enumerate(zip(weights, sums, strict=True)):
            if weight.grad is not None:
                weight.grad.copy_(part.view_as(weight))
            elif have[at] > 0:  # in a process without a part of a last, small batch
                weight.grad = part.view_as(weight).clone()

    @torch.no_grad()
    def average_statistics(self, module: nn.Module) -> None:
        """Gives buffers, as the statistics of batch norm, their mean over all processes."""
        if self.count == 1:
            return
        for buffer in module.buffers():
            mean = buffer.double()
            distributed.all_reduce(mean)
            buffer.copy_(mean / self.count)

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def told(self, value: T) -> T:
        """What the first process has, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


def own_device(device: torch.device) -> torch.device:
    """The device of this process: of several on a machine with GPUs, each has its own."""
    if device.type != "cuda" or device.index is not None or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def leads_here() -> bool:
    """Whether this process is the only one, or the first of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Workers]:
    """The processes that `torchrun` started; this one alone where it did not.

    Args:
        device: Of this process; they talk by NCCL on a GPU, and by gloo elsewhere.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(distributed.get_rank(), count)
    finally:
        if ours:
            distributed.destroy_process_group()
