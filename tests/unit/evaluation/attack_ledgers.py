"""Small ledgers of attacks, written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.evaluation import AttackLedgerWriter, AttackRow

BASE = "cd" * 32  # hash of the base classifier of pairs

SPEC: Mapping[str, Any] = {
    "attack": "ddn",
    "norm": "l2",
    "minimal": True,
    "estimator": "plug_in",
    "draws": 64,
    "fresh": False,
    "n": 1000,
    "alpha": 0.001,
    "noise": "gaussian:sigma=0.5",
    "seed": 7,
    "keep": True,
    "subset": "all",
    "data_fingerprint": "ab" * 32,
    "input_shape": [1, 2, 2],
    "base_sha256": BASE,
    "precision": "float32",
    "device": "cpu",
}


def hit(
    index: int,
    norm: float = 1.0,
    prediction: int | None = 1,
    *,
    clean: int | None = 0,
    x: npt.NDArray[np.float32] | None = None,
) -> AttackRow:
    """An input of class 0 and the answer at a perturbation of that l2 norm; l1 twice, linf half."""
    return AttackRow(
        index=index,
        label=0,
        clean=clean,
        prediction=prediction,
        clean_votes={0: 990, 1: 10},
        votes={0: 100, 1: 900},
        l1=2 * norm,
        l2=norm,
        linf=norm / 2,
        queries=20,
        samples=2000,
        seconds=0.5,
        facts={"scale": 1.0},
        x=x,
    )


def kept(index: int, norm: float = 1.0) -> AttackRow:
    """An input that was not broken."""
    return hit(index, norm, 0)


def write_attack(path: Path, rows: Iterable[AttackRow], **changes: Any) -> Path:
    """A ledger of as many inputs as its data set has, unless `data_examples` says more."""
    rows = list(rows)
    spec = {**SPEC, "data_examples": len(rows), **changes}
    with AttackLedgerWriter(path, {k: v for k, v in spec.items() if v is not None}, {}) as ledger:
        ledger.add(rows)
    return path
