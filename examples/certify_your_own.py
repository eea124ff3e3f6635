"""Certifies a classifier of your own: any function on a batch will do.

python examples/certify_your_own.py
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import radii


def inside_the_circle(x: Tensor) -> Tensor:
    """Labels `(batch,)` of points `(batch, 2)`: 1 inside the unit circle, 0 outside."""
    return (x.square().sum(1) < 1).long()


def main() -> None:
    """Certifies three points, and says what that means."""
    smoothed = radii.SmoothedClassifier(inside_the_circle, radii.Gaussian(sigma=0.1), num_classes=2)
    points = np.array([[0.0, 0.0], [0.6, 0.6], [0.71, 0.71]], dtype=np.float32)
    results = smoothed.certify(torch.from_numpy(points), radii.SamplingPlan(n=10_000, seed=0))
    assert isinstance(results, list)  # one result a point; a single point gives a single result
    for point, result in zip(points, results, strict=True):
        where = f"({point[0]:.2f}, {point[1]:.2f})"
        if result.prediction is None:
            print(f"{where}: no class is certified")
        else:
            print(f"{where}: class {result.prediction} within {result.radius}")


if __name__ == "__main__":
    main()
