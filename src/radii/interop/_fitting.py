"""Noisy copies to train on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from radii.noise import Generators, Noise, Stream


def noisy_copies(
    x: npt.NDArray[Any], noise: Noise, copies: int, seed: int
) -> npt.NDArray[np.float32]:
    """`(inputs, features)` to `(copies * inputs, features)`, copy after copy, with noise."""
    rows = torch.tensor(x, dtype=torch.float32)
    generators = Generators(rows.device)
    parts = [
        noise.at(rows, Stream(seed, 0, "training", block), generators) for block in range(copies)
    ]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)
