"""The training loop, into which any objective fits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from radii._allocator import keep_freed_memory
from radii.data import Dataset
from radii.errors import TrainingError
from radii.models import ARCHITECTURES, Architecture, Denoised, save_base
from radii.models.checkpoint import replace_file
from radii.noise import NOISES, Generators, Noise, Stream
from radii.objectives import OBJECTIVES, Objective
from radii.provenance import git_revision, versions
from radii.smoothing import SmoothedClassifier
from radii.training.batches import Batches
from radii.training.checkpoint import Checkpoint
from radii.training.compiling import compile_if_wanted
from radii.training.divergence import Watch
from radii.training.passes import Pass
from radii.training.plan import TrainingPlan
from radii.training.start import Start
from radii.training.state import State
from radii.training.streams import seed_beside
from radii.training.unlabelled import Unlabelled
from radii.training.validation import Validation, in_evaluation, split
from radii.training.workers import Workers, joined

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Training:
    """Everything that defines a training run.

    Attributes:
        architecture: Of the base classifier.
        dataset: Inputs and labels.
        noise: What the base classifier is to be smoothed with.
        objective: The loss.
        plan: Epochs, optimiser, validation, seed.
        device: Where to train.
        init: A directory that training wrote: start with its weights, not with random ones.
        unlabelled: Further inputs, for self-training.
        frozen: A directory that training wrote: the classifier behind the denoiser, where the
            architecture is `Denoised`. It is needed at the start alone: what training leaves
            behind holds both.
    """

    architecture: Architecture
    dataset: Dataset
    noise: Noise
    objective: Objective
    plan: TrainingPlan
    device: torch.device
    init: Path | None = None
    unlabelled: Unlabelled | None = None
    frozen: Path | None = None

    @property
    def examples(self) -> int:
        """In an epoch: all but those held out."""
        return len(self.dataset) - self.plan.validate

    def train(
        self,
        directory: Path,
        *,
        resume: bool = False,
        on_start: Callable[[int, int], object] | None = None,
        on_batch: Callable[[int], object] | None = None,
        on_epoch: Callable[[dict[str, Any]], object] | None = None,
    ) -> nn.Module:
        """Trains, and leaves a base classifier in `directory` after each epoch.

        Processes that `torchrun` started share the parts of each batch; see `Workers`. On CPU a run
        that was interrupted and resumed ends with the weights of one that was not.

        Args:
            directory: Gets `model.safetensors`, `model.json`, `metrics.jsonl` and
                `checkpoint.safetensors`.
            resume: Go on from the checkpoint in `directory`, if there is one.
            on_start: Is told how many epochs there are, and how many of them are done already.
            on_batch: Is told the number of examples of each step.
            on_epoch: Is told the metrics of each epoch.

        Returns:
            The base classifier that was exported, in evaluation mode.

        Raises:
            TrainingError: If the directory holds a training run that is not to be, or cannot be,
                resumed, if the weights to start from do not fit, or if training diverges.
        """
        keep_freed_memory()
        with joined(self.device) as workers:
            return self._train(directory, workers, resume, on_start, on_batch, on_epoch)

    def _train(
        self,
        directory: Path,
        workers: Workers,
        resume: bool,
        on_start: Callable[[int, int], object] | None,
        on_batch: Callable[[int], object] | None,
        on_epoch: Callable[[dict[str, Any]], object] | None,
    ) -> nn.Module:
        plan = self.plan
        workers.check(plan)
        if workers.leads:
            _check_writable(directory)
        start = self._start()
        spec = {**self._spec(), "init": start.sha256}
        if start.frozen is not None:
            spec["frozen"] = start.frozen
        if self.unlabelled is not None:
            self.unlabelled.check(self.dataset)
            spec["unlabelled"] = self.unlabelled.record()
        checkpoint = Checkpoint.load(directory)
        if checkpoint is not None:
            checkpoint.check(spec, directory, resume=resume)
        if plan.augment is not None:
            plan.augment.check(self.dataset)
            if self.unlabelled is not None:
                plan.augment.check(self.unlabelled.dataset)
        chosen, held_out = split(self.dataset, plan.validate)
        validation = None
        if plan.validate:
            validation = Validation.of(self.dataset, held_out, self.noise, plan, self.device)
        directory.mkdir(parents=True, exist_ok=True)
        state = State.fresh(plan, start.on(self.device))
        if checkpoint is not None:
            state.restore(checkpoint)
        done = len(state.metrics)
        description = {**spec, **self._description(start)}
        if done and workers.leads:  # a kill may have come between the checkpoint and these
            with _told(directory, done):
                self._export(directory, state, description)
        if on_start is not None:
            on_start(plan.epochs, done)
        if done == plan.epochs:
            return in_evaluation(state.exported)
        further = None
        if self.unlabelled is not None:
            labelled = self.unlabelled.labelled(self.dataset, self.device)
            further = (labelled, self.unlabelled.weight)
        batches = Batches(self.dataset, chosen, plan, self.device, workers, further)
        compile_if_wanted(state.module, plan, self.dataset.input_shape, batches.examples)
        smoothed = SmoothedClassifier(state.module, self.noise, self.dataset.num_classes)
        generators = Generators(self.device)
        a_pass = Pass(plan, self.objective, batches, smoothed, generators, workers)
        probe = generators(Stream(seed_beside(plan.seed), 0, "order", 0))
        watch = Watch(self.dataset, chosen, self.noise, self.objective, plan, batches.steps, probe)
        for epoch in range(done, plan.epochs):
            record = a_pass.run(epoch, state, on_batch)
            suspect = watch.suspects(record, state.module)
            if validation is not None and (
                (epoch + 1) % plan.validate_every == 0 or epoch + 1 == plan.epochs
            ):
                record |= validation.measure(state.present) if workers.leads else {}
            record = workers.told(record)
            state.add(record)
            if not workers.leads:
                continue
            with _told(directory, epoch):
                if suspect:
                    _write_metrics(directory, state)
                else:
                    Checkpoint(spec, state.metrics, state.tensors()).save(directory)
                    self._export(directory, state, description)
            if on_epoch is not None:
                on_epoch(record)
        return in_evaluation(state.exported)

    def _start(self) -> Start:
        denoised = isinstance(self.architecture, Denoised)
        if denoised != (self.frozen is not None) or (self.objective.denoises and not denoised):
            raise TrainingError(
                f"a denoiser and the trained classifier behind it must be given together, as "
                f"--denoiser dncnn --base DIRECTORY, got the architecture "
                f"{ARCHITECTURES.spec_of(self.architecture)!r}, the objective "
                f"{OBJECTIVES.spec_of(self.objective)!r} and "
                f"{'no' if self.frozen is None else 'a'} classifier behind it."
            )
        normalized = self.plan.normalize == "data"
        if not normalized and (denoised or self.init is not None):
            raise TrainingError(
                f"normalize must be data where {'a denoiser' if denoised else 'init'} is given, "
                f"got {self.plan.normalize!r}: "
                f"{'a denoiser has none' if denoised else 'it is kept with the first weights'}."
            )
        if isinstance(self.architecture, Denoised) and self.frozen is not None:
            given = self.architecture, self.dataset, self.plan.seed
            return Start.before(self.frozen, *given, init=self.init)
        if self.init is None:
            return Start.random(
                self.architecture, self.dataset, self.plan.seed, normalized=normalized
            )
        return Start.trained(self.init, self.architecture, self.dataset)

    def _spec(self) -> dict[str, Any]:
        return {
            "architecture": ARCHITECTURES.spec_of(self.architecture),
            "data_fingerprint": self.dataset.fingerprint,
            "noise": NOISES.spec_of(self.noise),
            "objective": OBJECTIVES.spec_of(self.objective),
            **self.plan.record(),
        }

    def _description(self, start: Start) -> dict[str, Any]:
        return {
            "input_shape": list(self.dataset.input_shape),
            "num_classes": self.dataset.num_classes,
            "class_names": list(self.dataset.class_names),
            "mean": start.mean,
            "std": start.std,
            "data": self.dataset.reference,
            "device": self.device.type,
            "versions": versions(),
            "git_revision": git_revision(),
        }

    def _export(self, directory: Path, state: State, description: dict[str, Any]) -> None:
        """The base classifier as others read it, and the metrics so far."""
        export = {
            "epochs_done": len(state.metrics),
            "exported_epoch": state.exported_epoch,
            "exported_weights": "last step" if state.average is None else "running average",
        }
        save_base(directory, state.exported, {**description, **export})
        _write_metrics(directory, state)


@contextmanager
def _told(directory: Path, done: int) -> Iterator[None]:
    """Says what is kept where the system refuses to write the state after an epoch."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{str(directory)!r} cannot be written: {error.strerror}; the {done} epochs before "
            f"stay in it, and the same command with --resume goes on once it can be."
        ) from None


def _check_writable(directory: Path) -> None:
    """Refuses a directory that will not be written, before there is any work."""
    there = directory
    while not there.exists():
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise TrainingError(
            f"{str(directory)!r} must be a directory that can be written, but {str(there)!r} is "
            f"not one; change its permissions, or train into another --out."
        )


def _write_metrics(directory: Path, state: State) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in state.metrics)
    replace_file(directory / METRICS, lines.encode())
