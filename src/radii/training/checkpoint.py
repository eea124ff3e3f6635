"""What a training run needs to go on: one file, replaced whole after each epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from radii.errors import TrainingError
from radii.models.checkpoint import replace_file

FILE = "checkpoint.safetensors"
FORMAT = "2"


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch: tensors, and a header of JSON.

    Attributes:
        spec: What defines the training run.
        metrics: One record an epoch, so far.
        tensors: `model.NAME` for weights and buffers, `optimiser.KEY.NAME` for the state of the
            optimiser, `average.NAME` for their running average, `best.NAME` for the best so far.
    """

    spec: Mapping[str, Any]
    metrics: list[dict[str, Any]]
    tensors: Mapping[str, Tensor]

    def save(self, directory: Path) -> None:
        """Writes the state; whoever reads finds the old one or the new one."""
        header = {
            "format": FORMAT,
            "spec": json.dumps(dict(self.spec)),
            "metrics": json.dumps(self.metrics),
        }
        tensors = {
            name: tensor.detach().cpu().contiguous().clone()  # none may share memory with another
            for name, tensor in self.tensors.items()
        }
        header["sha256"] = _hash_of(header, tensors)
        replace_file(directory / FILE, safetensors.torch.save(tensors, metadata=header))

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
                if header.get("format") != FORMAT:
                    raise TrainingError(
                        f"{str(path)!r} must have format {FORMAT}, got {header.get('format')!r}: "
                        f"another version of radii wrote it; train into another --out."
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                if header.get("sha256") not in (None, _hash_of(header, tensors)):
                    raise TrainingError(
                        f"{str(path)!r} is damaged: its content must have the SHA-256 "
                        f"{header['sha256']}, and has another; take a copy of it made before, or "
                        f"train into another --out."
                    )
                return cls(json.loads(header["spec"]), json.loads(header["metrics"]), tensors)
        except (
            *(safetensors.SafetensorError, KeyError, TypeError, ValueError),
            *(AttributeError, OSError),
        ) as error:
            raise TrainingError(
                f"{str(path)!r} is no checkpoint of radii ({error}); train into another --out."
            ) from None

    def check(self, spec: Mapping[str, Any], directory: Path, *, resume: bool) -> None:
        """Refuses to go on with another run, or without being asked to."""
        if not resume:
            raise TrainingError(
                f"{str(directory)!r} holds a training run; "
                f"resume it with --resume, or train into another --out."
            )
        for key in dict.fromkeys((*spec, *self.spec)):
            there, here = self.spec.get(key), spec.get(key)
            if there != here:
                raise TrainingError(
                    f"{str(directory)!r} holds a training run with {key} {there!r}, not {here!r}; "
                    f"train into another --out."
                )


def _hash_of(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of all that a checkpoint holds; those of older versions have none."""
    digest = hashlib.sha256()
    for key in ("spec", "metrics"):
        digest.update(f"{key}:{header[key]}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
