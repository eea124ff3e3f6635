"""Certification of a few examples that were held out of training."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from radii.data import Dataset, Subset
from radii.data.base import IntArray
from radii.errors import NotCoveredError, TrainingError
from radii.noise import Noise
from radii.records import Norm
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.training.from_disk import inputs_at
from radii.training.plan import TrainingPlan
from radii.training.streams import seed_beside

_SHARE = 10  # n is so many times n0
_LEAST_N0 = 10
_CHUNK = 500
_IN_MEMORY_BYTES = 4 << 30
_ORDER: tuple[Norm, ...] = ("l2", "l1", "linf", "l0")
assert set(_ORDER) == set(get_args(Norm))


def split(dataset: Dataset, held_out: int) -> tuple[IntArray, IntArray]:
    """Positions of the examples to train on and of those to validate on, both ascending.

    The latter are a random choice that follows from the two numbers alone: seeds, objectives and
    the second phase of a two-phase recipe all leave out the same ones.

    Raises:
        TrainingError: If nothing is left to train on.
    """
    everything = np.arange(len(dataset), dtype=np.int64)
    if not held_out:
        return everything, everything[:0]
    if held_out >= len(dataset):
        raise TrainingError(
            f"validate must be less than the {len(dataset)} examples of {dataset.reference}, "
            f"got {held_out}; hold out fewer."
        )
    chosen = Subset("random", held_out, seed=0).indices(len(dataset))
    return np.setdiff1d(everything, chosen), chosen


def in_evaluation(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without compiled code; the module itself is left as it is."""
    return copy.deepcopy(module).eval()


@dataclass(frozen=True, eq=False)
class Validation:
    """A cheap certified estimate: few inputs, few draws, the same noise in every epoch.

    Attributes:
        noise: Of the smoothed classifier.
        num_classes: How many there are.
        x: `(examples, *shape)` float32 on the device.
        y: `(examples,)` labels.
        plan: Of sampling.
        norm: Of the radii.
    """

    noise: Noise
    num_classes: int
    x: Tensor
    y: IntArray
    plan: SamplingPlan
    norm: Norm

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        chosen: IntArray,
        noise: Noise,
        plan: TrainingPlan,
        device: torch.device,
    ) -> Validation:
        """The validation that a training plan asks for.

        Raises:
            NotCoveredError: If no certificate covers the noise in the norm.
            PlanError: If so few draws could never certify anything.
            TrainingError: If these examples are too many to stay in memory.
        """
        n = plan.validate_n
        sampling = SamplingPlan(n0=max(_LEAST_N0, n // _SHARE), n=n, seed=seed_beside(plan.seed))
        most = _IN_MEMORY_BYTES // (dataset.in_memory_bytes // len(dataset))
        if len(chosen) > most:
            raise TrainingError(
                f"validate must be at most {most} for inputs as large as those of "
                f"{dataset.reference}, which stay in memory, got {len(chosen)}; hold out fewer."
            )
        x = inputs_at(dataset, chosen).to(device)
        smoothed = SmoothedClassifier(
            torch.nn.Identity(), noise, dataset.num_classes, input_shape=dataset.input_shape
        )
        norm = plan.validate_norm or _covered(smoothed)
        smoothed.certificate(norm)
        sampling.under(noise).check(dataset.num_classes)
        return cls(noise, dataset.num_classes, x, dataset.labels[chosen], sampling, norm)

    def measure(self, module: nn.Module) -> dict[str, Any]:
        """Average certified radius, and the accuracies of the smoothed and of the base classifier.

        Abstentions count as wrong. The module is left as it is.
        """
        started = time.monotonic()
        base = in_evaluation(module)
        smoothed = SmoothedClassifier(
            base, self.noise, self.num_classes, input_shape=tuple(self.x.shape[1:])
        )
        found = dict(smoothed.certify_each(enumerate(self.x), self.plan, norm=self.norm))
        with torch.no_grad():
            answers = [base(part).argmax(1) for part in torch.split(self.x, _CHUNK)]
        results = [found[index] for index in range(len(self.y))]
        correct = np.array([r.prediction == y for r, y in zip(results, self.y, strict=True)])
        radius = np.array([r.radius for r in results])
        return {
            "validation_acr": float(np.where(correct, radius, 0.0).mean()),
            "validation_accuracy": float(correct.mean()),
            "validation_clean_accuracy": float((torch.cat(answers).cpu().numpy() == self.y).mean()),
            "validation_norm": self.norm,
            "validation_seconds": round(time.monotonic() - started, 3),
        }


def _covered(smoothed: SmoothedClassifier) -> Norm:
    """The first norm in which there is a certificate for the noise."""
    for norm in _ORDER:
        try:
            smoothed.certificate(norm)
        except NotCoveredError:
            continue
        return norm
    raise NotCoveredError(
        f"no certificate covers {smoothed.noise!r} in any norm; train without validate."
    )
