"""The class behind `to_art`; importing it needs ART."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.errors import RadiiError
from radii.extras import imported
from radii.interop.torch_module import SmoothedModule

_Classifier: Any = imported(
    "art.estimators.classification.classifier", "art"
).ClassifierClassLossGradients
Array = npt.NDArray[Any]


class SmoothedArtClassifier(_Classifier):  # type: ignore[misc]
    """What `to_art` makes.

    Args:
        module: Logs of mean probabilities.
        clip_values: The smallest and the largest value of a coordinate, or None.
        logits: Whether it answers these logs, or the probabilities.
    """

    def __init__(
        self, module: SmoothedModule, clip_values: tuple[float, float] | None, logits: bool
    ) -> None:
        super().__init__(model=module, clip_values=clip_values, preprocessing=None)
        self.nb_classes = module.num_classes
        self._logits = logits

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        shape: tuple[int, ...] = self.model.input_shape
        return shape

    def predict(self, x: Array, batch_size: int = 128, **kwargs: Any) -> Array:
        """Mean probabilities or their logs: `(inputs, num_classes)` float32."""
        x, _ = self._apply_preprocessing(np.asarray(x), y=None, fit=False)
        with torch.no_grad():
            parts = torch.split(self._tensor(x), batch_size)
            return _array(torch.cat([self._answers(part) for part in parts]))

    def compute_loss(self, x: Array, y: Array, reduction: str = "none", **kwargs: Any) -> Array:
        """The cross entropy of the mean probabilities.

        Args:
            x: `(inputs, *shape)`.
            y: `(inputs,)` labels or `(inputs, num_classes)` weights of the classes.
            reduction: "none", "mean" or "sum" over the inputs.
            kwargs: Unused; the interface has it.

        Raises:
            ValueError: If `reduction` is another, or `y` has another shape.
        """
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"reduction must be one of none, mean, sum, got {reduction!r}")
        x, y = self._apply_preprocessing(np.asarray(x), y=y, fit=False)
        with torch.no_grad():
            losses = _array(self._losses(self._tensor(x), y))
        return losses if reduction == "none" else np.asarray(getattr(losses, reduction)())

    def loss_gradient(self, x: Array, y: Array, **kwargs: Any) -> Array:
        """The gradient of each input's own loss; see `compute_loss`."""
        changed, y = self._apply_preprocessing(np.asarray(x), y=y, fit=False)
        leaf = self._tensor(changed).requires_grad_()
        (found,) = torch.autograd.grad(self._losses(leaf, y).sum(), [leaf])
        gradient: Array = self._apply_preprocessing_gradient(x, _array(found))
        return gradient

    def class_gradient(
        self, x: Array, label: int | list[int] | Array | None = None, **kwargs: Any
    ) -> Array:
        """The gradients of what `predict` answers.

        Args:
            x: `(inputs, *shape)`.
            label: Of which class: one for all inputs, one an input, or None for every class.
            kwargs: Unused; the interface has it.

        Returns:
            `(inputs, num_classes, *shape)`, or `(inputs, 1, *shape)` if there is a label.
        """
        changed, _ = self._apply_preprocessing(np.asarray(x), y=None, fit=False)
        leaf = self._tensor(changed).requires_grad_()
        classes = np.arange(self.nb_classes) if label is None else np.asarray(label)
        if np.any((classes < 0) | (classes >= self.nb_classes)):
            raise ValueError(f"label must be in [0, {self.nb_classes}), got {label!r}")
        columns = (
            [np.full(len(leaf), each) for each in classes]
            if label is None
            else [np.broadcast_to(classes, (len(leaf),))]
        )
        answers = self._answers(leaf)
        gradients = []
        for column in columns:
            chosen = answers.gather(1, torch.tensor(column, device=answers.device)[:, None])
            (found,) = torch.autograd.grad(chosen.sum(), [leaf], retain_graph=True)
            gradients.append(self._apply_preprocessing_gradient(x, _array(found)))
        return np.stack(gradients, axis=1)

    def fit(self, x: Array, y: Array, **kwargs: Any) -> None:
        """Refuses: the base classifier is trained before it is smoothed."""
        raise RadiiError(
            "a smoothed classifier is not fitted: train its base classifier, as by `radii train`, "
            "and export it again."
        )

    def _losses(self, x: Tensor, y: Array) -> Tensor:
        scores: Tensor = self.model(x)
        given = torch.as_tensor(np.asarray(y), device=scores.device)
        if given.shape == scores.shape[:1]:
            return -scores.gather(1, given.to(torch.int64)[:, None])[:, 0]
        if given.shape != scores.shape:
            raise ValueError(
                f"y must have the shape ({len(scores)},), of labels, or {tuple(scores.shape)}, of "
                f"weights of the classes, got {tuple(given.shape)}"
            )
        return -(given.to(scores.dtype) * scores).sum(1)

    def _answers(self, x: Tensor) -> Tensor:
        logs: Tensor = self.model(x)
        return logs if self._logits else logs.exp()

    def _tensor(self, x: Array) -> Tensor:
        return torch.tensor(x, dtype=torch.float32, device=self.model.delta.device)


def _array(x: Tensor) -> Array:
    return x.detach().cpu().numpy().astype(np.float32)
