"""The smoothed classifier as an estimator of ART."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from radii.errors import RadiiError
from radii.interop import to_art
from tests.unit.interop.planes import (
    BASE,
    BOUNDS,
    EPSILON,
    SHAPE,
    SMOOTHED,
    fooled,
    inputs,
    start,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
art: Any = pytest.importorskip("art", reason="needs adversarial-robustness-toolbox")


def modules() -> tuple[Any, Any]:
    import art.attacks.evasion as evasion
    import art.estimators.classification as classification

    return evasion, classification


def exported(**more: Any) -> Any:
    return to_art(SMOOTHED, clip_values=BOUNDS, generator=start(), **more)


def test_it_is_a_classifier_with_gradients() -> None:
    from art.estimators import BaseEstimator, LossGradientsMixin
    from art.estimators.classification import ClassGradientsMixin, ClassifierMixin

    evasion, _ = modules()
    classifier = exported()
    for kind in (BaseEstimator, ClassifierMixin, LossGradientsMixin, ClassGradientsMixin):
        assert isinstance(classifier, kind)
    assert (classifier.nb_classes, classifier.input_shape) == (2, SHAPE)
    assert classifier.clip_values == pytest.approx(BOUNDS)
    white_box = (
        *("ProjectedGradientDescent", "FastGradientMethod", "BasicIterativeMethod", "DeepFool"),
        *("CarliniL2Method", "AutoAttack", "NewtonFool", "SaliencyMapMethod"),
    )
    for name in white_box:  # each checks what it needs of a classifier
        attack = getattr(evasion, name)
        assert attack.is_estimator_valid(classifier, attack._estimator_requirements)


def test_it_answers_mean_probabilities() -> None:
    x, y = inputs()
    found = exported().predict(x.numpy(), batch_size=7)
    from art.utils import is_probability_array

    assert is_probability_array(found)
    assert found.dtype == np.float32
    delta = SMOOTHED.soft(torch.zeros(1, *SHAPE), 64, generator=start()).delta[:, 0]
    with torch.no_grad():
        expected = BASE((x + delta[:, None]).flatten(0, 1)).softmax(1).view(64, -1, 2).mean(0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found.argmax(1) == y.numpy()).all()
    assert np.median(found.max(1)) < 0.999  # at a distance of 0.55 to 0.9, with sigma 0.5
    np.testing.assert_array_equal(exported().predict(x.numpy()[3:4]), found[3:4])


def test_gradients_are_those_of_what_it_answers() -> None:
    classifier = exported(draws=256)
    x = inputs(6)[0].numpy().astype(np.float64)
    y = np.array([0, 1, 0, 1, 1, 1])
    one_hot = np.eye(2)[y]
    gradient = classifier.loss_gradient(x, y)
    np.testing.assert_allclose(classifier.loss_gradient(x, one_hot), gradient, rtol=1e-5)
    classes = classifier.class_gradient(x)
    assert classes.shape == (6, 2, *SHAPE)
    np.testing.assert_allclose(classifier.class_gradient(x, 1), classes[:, 1:], rtol=1e-5)
    chosen = classifier.class_gradient(x, y)
    np.testing.assert_allclose(chosen[:, 0], classes[np.arange(6), y], rtol=1e-5)
    p = classifier.predict(x)[np.arange(6), y]
    np.testing.assert_allclose(gradient, -chosen[:, 0] / p[:, None], rtol=1e-4)
    # the loss itself, by differences along the normal of the plane
    step = 1e-3 * BASE.normal.numpy()
    up, down = (classifier.compute_loss(x + sign * step, y) for sign in (1, -1))
    np.testing.assert_allclose((up - down) / 2e-3, gradient @ BASE.normal.numpy(), rtol=0.05)
    assert classifier.compute_loss(x, y, "mean") == pytest.approx(
        classifier.compute_loss(x, one_hot).mean()
    )


def test_pgd_follows_the_smoothed_gradient() -> None:
    evasion, classification = modules()
    x, y = inputs()
    base = classification.PyTorchClassifier(
        BASE, nn.CrossEntropyLoss(), SHAPE, 2, clip_values=BOUNDS, device_type="cpu"
    )
    rates = []
    for estimator in (exported(draws=256), base):
        attack = evasion.ProjectedGradientDescent(
            estimator, norm=2, eps=EPSILON, eps_step=EPSILON / 5, max_iter=15, verbose=False
        )
        found = torch.from_numpy(attack.generate(x.numpy(), y.numpy()))
        assert float((found - x).norm(dim=1).max()) <= EPSILON * 1.0001
        rates.append(fooled(found, y))
    assert fooled(x, y) == 0
    assert rates == [1.0, 0.0]  # the base classifier's gradient is zero


def test_other_attacks_of_art_run() -> None:
    evasion, _ = modules()
    x, y = inputs(8)
    logits = exported(draws=256, logits=True)
    np.testing.assert_allclose(np.exp(logits.predict(x)), exported(draws=256).predict(x), 1e-5)
    for attack in (
        evasion.FastGradientMethod(exported(draws=256), norm=2, eps=EPSILON),
        evasion.AutoProjectedGradientDescent(
            logits, norm=2, eps=EPSILON, eps_step=0.5, max_iter=10, nb_random_init=1, verbose=False
        ),
    ):
        found = torch.from_numpy(attack.generate(x.numpy(), np.eye(2, dtype=np.float32)[y]))
        assert float((found - x).norm(dim=1).max()) <= EPSILON * 1.0001
        assert fooled(found, y) >= 0.75
    nearest = evasion.DeepFool(logits, max_iter=30, epsilon=0.1, verbose=False).generate(x.numpy())
    assert (logits.predict(nearest).argmax(1) != y.numpy()).all()


def test_what_it_refuses() -> None:
    classifier = exported()
    with pytest.raises(RadiiError, match="not fitted"):
        classifier.fit(np.zeros((1, *SHAPE)), np.zeros(1))
    with pytest.raises(ValueError, match=r"label must be in \[0, 2\), got 2"):
        classifier.class_gradient(np.zeros((1, *SHAPE)), 2)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 8\), got \(1, 7\)"):
        classifier.predict(np.zeros((1, 7)))
    with pytest.raises(ValueError, match="reduction must be one of"):
        classifier.compute_loss(np.zeros((1, *SHAPE)), np.zeros(1, dtype=int), "all")


@pytest.mark.parametrize("shape", [(6, 1), (1, 2), (6, 3), (5,), (7,), ()])
def test_labels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    classifier, x = exported(draws=8), inputs(6)[0].numpy()
    for function in (classifier.compute_loss, classifier.loss_gradient):
        with pytest.raises(ValueError, match=r"y must have the shape \(6,\), .* or \(6, 2\)"):
            function(x, np.zeros(shape, dtype=np.int64))
