"""What changes while a run trains, and how it is kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from radii.errors import TrainingError
from radii.training.averaging import Average
from radii.training.checkpoint import Checkpoint
from radii.training.plan import TrainingPlan

ACR = "validation_acr"


@dataclass
class State:
    """A module in training and all that goes with it.

    Attributes:
        plan: How it is trained.
        module: The weights that steps are taken with.
        optimiser: Takes them.
        average: The running average of the weights, if the plan wants one.
        best: The weights of the epoch with the largest average certified radius so far, if the plan
            keeps them.
        metrics: One record an epoch.
    """

    plan: TrainingPlan
    module: nn.Module
    optimiser: torch.optim.Optimizer
    average: Average | None
    best: nn.Module | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def fresh(cls, plan: TrainingPlan, module: nn.Module) -> State:
        """The state before the first step."""
        optimiser = plan.optimiser.over(list(module.parameters()), plan.lr)
        average = None if plan.ema is None else Average(module, plan.ema)
        return cls(plan, module, optimiser, average)

    @property
    def present(self) -> nn.Module:
        """The weights of the last epoch that would be exported."""
        return self.module if self.average is None else self.average.module

    @property
    def exported(self) -> nn.Module:
        """The weights that are exported, in training mode if steps go on with them."""
        return self.present if self.best is None else self.best

    @property
    def exported_epoch(self) -> int:
        """The epoch of the weights that are exported."""
        record = self.metrics[-1] if self.best is None else self._best
        return int(record["epoch"])

    @property
    def _best(self) -> dict[str, Any]:
        """The record with the largest average certified radius; of equals, the first."""
        return max((m for m in self.metrics if ACR in m), key=lambda m: m[ACR])

    def add(self, record: dict[str, Any]) -> None:
        """Takes in the metrics of an epoch that ends now."""
        self.metrics.append(record)
        if self.plan.keep == "best" and ACR in record and self._best is record:
            self.best = copy.deepcopy(self.present).eval()

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the metrics, by name, with numbers as tensors of float64."""
        found = dict(self._weights())
        for name, parameter in self.module.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                if value is not None:
                    found[f"optimiser.{key}.{name}"] = torch.as_tensor(
                        value, dtype=None if isinstance(value, Tensor) else torch.float64
                    )
        return found

    def restore(self, checkpoint: Checkpoint) -> None:
        """Puts what was kept back, in place.

        Raises:
            TrainingError: If the checkpoint is of other weights.
        """
        self.metrics = checkpoint.metrics
        if any(name.startswith("best.") for name in checkpoint.tensors):
            self.best = copy.deepcopy(self.present).eval()
        for name, tensor in self._weights():
            kept = checkpoint.tensors.get(name)
            if kept is None or kept.shape != tensor.shape:
                raise TrainingError(
                    f"the checkpoint must hold {name!r} of shape {tuple(tensor.shape)}, and does "
                    f"not: another version of radii wrote it; train into another --out."
                )
            tensor.copy_(kept)
        packed = self.optimiser.state_dict()
        for index, (name, parameter) in enumerate(self.module.named_parameters()):
            found = {
                key.split(".")[1]: _like(value, parameter)
                for key, value in checkpoint.tensors.items()
                if key.startswith("optimiser.") and key.split(".", 2)[2] == name
            }
            if found:
                packed["state"][index] = found
        self.optimiser.load_state_dict(packed)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        average = None if self.average is None else self.average.module
        parts: Mapping[str, nn.Module | None] = {
            "model": self.module,
            "average": average,
            "best": self.best,
        }
        for part, module in parts.items():
            if module is not None:
                for name, tensor in module.state_dict().items():
                    yield f"{part}.{name}", tensor


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor | float:
    """A tensor of the parameter's device and memory layout, or the number that was kept."""
    if value.dtype == torch.float64 and parameter.dtype != torch.float64:
        return float(value)
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
