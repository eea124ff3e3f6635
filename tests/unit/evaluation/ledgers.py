"""Small ledgers, written by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from radii.evaluation import LedgerWriter, Row

SPEC: Mapping[str, Any] = {
    "noise": "gaussian:sigma=0.5",
    "norm": "l2",
    "certificate": "gaussian_l2",
    "bound": "clopper_pearson",
    "alpha": 0.001,
    "n0": 100,
    "n": 1000,
    "block": 100,
    "seed": 7,
    "subset": "all",
    "data_fingerprint": "ab" * 32,
    "device": "cpu",
}


# Of a base classifier that `radii train` made; its seed and the hash of its weights differ.
TRAINED: Mapping[str, Any] = {
    "base_training": {"architecture": "lenet", "objective": "gaussian", "epochs": 3},
    "base_seed": 0,
    "base_sha256": "00" * 32,
}


def row(index: int, radius: float = 1.0, *, label: int = 0, prediction: int | None = 0) -> Row:
    """An input certified right within `radius`, unless another prediction is given."""
    top = 500 if prediction is None else 990
    return Row(
        index=index,
        label=label,
        prediction=prediction,
        radius=radius,
        pA_lower=0.45 if prediction is None else 0.98,
        pB_upper=0.55 if prediction is None else 0.02,
        n0_votes={0: 90, 1: 10},
        n_votes={prediction or 0: top, 2: 1000 - top},
        samples=1100,
        seconds=0.25,
    )


def abstained(index: int) -> Row:
    return row(index, 0.0, prediction=None)


def wrong(index: int, radius: float = 1.0) -> Row:
    return row(index, radius, label=0, prediction=1)


def soft(index: int, radius: float = 0.5) -> Row:
    """An input with soft votes: sums of scores, and of their squares."""
    return replace(
        row(index, radius),
        n0_votes={0: 0.1 + 0.2, 1: 99.7},
        n0_squares={0: 5e-324, 1: 99.5},
        n_votes={0: 987.6543210987654, 2: 12.345678901234567},
        n_squares={0: 980.1, 2: 1 / 3},
    )


def write(path: Path, rows: Iterable[Row], **changes: Any) -> Path:
    """A ledger of as many inputs as its data set has, unless `data_examples` says more."""
    rows = list(rows)
    spec = {**SPEC, "data_examples": len(rows), **changes}
    with LedgerWriter(path, {k: v for k, v in spec.items() if v is not None}, {}) as ledger:
        ledger.add(rows)
    return path


def sweep(folder: Path, rows: Iterable[Iterable[Row]], **changes: Any) -> list[Path]:
    """A ledger for each list of rows, of base classifiers that differ in their seed."""
    folder.mkdir(exist_ok=True)
    return [
        write(
            folder / f"seed-{seed}",
            each,
            **{**TRAINED, "base_seed": seed, "base_sha256": f"{seed:064x}", "seed": 100 + seed}
            | changes,
        )
        for seed, each in enumerate(rows)
    ]


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A program in a process of its own, which finds the modules that this process finds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
