"""Fitted estimators of scikit-learn, and of whatever has its methods."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from radii.errors import BaseClassifierError
from radii.models.functions import Array


class ScikitLearn:
    """A base classifier made of a fitted estimator with the methods of scikit-learn.

    Inputs of any shape are flattened to `(rows, features)`. The scores are those of
    `predict_proba`, where the estimator has it. Otherwise it answers labels, those of `predict`.
    Class i is `classes_[i]` in both, so the labels of the data must be numbered in that order. The
    estimator is used as it is, and scikit-learn itself is not imported.

    Args:
        estimator: It has been fitted.

    Raises:
        BaseClassifierError: If it is no classifier, or has not been fitted.
    """

    def __init__(self, estimator: Any) -> None:
        name = type(estimator).__name__
        if not hasattr(estimator, "predict_proba") and not hasattr(estimator, "predict"):
            raise BaseClassifierError(
                f"an estimator must have the method predict or predict_proba, got {name}"
            )
        if not _is_fitted(estimator):
            raise BaseClassifierError(
                f"an estimator must be fitted, and this {name} is not; call fit() first."
            )
        classes = np.asarray(getattr(estimator, "classes_", None), dtype=object)
        if classes.ndim != 1 or len(classes) < 2 or np.ndim(classes[0]):
            raise BaseClassifierError(
                f"an estimator must have at least 2 classes of one output in classes_, and "
                f"{name} has not; give a classifier."
            )
        self.estimator = estimator
        self.classes: tuple[Any, ...] = tuple(classes.tolist())
        self.features: int | None = getattr(estimator, "n_features_in_", None)

    @property
    def num_classes(self) -> int:
        """How many classes it tells apart."""
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What `classes_` calls them."""
        return tuple(map(str, self.classes))

    def __call__(self, x: Tensor) -> Tensor:
        """Scores `(rows, num_classes)` or labels `(rows,)` of `(rows, *shape)`, on the CPU."""
        rows = x.detach().to("cpu", torch.float32).flatten(1).numpy().copy()
        if self.features not in (None, rows.shape[1]):
            raise BaseClassifierError(
                f"inputs must have {self.features} features, with which the estimator was fitted, "
                f"got {rows.shape[1]}, of shape {tuple(x.shape[1:])}."
            )
        with warnings.catch_warnings():  # those who fitted on a table with names are told so
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return torch.from_numpy(self._answered(rows))

    def _answered(self, rows: Array) -> Array:
        if not hasattr(self.estimator, "predict_proba"):
            places = {label: place for place, label in enumerate(self.classes)}
            answers = np.asarray(self.estimator.predict(rows), dtype=object).tolist()
            return np.array([places.get(label, -1) for label in answers], dtype=np.int64)
        scores = np.asarray(self.estimator.predict_proba(rows))
        if scores.shape != (len(rows), self.num_classes):
            raise BaseClassifierError(
                f"predict_proba must answer one score for each of {self.num_classes} classes, got "
                f"the shape {scores.shape} for {len(rows)} rows."
            )
        return scores.astype(np.float64)


def is_estimator(found: object) -> bool:
    """Whether an object has the methods of an estimator and is not a function on batches."""
    has_method = hasattr(found, "predict") or hasattr(found, "predict_proba")
    taken = callable(found) and not hasattr(found, "classes_")
    return (
        has_method and not taken and not isinstance(found, type) and not hasattr(found, "forward")
    )


def _is_fitted(estimator: Any) -> bool:
    """As `check_is_fitted` of scikit-learn decides it."""
    if hasattr(estimator, "__sklearn_is_fitted__"):
        return bool(estimator.__sklearn_is_fitted__())
    names = vars(estimator) if hasattr(estimator, "__dict__") else dir(estimator)  # or __slots__
    return any(
        name.endswith("_") and not name.startswith("__") and hasattr(estimator, name)
        for name in names
    )
