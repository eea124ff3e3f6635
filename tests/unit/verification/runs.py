"""Small runs, certified or written by hand, and ways to spoil them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radii.bounds import BOUNDS
from radii.data import ArrayDataset, Subset
from radii.evaluation import Ledger, Run
from radii.evaluation.checksums import COLUMN, checksum_of, hash_of_spec
from radii.models import Base
from radii.noise import NOISES
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS
from radii.verification import Check, Material, Verification

DIM = 3


def scores(x: Tensor) -> Tensor:
    """Three classes that compete for a vector, smoothly."""
    return 8 * (x.flatten(1) - 0.5)


def dataset(count: int = 8, seed: int = 0) -> ArrayDataset:
    """Vectors on the grid of 8-bit images."""
    levels = np.random.default_rng(seed).integers(0, 256, size=(count, DIM))
    inputs = (levels / 255).astype(np.float32)
    return ArrayDataset(inputs, inputs.argmax(1).astype(np.int64), ("a", "b", "c"), "toy@test")


def run_of(
    noise: str = "gaussian:sigma=0.25",
    *,
    norm: str = "l2",
    certificate: str | None = None,
    bound: str | None = None,
    stop: str = "never",
    vote: str = "hard",
    data: ArrayDataset | None = None,
    base: Any = scores,
    sha256: str = "00ff",
    n: int = 400,
    seed: int = 3,
    rng: str = "auto",
) -> Run:
    """A run of the toy classifier."""
    smoothed = SmoothedClassifier(
        base, NOISES.build(noise), 3, input_shape=(DIM,), device="cpu", vote=vote, rng=rng
    )
    plan = SamplingPlan(
        n0=20,
        n=n,
        bound=None if bound is None else BOUNDS.build(bound),
        stop=STOPS.build(stop),
        seed=seed,
    )
    described = Base(base, "toy.py:scores", sha256, None, None, None, {})
    inputs = data or dataset()
    return Run(smoothed, described, inputs, Subset(), plan, norm, certificate)


def certified(path: Path, **changes: Any) -> Path:
    run_of(**changes).certify(path)
    return path


def material_of(run: Run, **changes: Any) -> Material:
    """What the run was made of, to compare it with; all of its inputs."""
    given = {"dataset": run.dataset, "base": run.base, "smoothed": run.smoothed, "sample": 1.0}
    return Material(**{**given, **changes})


def edited(path: Path, statement: str, *values: object) -> None:
    """Runs SQL on a ledger."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0


def set_meta(path: Path, key: str, value: object) -> None:
    edited(path, "UPDATE meta SET value = ? WHERE key = ?", json.dumps(value), key)


def resealed_rows(path: Path) -> None:
    """Gives all rows the checksums that they should have, as a careful forger would."""
    ledger = Ledger(path)
    spec, columns = hash_of_spec(ledger.meta), Ledger.layout.columns
    for values in list(ledger.cells()):
        right = checksum_of(columns, values, spec)
        edited(path, f'UPDATE inputs SET {COLUMN} = ? WHERE "index" = ?', right, values[0])


def status(found: Verification, name: str) -> str:
    return check(found, name).status


def check(found: Verification, name: str) -> Check:
    (one,) = (each for each in found.checks if each.name == name)
    return one


def constant(x: Tensor) -> Tensor:
    """Always the first class."""
    return torch.zeros(len(x), dtype=torch.int64)
