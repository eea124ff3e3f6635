"""The worst of several perturbations, for each input on its own."""

from __future__ import annotations

import torch
from torch import Tensor

from radii.attacks.base import Model, losses_of


class Worst:
    """Keeps each input's worst perturbation.

    One that the model gets wrong is worse than one that it gets right; then one with a larger loss
    is; of equals the last seen is kept, for a loss may round to 0 where it still has a gradient.

    Args:
        model: Whose losses count; see `Attack.search`.
        y: `(batch,)` int64. Labels.
    """

    delta: Tensor  # `(batch, *shape)`, once one was seen

    def __init__(self, model: Model, y: Tensor) -> None:
        self._model, self._y = model, y
        self._wrong: Tensor | None = None
        self._losses: Tensor

    @torch.no_grad()
    def see(self, delta: Tensor, scores: Tensor) -> None:
        """Compares with what was seen before.

        Args:
            delta: `(batch, *shape)`. Perturbations; not to be changed in place afterwards.
            scores: `(batch, num_classes)`. The model's, of the perturbed inputs.
        """
        losses = losses_of(self._model, scores, self._y)
        wrong = scores.argmax(1) != self._y
        if self._wrong is None:
            self.delta, self._wrong, self._losses = delta, wrong, losses
            return
        larger = losses >= self._losses
        worse = (wrong & ~self._wrong) | ((wrong == self._wrong) & larger)
        rows = worse.reshape(-1, *(1,) * (delta.ndim - 1))
        self.delta = torch.where(rows, delta, self.delta)
        self._losses = torch.where(worse, losses, self._losses)
        self._wrong = self._wrong | wrong
