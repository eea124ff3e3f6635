"""A base classifier whose smoothed answer and exact radius are known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr
from torch import Tensor


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """Class 1 where `w . x + b > 0`, else class 0.

    Under `N(0, sigma^2 I)` noise the score is normal with mean `w . x + b` and standard deviation
    `sigma ||w||`, so the smoothed classifier has the same boundary and its l2 radius is the
    distance to it. It is the worst classifier of Cohen et al. 2019, arXiv:1902.02918, Theorem 2.

    Attributes:
        w: `(d,)` float64, not zero.
        b: Offset.
    """

    w: Tensor
    b: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """`(rows,)` int64 labels of `(rows, d)` inputs."""
        return (x.double() @ self.w + self.b > 0).long()

    def distance(self, x: Tensor) -> npt.NDArray[np.float64]:
        """`(rows,)` signed distances from the boundary, positive in class 1."""
        scores = x.double() @ self.w + self.b
        return np.asarray(scores / torch.linalg.vector_norm(self.w))

    def smoothed_probability(self, x: Tensor, sigma: float) -> npt.NDArray[np.float64]:
        """`(rows,)` probabilities of class 1 under Gaussian noise."""
        return np.asarray(ndtr(self.distance(x) / sigma))

    def exact_radius(self, x: Tensor) -> npt.NDArray[np.float64]:
        """`(rows,)` l2 radii within which the smoothed classifier keeps its answer."""
        return np.abs(self.distance(x))
