"""A base classifier on its way to another process."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError, RadiiError
from radii.models import Compiled, load_base

if TYPE_CHECKING:
    from radii.evaluation.run import Run

_ELSE = "take the executor serial"


@dataclass(frozen=True)
class SentBase:
    """A base classifier as it is sent to a worker: pickled, or only named.

    A module is sent with its weights, so a worker needs none of its files. What a Python file of
    the user's defines, or what cannot be pickled, is loaded again from what the user wrote, and
    must have the same hash in the worker.

    Attributes:
        pickled: The base classifier, not compiled; None if the worker loads it.
        reference: What the user wrote.
        sha256: Its hash.
        precision: In which one that is loaded computes; one that is pickled has its own.
        compiled: Whether the worker compiles it.
        folder: Where the driver runs: a path in the reference starts there.
    """

    pickled: bytes | None
    reference: str
    sha256: str
    precision: Any
    compiled: bool
    folder: str

    @classmethod
    def of(cls, run: Run) -> SentBase:
        """That of a run.

        Raises:
            BaseClassifierError: If it can be neither pickled nor loaded.
        """
        module = run.smoothed.base
        compiled = isinstance(module, Compiled)
        if isinstance(module, Compiled):
            module = module.module
        reference = run.base.reference
        return cls(
            pickled=None if _stands_in_a_file(reference) else _pickled(module, reference),
            reference=reference,
            sha256=run.base.sha256,
            precision=run.precision,
            compiled=compiled,
            folder=str(Path.cwd()),
        )

    def made(self, device: torch.device) -> Callable[[Tensor], Any]:
        """The base classifier, on a device of a worker.

        Raises:
            BaseClassifierError: If it cannot be made there, or would be another one.
        """
        if "" not in sys.path:
            sys.path.insert(0, "")  # where the driver runs, so that package.module:name is found
        there = os.path.isdir(self.folder)  # not so on each machine of a cluster
        with contextlib.chdir(self.folder) if there else contextlib.nullcontext():
            if self.pickled is None:
                return self._loaded(device)
            try:
                module = pickle.loads(self.pickled)  # noqa: S301  # the driver wrote it
            except Exception as error:  # whatever the code that it names may raise
                raise BaseClassifierError(
                    f"the base classifier cannot be unpickled in a worker: {error}; define it in "
                    f"a module that workers can import, or {_ELSE}."
                ) from error
        if isinstance(module, nn.Module):
            module = module.to(device)
        return Compiled(module) if self.compiled else module

    def _loaded(self, device: torch.device) -> Callable[[Tensor], Any]:
        loaded = load_base(self.reference)
        if loaded.sha256 != self.sha256:
            raise BaseClassifierError(
                f"{self.reference!r} must name the base classifier of the run in each worker, with "
                f"SHA-256 {self.sha256[:12]}..., got {loaded.sha256[:12]}...; give all workers the "
                f"same files, or {_ELSE}."
            )
        return loaded.prepared(device, self.precision, compiled=self.compiled)


def _stands_in_a_file(reference: str) -> bool:
    """Whether it has the form `FILE.py:name[@DIRECTORY]`, whose code no process can import."""
    place, _, _ = reference.partition("@")[0].rpartition(":")
    return place.endswith(".py") and Path(place).is_file()


def _pickled(module: Callable[[Tensor], Any], reference: str) -> bytes | None:
    try:
        return pickle.dumps(_on_cpu(module))
    except Exception as error:  # whatever a user's object may raise
        try:
            load_base(reference)
        except RadiiError:
            raise BaseClassifierError(
                f"the base classifier can be neither pickled ({error}) nor loaded from "
                f"{reference!r}, so no other process can have it; {_ELSE}."
            ) from error
        return None


def _on_cpu(module: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """The same on the CPU; a copy, if it is elsewhere."""
    if not isinstance(module, nn.Module):
        return module
    tensors = (*module.parameters(), *module.buffers())
    return module if all(t.is_cpu for t in tensors) else copy.deepcopy(module).cpu()
