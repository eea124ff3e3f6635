"""What a training run needs to go on: one file, replaced whole after each epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn
from torch.optim import Optimizer

from radii.errors import TrainingError
from radii.models.checkpoint import replace_file

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        spec: What defines the training run.
        metrics: One record an epoch, so far.
        tensors: `model.NAME` for weights and buffers, `momentum.NAME` for the optimiser's state.
    """

    spec: Mapping[str, Any]
    metrics: list[dict[str, Any]]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        spec: Mapping[str, Any],
        metrics: list[dict[str, Any]],
        module: nn.Module,
        optimiser: Optimizer,
    ) -> Checkpoint:
        """The state of a module and its optimiser."""
        tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
        for name, parameter in module.named_parameters():
            momentum = optimiser.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{name}"] = momentum
        return cls(spec, metrics, {k: v.detach().cpu().contiguous() for k, v in tensors.items()})

    def restore(self, module: nn.Module, optimiser: Optimizer) -> None:
        """Puts the state back, in place."""
        prefix = "model."
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}
        )
        for name, parameter in module.named_parameters():
            momentum = self.tensors.get(f"momentum.{name}")
            if momentum is not None:
                buffer = parameter.detach().clone()  # of its device and memory layout
                optimiser.state[parameter]["momentum_buffer"] = buffer.copy_(momentum)

    def save(self, directory: Path) -> None:
        """Writes the state; whoever reads finds the old one or the new one."""
        header = {"spec": json.dumps(dict(self.spec)), "metrics": json.dumps(self.metrics)}
        replace_file(directory / FILE, safetensors.torch.save(dict(self.tensors), metadata=header))

    @classmethod
    def load(cls, directory: Path) -> Checkpoint | None:
        """The state that a directory holds, if it holds one.

        Raises:
            TrainingError: If the file cannot be read.
        """
        path = directory / FILE
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                header = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                return cls(json.loads(header["spec"]), json.loads(header["metrics"]), tensors)
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{str(path)!r} is no checkpoint of radii ({error}); train into another --out."
            ) from None
