"""A data set under a smoothed classifier, into a ledger."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radii.bounds import BOUNDS
from radii.certificates import CERTIFICATES, Certificate
from radii.data import Dataset, Subset
from radii.errors import DataError
from radii.evaluation.ledger import Ledger, LedgerWriter, Row
from radii.models import Base, Compiled
from radii.noise import NOISES, Generators, Stream
from radii.provenance import git_revision, versions
from radii.records import FloatArray, IntArray, Norm
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS

_SECONDS_BETWEEN_COMMITS = 0.5


@dataclass(frozen=True)
class Run:
    """Everything that defines a certification run.

    Attributes:
        smoothed: The smoothed classifier.
        base: Where its base classifier came from, and the hash of its weights.
        dataset: Inputs and labels.
        subset: Which of the inputs.
        plan: Draws, alpha, bound, seed.
        norm: The norm of the ball.
        certificate: Its name, where several cover the noise and norm.
        precision: Of the base classifier's arithmetic.
    """

    smoothed: SmoothedClassifier
    base: Base
    dataset: Dataset
    subset: Subset
    plan: SamplingPlan
    norm: Norm = "l2"
    certificate: str | None = None
    precision: str = "float32"

    def certify(
        self,
        path: Path,
        *,
        on_start: Callable[[int, int], object] | None = None,
        on_draws: Callable[[int], object] | None = None,
        on_input: Callable[[], object] | None = None,
    ) -> Ledger:
        """Certifies every input that the ledger at `path` does not hold yet.

        A plan without a seed takes the one of the ledger, or else one from the operating system.

        Args:
            path: The ledger; made if it does not exist.
            on_start: Is told how many inputs there are, and how many of them are done already.
            on_draws: Is told the number of draws of each batch.
            on_input: Is called after each input.

        Raises:
            DataError: If data and base classifier do not fit each other.
            PlanError: If the plan could never certify anything.
            LedgerError: If the ledger is of another spec or in use.
        """
        dim = math.prod(self.dataset.input_shape)
        chosen = self.smoothed.certificate(self.norm, self.certificate, dim=dim)
        plan = self.plan.under(self.smoothed.noise)
        plan.check(self.smoothed.num_classes, self.smoothed.vote)
        indices = self.subset.indices(len(self.dataset))
        self._check_fit(indices)
        if plan.seed is None and path.is_file() and path.stat().st_size:
            plan = replace(plan, seed=Ledger(path).meta["seed"])
        plan = plan.seeded()
        with LedgerWriter(path, self._spec(plan, chosen), self._notes(chosen)) as ledger:
            left = [int(index) for index in indices if int(index) not in ledger.done]
            if on_start is not None:
                on_start(len(indices), len(indices) - len(left))
            rows: list[Row] = []
            committed = started = time.monotonic()
            results = self.smoothed.certify_each(
                self._inputs(left),
                plan,
                norm=self.norm,
                certificate=chosen,
                on_draws=on_draws,
            )
            try:
                for index, result in results:
                    now = time.monotonic()
                    label = int(self.dataset.labels[index])
                    rows.append(Row.of(index, label, result, seconds=now - started))
                    started = now
                    if now - committed > _SECONDS_BETWEEN_COMMITS:
                        ledger.add(rows)
                        rows, committed = [], now
                    if on_input is not None:
                        on_input()
            finally:
                ledger.add(rows)
        return Ledger(path)

    def _inputs(self, indices: list[int]) -> Iterator[tuple[int, Tensor]]:
        for index in indices:
            yield index, self.dataset[index][0]

    def _check_fit(self, indices: IntArray) -> None:
        """Refuses inputs and labels that the base classifier was not made for."""
        shape, given = self.smoothed.input_shape, self.dataset.input_shape
        if shape is not None and shape != given:
            raise DataError(
                f"inputs of {self.dataset.reference} must have shape {shape}, "
                f"which the base classifier takes, got {given}."
            )
        labels = self.dataset.labels[indices]
        outside = (labels < 0) | (labels >= self.smoothed.num_classes)
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            raise DataError(
                f"label of input {indices[first]} must be in [0, {self.smoothed.num_classes}), "
                f"the classes of the base classifier, got {labels[first]}; "
                f"give a data set with the classes that it was trained on."
            )

    def _spec(self, plan: SamplingPlan, certificate: Certificate) -> dict[str, Any]:
        device = self.smoothed.resolve_device()
        return {
            "noise": NOISES.spec_of(self.smoothed.noise),
            "norm": self.norm,
            "certificate": CERTIFICATES.name_of(certificate),
            "bound": BOUNDS.spec_of(plan.course(certificate).bound),
            "stop": STOPS.spec_of(plan.stop),
            "alpha": plan.alpha,
            "n0": plan.n0,
            "n": plan.n,
            "block": plan.block,
            "seed": plan.seed,
            "generator": self.smoothed.noise.generator_name(Generators(device)),
            "vote": self.smoothed.vote,
            "subset": str(self.subset),
            "data_fingerprint": self.dataset.fingerprint,
            "base_sha256": self.base.sha256,
            "num_classes": self.smoothed.num_classes,
            "precision": self.precision,
            "compile": "on" if isinstance(self.smoothed.base, Compiled) else "off",
            "device": device.type,
        }

    def _notes(self, certificate: Certificate) -> dict[str, Any]:
        device = self.smoothed.resolve_device()
        cuda = device.type == "cuda"
        return {
            "base": self.base.reference,
            "data": self.dataset.reference,
            "domain": certificate.domain,
            "data_examples": len(self.dataset),
            "class_names": list(self.dataset.class_names),
            "versions": versions(),
            "git_revision": git_revision(),
            "device_name": torch.cuda.get_device_name(device) if cuda else "cpu",
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


def noisy_copies(ledger: Ledger, x: Tensor, index: int, copies: int) -> FloatArray:
    """The first noisy copies of an input that the estimation of a run saw, drawn again.

    On another kind of device than the run's they are other draws of the same noise.

    Args:
        ledger: The run.
        x: `(*shape)` float32, input `index` of its data set.
        index: Names the streams.
        copies: At most the run's block.

    Returns:
        `(copies, *shape)` float64.
    """
    noise = NOISES.build(ledger.meta["noise"])
    rows = x.expand(min(ledger.meta["block"], ledger.meta["n"]), *x.shape)
    if noise.num_outcomes is not None:
        drawn = noise.outcomes(rows, first=0)
    else:
        stream = Stream(ledger.meta["seed"], index, "estimation", 0)
        drawn = noise.at(rows, stream, Generators(torch.device("cpu")))
    return np.asarray(drawn[:copies].numpy(), dtype=np.float64)
