"""The smoothed classifier as an estimator of scikit-learn."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.errors import BaseClassifierError, RadiiError
from radii.extras import imported
from radii.interop._fitting import noisy_copies
from radii.noise import Gaussian, Noise
from radii.records import Certification, FloatArray, IntArray, Norm, Prediction
from radii.smoothing import SamplingPlan, SmoothedClassifier

_base = imported("sklearn.base", "sklearn")
_ClassifierMixin: Any = _base.ClassifierMixin
_BaseEstimator: Any = _base.BaseEstimator
Array = npt.NDArray[Any]
_ORDERS: dict[Norm, float] = {"l1": 1, "l2": 2, "linf": math.inf}


class AbstainedError(RadiiError):
    """A prediction of labels where the smoothed classifier abstains."""


class SmoothedEstimator(_ClassifierMixin, _BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier, smoothed: it predicts labels, shares of votes and radii.

    `fit` trains a clone of the classifier on noisy copies of the inputs; the smoothed classifier
    answers the class that this clone answers most often under the noise. The features must be in
    one unit, that of the noise: scale them before, as by a `Pipeline`. The radii are then about
    scaled features.

    The noise that an input meets depends on `random_state` and the input alone. So a prediction
    does not depend on what else is asked, and the same input gets the same answer.

    Args:
        estimator: The classifier to smooth; None takes `LogisticRegression`. It is cloned.
        noise: The smoothing distribution; None takes `Gaussian(sigma=0.5)`.
        n: Draws for a prediction, and for a certificate after selection.
        n0: Draws that select the class of a certificate.
        alpha: Probability that what is said about one input is wrong.
        copies: Noisy copies of each input in training.
        abstain: What `predict` does with an input whose top two classes cannot be told apart:
            "raise" an `AbstainedError`, answer the "top" class although nothing is promised of it,
            or answer the `abstain_label`.
        abstain_label: Stands for abstentions where `abstain` is "label"; no class may have it.
        random_state: An int, a `RandomState` or None, as everywhere in scikit-learn.

    Attributes:
        classes_: The labels.
        estimator_: The classifier trained on noisy copies.
        smoothed_: The smoothed classifier, whose classes are positions in `classes_`.
        n_features_in_: How many features an input has.
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        noise: Noise | None = None,
        n: int = 1_000,
        n0: int = 100,
        alpha: float = 0.001,
        copies: int = 10,
        abstain: Literal["raise", "top", "label"] = "raise",
        abstain_label: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.noise = noise
        self.n = n
        self.n0 = n0
        self.alpha = alpha
        self.copies = copies
        self.abstain = abstain
        self.abstain_label = abstain_label
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn calls it X
        """Trains a clone of the classifier on noisy copies.

        Args:
            X: `(inputs, features)`.
            y: `(inputs,)` labels.

        Raises:
            ValueError: If a parameter or the data is wrong.
        """
        if self.copies < 1:
            raise ValueError(f"copies must be at least 1, got {self.copies!r}")
        x, y = _module("utils.validation").validate_data(self, X, y)
        _module("utils.multiclass").check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least 2 classes, got 1 class: {self.classes_[0]!r}")
        self._labels_with_abstention()
        noise = Gaussian(sigma=0.5) if self.noise is None else self.noise
        state = _module("utils").check_random_state(self.random_state)
        self.seed_ = int(state.randint(2**31 - 1))
        inner = self.estimator
        if inner is None:
            inner = _module("linear_model").LogisticRegression(max_iter=1_000)
        if not _base.is_classifier(inner):
            raise ValueError(f"estimator must be a classifier, got {type(inner).__name__}")
        self.estimator_ = _base.clone(inner)
        self.estimator_.fit(
            noisy_copies(x, noise, self.copies, self.seed_), np.tile(codes, self.copies)
        )
        self.smoothed_ = SmoothedClassifier(
            self._labels, noise, len(self.classes_), input_shape=(x.shape[1],)
        )
        return self

    def predict(self, X: Any) -> Array:  # noqa: N803
        """`(inputs,)` labels; see the argument `abstain`.

        Raises:
            AbstainedError: If the smoothed classifier abstains and `abstain` is "raise".
            PlanError: If n draws could never give an answer at this alpha.
            ValueError: If `abstain` or `abstain_label` was set wrongly after `fit`.
        """
        _module("utils.validation").check_is_fitted(self)
        answers = self._labels_with_abstention()
        results = self._predictions(X)
        codes = np.array([int(each.counts.top) for each in results], dtype=np.intp)
        silent = np.array([each.prediction is None for each in results], dtype=bool)
        if self.abstain == "raise" and silent.any():
            raise AbstainedError(
                f"{int(silent.sum())} of {len(silent)} inputs have no class that can be told from "
                f"the next at n={self.n}, the first at position {int(silent.argmax())}: raise n, "
                f"or take abstain='label'."
            )
        if self.abstain == "label":
            codes[silent] = len(self.classes_)
        return np.asarray(answers[codes])

    def predict_proba(self, X: Any) -> FloatArray:  # noqa: N803
        """`(inputs, classes)` shares of the votes: estimates, of which nothing is promised."""
        votes = np.array([each.counts.votes for each in self._predictions(X)])
        return np.asarray(votes / votes.sum(axis=1, keepdims=True))

    def certify(self, X: Any, *, norm: Norm = "l2", certificate: str | None = None) -> FloatArray:  # noqa: N803
        """`(inputs,)` radii within which the label stays the certified one; 0 where it abstains.

        The label certified is in `certifications`.
        """
        found = self.certifications(X, norm=norm, certificate=certificate)
        return np.array([each.radius for each in found])

    def certifications(
        self,
        X: Any,  # noqa: N803
        *,
        norm: Norm = "l2",
        certificate: str | None = None,
    ) -> list[Certification]:
        """What is certified of each input; a prediction is a position in `classes_`.

        The smoothed classifier sees inputs rounded to float32. What is certified of the rounded one
        holds of the input itself within a radius smaller by how far it was moved.
        """
        inputs, indices = self._asked(X)
        plan = SamplingPlan(n0=self.n0, n=self.n, alpha=self.alpha, seed=self.seed_)
        each = self.smoothed_.certify_each(inputs, plan, norm=norm, certificate=certificate)
        found = dict(each)
        rows = np.asarray(
            _module("utils.validation").validate_data(self, X, reset=False), np.float64
        )
        moved = np.linalg.norm(rows - rows.astype(np.float32), _ORDERS[norm], axis=1)
        return [
            _nearer(found[index], by) for index, by in zip(indices, moved.tolist(), strict=True)
        ]

    def _labels_with_abstention(self) -> Array:
        """What `predict` may answer: the classes, and after them the label of an abstention."""
        if self.abstain not in ("raise", "top", "label"):
            raise ValueError(f"abstain must be one of raise, top, label, got {self.abstain!r}")
        if self.abstain != "label":
            return np.asarray(self.classes_)
        label = self.abstain_label
        if label in self.classes_.tolist():
            raise ValueError(f"abstain_label must be no class, got {label!r}")
        answers = np.append(self.classes_, np.asarray(label))
        *classes, last = answers.tolist()
        is_nan = last != last and label != label
        if classes != self.classes_.tolist() or not (is_nan or last == label):
            raise ValueError(
                f"abstain_label must be a label like the classes ({self.classes_.dtype}) or None, "
                f"got {label!r}"
            )
        return answers

    def _predictions(self, X: Any) -> list[Prediction]:  # noqa: N803
        inputs, indices = self._asked(X)
        found = dict(self.smoothed_.predict_each(inputs, self.n, self.alpha, seed=self.seed_))
        return [found[index] for index in indices]

    def _asked(self, X: Any) -> tuple[list[tuple[int, Tensor]], list[int]]:  # noqa: N803
        """Each different input once, named by its content, and the names in order."""
        _module("utils.validation").check_is_fitted(self)
        rows = _module("utils.validation").validate_data(self, X, reset=False)
        x = torch.from_numpy(np.array(rows, dtype=np.float32))
        indices = [_named(row) for row in x.numpy()]
        return [*dict(zip(indices, x, strict=True)).items()], indices

    def _labels(self, x: Tensor) -> IntArray:
        """The base classifier: positions in `classes_`."""
        found = np.asarray(self.estimator_.predict(x.numpy()))
        with np.errstate(invalid="ignore"):  # NaN is refused with the rest
            codes = found.astype(np.int64) if found.dtype.kind in "biufO" else None
        if codes is None or not np.array_equal(codes, found):
            raise BaseClassifierError(
                f"the estimator must answer the classes it was trained on, whole numbers below "
                f"{len(self.classes_)}, got {found.dtype} such as {found.ravel()[:3].tolist()!r}"
            )
        return codes


def _nearer(certification: Certification, by: float) -> Certification:
    """What a certification says of a point that is so far away."""
    if by == 0 or certification.prediction is None:
        return certification
    radius = math.nextafter(certification.radius - by * (1 + 2.0**-40), 0.0)
    if radius <= 0:
        return replace(certification, prediction=None, radius=0.0)
    return replace(certification, radius=radius)


def _named(row: Array) -> int:
    digest = hashlib.shake_128((row + 0.0).tobytes()).digest(8)  # -0.0 is the input that 0.0 is
    return int.from_bytes(digest, "little") >> 1


def _module(name: str) -> Any:
    return imported(f"sklearn.{name}", "sklearn")
