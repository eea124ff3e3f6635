"""A data set under a smoothed classifier, into a ledger."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radii.bounds import BOUNDS
from radii.certificates import CERTIFICATES, Certificate
from radii.data import Dataset, Subset
from radii.evaluation._described import check_fit, notes_of
from radii.evaluation._faults import check_ledger
from radii.evaluation.export import Recorded
from radii.evaluation.ledger import Ledger, LedgerWriter, Row
from radii.evaluation.outlook import PILOT, Outlook, outlook, spread
from radii.evaluation.shards import Certifier, rows_by
from radii.executors import EXECUTORS, Executor, Serial
from radii.models import Agreement, Base, Compiled, InPrecision
from radii.noise import NOISES, Generators, Stream, key_hash, rng_of
from radii.records import Counts, FloatArray, IntArray, Norm
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS

_SECONDS_BETWEEN_COMMITS = 0.5
_COMPARED = 10  # inputs on which labels are compared, and noisy copies of each
_COPIES = 100
_SERIAL = Serial()


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
        on_agreement: Callable[[dict[str, Any]], object] | None = None,
        executor: Executor = _SERIAL,
    ) -> Ledger:
        """Certifies every input that the ledger at `path` does not hold yet.

        A plan without a seed takes the one of the ledger, or else one from the operating system.

        Args:
            path: The ledger; made if it does not exist.
            on_start: Is told how many inputs there are, and how many of them are done already.
            on_draws: Is told the number of draws of each batch.
            on_input: Is called after each input.
            on_agreement: Is told what `label_agreement` measured, when a ledger is made.
            executor: Where shards of the inputs run; the rows are the same everywhere. Only this
                process writes the ledger.

        Raises:
            DataError: If data and base classifier do not fit each other.
            PlanError: If the plan could never certify anything.
            LedgerError: If the ledger is of another spec or in use.
        """
        executor.check()
        check_ledger(path)
        plan, chosen, indices = self._ready(path)
        rows_of = self._rows_of(executor, plan, chosen, on_draws)
        spec, notes = self._spec(plan, chosen), self._notes(plan, chosen)
        notes["executor"] = EXECUTORS.spec_of(executor)
        if not _holds_run(path) and (agreement := self.label_agreement(plan)):
            notes["label_agreement"] = agreement
            if on_agreement is not None:
                on_agreement(agreement)
        with LedgerWriter(path, spec, notes) as ledger:
            left = [int(index) for index in indices if int(index) not in ledger.done]
            if on_start is not None:
                on_start(len(indices), len(indices) - len(left))
            rows: list[Row] = []
            committed = time.monotonic()
            with closing(rows_of(left)) as results:
                try:
                    for row in results:
                        rows.append(row)
                        now = time.monotonic()
                        if now - committed > _SECONDS_BETWEEN_COMMITS:
                            ledger.add(rows)
                            rows, committed = [], now
                        if on_input is not None:
                            on_input()
                finally:
                    ledger.add(rows)
        return Ledger(path)

    def outlook(self, path: Path | None = None) -> Outlook:
        """What `certify` with this ledger would cost, and can reach; nothing is written.

        Takes a few seconds: some inputs are tried. Refuses what `certify` would refuse.
        """
        plan, chosen, indices = self._ready(path)
        spec = self._spec(plan, chosen)
        left = [int(index) for index in indices]
        if path is not None and _holds_run(path):
            ledger = Ledger(path)
            ledger.check(spec)
            done = ledger.done()
            left = [index for index in left if index not in done]
        tried = left or [int(index) for index in indices]
        return outlook(
            self.smoothed,
            list(self._inputs([tried[at] for at in spread(len(tried), PILOT)])),
            plan,
            chosen,
            inputs=len(indices),
            inputs_done=len(indices) - len(left),
            compiled=isinstance(self.smoothed.base, Compiled),
        )

    def label_agreement(self, plan: SamplingPlan) -> dict[str, Any] | None:
        """How often the labels are those of the float32 module as it was loaded.

        Counted on the first noisy copies that the estimation of this plan will see, of the first
        inputs. None where the base classifier is neither in another precision nor compiled.
        """
        module, loaded = self.smoothed.base, self.base.module
        if not (isinstance(module, Compiled | InPrecision) and isinstance(loaded, nn.Module)):
            return None
        both = Agreement(module, loaded)
        indices = [int(index) for index in self.subset.indices(len(self.dataset))[:_COMPARED]]
        copies = min(_COPIES, plan.n)
        compared = replace(self.smoothed, base=both, num_classes=2, vote="hard")
        if (
            getattr(both, "compiled_rows", 0) is None
            and self.smoothed.resolve_device().type != "cpu"
        ):
            # Compiled for the rounds of the run, not for the smaller ones of this comparison.
            full = compared.round_rows(self.dataset[indices[0]][0], plan)
            both.compiled_rows = min(
                full, len(self.subset.indices(len(self.dataset))) * (plan.n0 + plan.n)
            )
        found = compared.votes_each(self._inputs(indices), copies, plan, stage="estimation")
        same = sum(int(votes.votes[1]) for _, votes in found if isinstance(votes, Counts))
        if isinstance(module, Compiled):
            module.forget_rows()  # the run must be the one that a resumed run is
        draws = copies * len(indices)
        return {"with": "float32", "share": same / draws, "draws": draws}

    def _ready(self, path: Path | None) -> tuple[SamplingPlan, Certificate, IntArray]:
        """Plan, certificate and inputs, once all is checked that can be without a draw."""
        dim = math.prod(self.dataset.input_shape)
        chosen = self.smoothed.certificate(self.norm, self.certificate, dim=dim)
        plan = self.plan.under(self.smoothed.noise)
        plan.check(self.smoothed.num_classes, self.smoothed.vote)
        indices = self.subset.indices(len(self.dataset))
        check_fit(self.smoothed, self.base, self.dataset, indices, chosen)
        if plan.seed is None and path is not None and _holds_run(path):
            plan = replace(plan, seed=Ledger(path).meta.get("seed"))
        return plan.seeded(self.smoothed.rng), chosen, indices

    def _rows_of(
        self,
        executor: Executor,
        plan: SamplingPlan,
        certificate: Certificate,
        on_draws: Callable[[int], object] | None,
    ) -> Callable[[list[int]], Generator[Row, None, None]]:
        """From the inputs that are left to their rows, in the order in which they come."""
        if not isinstance(executor, Serial):
            return partial(
                rows_by, executor, self.dataset, Certifier.of(self, plan, certificate), on_draws
            )
        return partial(self._rows_here, plan, certificate, on_draws)

    def _rows_here(
        self,
        plan: SamplingPlan,
        certificate: Certificate,
        on_draws: Callable[[int], object] | None,
        left: list[int],
    ) -> Generator[Row, None, None]:
        """One stream of inputs, which keeps the device full."""
        started = time.monotonic()
        for index, result in self.smoothed.certify_each(
            self._inputs(left), plan, norm=self.norm, certificate=certificate, on_draws=on_draws
        ):
            now = time.monotonic()
            yield Row.of(index, int(self.dataset.labels[index]), result, seconds=now - started)
            started = now

    def _inputs(self, indices: list[int]) -> Iterator[tuple[int, Tensor]]:
        for index in indices:
            yield index, self.dataset[index][0]

    def _spec(self, plan: SamplingPlan, certificate: Certificate) -> dict[str, Any]:
        device = self.smoothed.resolve_device()
        return {
            "noise": NOISES.spec_of(self.smoothed.noise),
            "norm": self.norm,
            "certificate": CERTIFICATES.name_of(certificate),
            "stop": STOPS.spec_of(plan.stop),
            "bound": BOUNDS.spec_of(plan.course(certificate).bound),
            "alpha": plan.alpha,
            "n0": plan.n0,
            "n": plan.n,
            "block": plan.block,
            "seed": plan.seed,
            "generator": self.smoothed.noise.generator_name(Generators(device, self.smoothed.rng)),
            "vote": self.smoothed.vote,
            "subset": str(self.subset),
            "data_fingerprint": self.dataset.fingerprint,
            "base_sha256": self.base.sha256,
            "num_classes": self.smoothed.num_classes,
            "precision": self.precision,
            "compile": "on" if isinstance(self.smoothed.base, Compiled) else "off",
            "device": device.type,
        }

    def _notes(self, plan: SamplingPlan, certificate: Certificate) -> dict[str, Any]:
        device = self.smoothed.resolve_device()
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        return {
            **notes_of(self.base, self.dataset, name),
            "domain": certificate.domain,
            "key_sha256": None if plan.seed is None else key_hash(plan.seed),
            "input_shape": list(self.dataset.input_shape),
        }


def _holds_run(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def noisy_copies(ledger: Recorded, x: Tensor, index: int, copies: int) -> FloatArray:
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
        generators = Generators(torch.device("cpu"), rng_of(ledger.meta.get("generator", "")))
        drawn = noise.at(rows, stream, generators)
    return np.asarray(drawn[:copies].numpy(), dtype=np.float64)
