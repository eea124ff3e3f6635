"""A data set under attack, into a ledger."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radii.attacks import ATTACKS, Attack, Found
from radii.attacks.base import check_inputs
from radii.data import Dataset, Subset
from radii.evaluation._described import check_fit, notes_of
from radii.evaluation._faults import check_ledger
from radii.evaluation.attack_answers import Answer, Answers, check_predictions
from radii.evaluation.attack_ledger import AttackLedger, AttackLedgerWriter, AttackRow
from radii.evaluation.attacked import STARTS, Estimator, Precision, Target
from radii.models import Base, Compiled
from radii.noise import NOISES, Generators, Stream, checked_seed
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.smoothing.soft import NUMBERS_AT_ONCE

_MOST_TOGETHER = 32
_NUMBERS_ON_CPU = 1 << 20  # of noisy inputs under attack at a time, for their activations


@dataclass(frozen=True)
class AttackRun:
    """Everything that defines an attack run.

    Attributes:
        smoothed: The smoothed classifier; what it answers decides whether an attack succeeded.
        base: Where its base classifier came from, and the hash of its weights.
        dataset: Inputs and labels.
        subset: Which of the inputs.
        attack: Drives away from the true label.
        n: Draws for each prediction.
        alpha: Probability that a prediction, before or after the attack, is wrong.
        draws: Noise draws of what the attack asks.
        estimator: What the attack asks, if it follows gradients; "base" is the base classifier
            without noise.
        fresh: Whether the attack meets new noise at each question.
        seed: Of the random streams; None takes that of the ledger, or else one of the system.
        batch: Inputs attacked together; None takes as many as suit their size and the draws.
        keep: Whether the ledger holds the perturbed inputs.
        precision: Of the base classifier's arithmetic.
    """

    smoothed: SmoothedClassifier
    base: Base
    dataset: Dataset
    subset: Subset
    attack: Attack
    n: int = 1_000
    alpha: float = 0.001
    draws: int = 64
    estimator: Estimator = "plug_in"
    fresh: bool = False
    seed: int | None = None
    batch: int | None = None
    keep: bool = True
    precision: Precision = "float32"

    def check(self) -> Target:
        """Refuses what cannot work; nothing is drawn and nothing written.

        Returns:
            What the attack will be given.

        Raises:
            ValueError: If a number is out of range, or the attack does not suit the noise.
            PlanError: If n draws could never give an answer at this alpha.
            DataError: If data and base classifier do not fit each other.
            BaseClassifierError: If the attack needs gradients and there are none.
        """
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"inputs attacked together must be at least 1, got {self.batch!r}")
        if self.smoothed.noise.num_outcomes is not None:
            raise ValueError(
                f"an attack needs noise that is drawn, got {self.smoothed.noise!r}, which stands "
                f"for inputs on a grid alone"
            )
        if self.seed is not None:
            checked_seed(self.seed)
        check_predictions(self.attack, self.n, self.alpha)
        indices = self.subset.indices(len(self.dataset))
        check_fit(self.smoothed, self.base, self.dataset, indices)
        target = Target.of(
            self.attack,
            self.smoothed,
            draws=self.draws,
            estimator=self.estimator,
            fresh=self.fresh,
            precision=self.precision,
        )
        x, label = self.dataset[int(indices[0])]
        check_inputs(x[None], torch.tensor([label]), self.attack.low, self.attack.high)
        target.check(self.attack, x.to(self.smoothed.resolve_device(), torch.float32))
        return target

    def run(
        self,
        path: Path,
        *,
        on_start: Callable[[int, int], object] | None = None,
        on_input: Callable[[], object] | None = None,
    ) -> AttackLedger:
        """Attacks every input that the ledger at `path` does not hold yet.

        Inputs are attacked in batches that their places in the subset decide, and a batch is
        stored whole, so a run that was broken off ends with the rows of an undisturbed one.

        Args:
            path: The ledger; made if it does not exist.
            on_start: Is told how many inputs there are, and how many of them are done already.
            on_input: Is called after each input.

        Raises:
            LedgerError: If the ledger is of another spec or in use; and what `check` raises.
        """
        check_ledger(path)
        target = self.check()
        indices = self.subset.indices(len(self.dataset))
        seed, batch = self._seed(path), self._batch(target)
        spec = self._spec(target, seed, batch)
        device = self.smoothed.resolve_device()
        example = self.dataset[int(indices[0])][0].to(device, torch.float32)
        target = target.prepared(self.attack, example)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        notes = notes_of(self.base, self.dataset, name)
        groups = [indices[i : i + batch].tolist() for i in range(0, len(indices), batch)]
        with AttackLedgerWriter(path, spec, notes) as ledger:
            left = [group for group in groups if not ledger.done.issuperset(group)]
            if on_start is not None:
                on_start(len(indices), len(indices) - sum(map(len, left)))
            for group in left:
                ledger.add(self._attacked(target, group, seed))
                for _ in group:
                    if on_input is not None:
                        on_input()
        return AttackLedger(path)

    def _attacked(self, target: Target, group: Sequence[int], seed: int) -> list[AttackRow]:
        """The rows of inputs that are attacked together.

        Those that the smoothed classifier gets wrong, or abstains on, as they are, are left out of
        the batch and stay as they are.
        """
        started = time.monotonic()
        device = self.smoothed.resolve_device()
        x = torch.stack([self.dataset[index][0] for index in group]).to(device, torch.float32)
        y = torch.tensor([int(self.dataset.labels[index]) for index in group], device=device)
        answers = Answers(self.smoothed, self.n, self.alpha, seed)
        clean = answers.at(group, x)
        right = [at for at in range(len(group)) if clean[at].prediction == int(y[at])]
        after = dict(enumerate(clean))
        facts: dict[int, dict[str, float]] = {}
        queries: dict[int, int] = {}
        if right:
            indices = [group[at] for at in right]
            found = self._search(target, x[right], y[right], indices, group[0], seed)
            tried = answers.under(self.attack, indices, x[right], y[right], found.x)
            for i, at in enumerate(right):
                after[at], queries[at] = tried[i], int(found.queries[i])
                facts[at] = {**_facts(found, i), **tried[i].facts}
        seconds = (time.monotonic() - started) / len(group)
        return [
            self._row(
                group[at],
                int(y[at]),
                clean[at],
                after[at],
                queries=queries.get(at, 0),
                seconds=seconds,
                facts=facts.get(at, {}),
            )
            for at in range(len(group))
        ]

    def _search(
        self,
        target: Target,
        x: Tensor,
        y: Tensor,
        indices: Sequence[int],
        first: int,
        seed: int,
    ) -> Found:
        model = target.model(x, indices, seed)
        generator = Generators(x.device)(Stream(seed, first, "attack", STARTS))
        return self.attack.search(model, x, y, generator=generator)

    def _row(
        self,
        index: int,
        label: int,
        clean: Answer,
        after: Answer,
        *,
        queries: int,
        seconds: float,
        facts: dict[str, float],
    ) -> AttackRow:
        if after.silent is not None:
            norms = _norms(clean.x, after.silent)
            facts = {**facts, **{f"abstained_{norm}": norms[norm] for norm in norms}}
        return AttackRow(
            index=index,
            label=label,
            clean=clean.prediction,
            prediction=after.prediction,
            clean_votes=clean.votes,
            votes=after.votes,
            **_norms(clean.x, after.x),
            queries=queries,
            samples=clean.samples + (after.samples if after is not clean else 0),
            seconds=seconds,
            facts=facts,
            x=after.x.cpu().numpy() if self.keep else None,
        )

    def _seed(self, path: Path) -> int:
        if self.seed is not None:
            return checked_seed(self.seed)
        if path.is_file() and path.stat().st_size > 0:
            return int(AttackLedger(path).meta["seed"])
        seed = SamplingPlan().seeded(self.smoothed.rng).seed
        assert seed is not None
        return seed

    def _batch(self, target: Target) -> int:
        if self.batch is not None:
            return self.batch
        draws = target.draws if target.kind == "soft" else 1
        numbers = draws * math.prod(self.dataset.input_shape)
        on_cpu = self.smoothed.resolve_device().type == "cpu"
        most = _NUMBERS_ON_CPU if on_cpu else NUMBERS_AT_ONCE  # which one pass takes as they are
        together = max(1, min(_MOST_TOGETHER, most // numbers))
        return 1 << (together.bit_length() - 1)  # a power of two, which cores can share

    def _spec(self, target: Target, seed: int, batch: int) -> dict[str, Any]:
        device = self.smoothed.resolve_device()
        return {
            "attack": ATTACKS.spec_of(self.attack),
            "norm": self.attack.norm,
            "minimal": self.attack.minimal,
            **target.meta,
            "n": self.n,
            "alpha": self.alpha,
            "noise": NOISES.spec_of(self.smoothed.noise),
            "seed": seed,
            "generator": self.smoothed.noise.generator_name(Generators(device, self.smoothed.rng)),
            "batch": batch,
            "keep": self.keep,
            "subset": str(self.subset),
            "data_fingerprint": self.dataset.fingerprint,
            "input_shape": list(self.dataset.input_shape),
            "base_sha256": self.base.sha256,
            "num_classes": self.smoothed.num_classes,
            "precision": self.precision,
            "compile": "on" if isinstance(self.smoothed.base, Compiled) else "off",
            "device": device.type,
        }


def _norms(x: Tensor, perturbed: Tensor) -> dict[str, float]:
    """Norms of a perturbation, in float64, from the float32 arrays."""
    delta = np.abs(perturbed.cpu().numpy().astype(np.float64) - x.cpu().numpy().astype(np.float64))
    l2 = np.sqrt(np.square(delta).sum())
    return {"l1": float(delta.sum()), "l2": float(l2), "linf": float(delta.max())}


def _facts(found: Found, i: int) -> dict[str, float]:
    """What the attack has to say of input `i`; what is not finite is left out."""
    said = {name: float(values[i]) for name, values in found.facts.items()}
    return {name: value for name, value in said.items() if math.isfinite(value)}
