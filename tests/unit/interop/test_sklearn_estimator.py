"""The smoothed classifier as an estimator of scikit-learn."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

sklearn: Any = pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.base import BaseEstimator, ClassifierMixin, clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from radii.errors import BaseClassifierError  # noqa: E402
from radii.interop import SmoothedEstimator  # noqa: E402
from radii.interop.sklearn_estimator import AbstainedError  # noqa: E402
from radii.noise import Gaussian, Laplace  # noqa: E402

SIGMA = 0.5


def blobs(many: int = 200) -> tuple[Any, Any]:
    generator = np.random.default_rng(3)
    y = generator.integers(2, size=many)
    return generator.normal(size=(many, 2)) * 0.3 + 2.0 * y[:, None], np.array(["no", "yes"])[y]


def fitted(**more: Any) -> Any:
    given = {"noise": Gaussian(SIGMA), "random_state": 0, "n": 300} | more
    return SmoothedEstimator(**given).fit(*blobs())


@pytest.mark.parametrize("abstain", ["top", pytest.param("raise", marks=pytest.mark.slow)])
def test_the_checks_of_scikit_learn(abstain: Any) -> None:
    """All of them pass; where abstentions raise, what fails does so for that reason alone."""
    estimator = SmoothedEstimator(n=50, copies=2, abstain=abstain, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 30
    failed = [each["exception"] for each in results if each["status"] == "failed"]
    if abstain == "top":
        assert failed == []
    else:
        assert {type(error) for error in failed} == {AbstainedError}


def test_radii_are_distances_to_the_plane_at_most() -> None:
    estimator = fitted(n=2_000)
    x, y = blobs(60)
    radii = estimator.certify(x)
    inner = estimator.estimator_
    plane = np.abs(inner.decision_function(x.astype(np.float32))) / np.linalg.norm(inner.coef_)
    assert (radii <= plane).all()  # the smoothed classifier of a plane has the same plane
    assert np.median(radii / plane) > 0.6
    labels = [estimator.classes_[each.prediction] for each in estimator.certifications(x)]
    assert np.mean(np.array(labels) == y) == 1
    laplace = fitted(noise=Laplace(0.5))
    assert laplace.certify(x, norm="l1").max() > 0


def test_what_predict_does_with_abstentions() -> None:
    estimator = fitted()
    inner = estimator.estimator_
    (w,), (b,) = inner.coef_, inner.intercept_
    on_the_plane = -b * w / (w @ w)
    x = np.array([on_the_plane, [2.0, 2.0]])
    with pytest.raises(AbstainedError, match=r"1 of 2 inputs .* the first at position 0: raise n"):
        estimator.predict(x)
    assert estimator.predict(x[1:]).tolist() == ["yes"]
    estimator.set_params(abstain="label", abstain_label="neither")
    assert estimator.predict(x).tolist() == ["neither", "yes"]
    estimator.set_params(abstain_label=-1)
    with pytest.raises(ValueError, match=r"abstain_label must be a label like the classes .* -1"):
        estimator.predict(x[1:])  # before anything abstains
    estimator.set_params(abstain="nothing")
    with pytest.raises(ValueError, match="abstain must be one of raise, top, label"):
        estimator.predict(x[1:])
    estimator.set_params(abstain="top")
    assert estimator.predict(x).tolist()[1] == "yes"
    assert estimator.certify(x)[0] == 0
    shares = estimator.predict_proba(x)
    assert shares.shape == (2, 2)
    assert abs(shares[0, 0] - 0.5) < 0.15
    assert shares[1, 1] > 0.95


@pytest.mark.parametrize("label", [-1, None, float("nan")])
def test_classes_stay_what_they_are_beside_the_label_of_an_abstention(label: object) -> None:
    x, y = blobs()
    estimator = SmoothedEstimator(n=100, copies=2, abstain="label", random_state=0)
    numbers = np.where(y == "yes", 1, 0)
    estimator.fit(x, numbers)
    estimator.set_params(abstain_label=label)
    far = np.array([[2.0, 2.0], [-2.0, -2.0]])
    assert estimator.predict(far).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"abstain_label must be a label like the classes \(int64"):
        estimator.set_params(abstain_label="?").fit(x, numbers)


class Above(ClassifierMixin, BaseEstimator):
    """Class 1 above a threshold of the first feature."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at

    def fit(self, x: Any, y: Any) -> Above:
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: Any) -> Any:
        return (np.asarray(x)[:, 0] > self.at).astype(int)


def test_radii_are_about_the_input_and_not_about_what_float32_makes_of_it() -> None:
    estimator = SmoothedEstimator(Above(2.0**24 + 1), noise=Gaussian(0.25), random_state=0)
    estimator.fit(np.array([[0.0], [2.0**25]]), [0, 1])
    # float32 holds the even ones of these: the first is rounded by 1, the second by 1/2.
    below, above, even = (estimator.certifications([[2.0**24 + off]])[0] for off in (1.0, 1.5, 0.0))
    assert even.prediction == 0
    assert 0.5 < even.radius < 1
    assert (below.prediction, below.radius) == (None, 0)
    assert above.prediction == 1
    assert 0 < above.radius < 0.25
    assert estimator.certify([[2.0**24 + 1.5]])[0] == above.radius


def test_an_answer_does_not_depend_on_what_else_is_asked() -> None:
    estimator = fitted(abstain="top")
    x, _ = blobs(20)
    shares = estimator.predict_proba(x)
    np.testing.assert_array_equal(estimator.predict_proba(x[::-1]), shares[::-1])
    np.testing.assert_array_equal(estimator.predict_proba(x[[3, 3]]), shares[[3, 3]])
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.predict_proba(x), shares)
    np.testing.assert_array_equal(fitted().predict_proba(x), shares)
    other = fitted(random_state=1).predict_proba(x)
    assert not np.array_equal(other, shares)


def test_zero_has_no_sign() -> None:
    estimator = fitted(abstain="top")
    shares = estimator.predict_proba([[0.0, 1.0], [-0.0, 1.0]])
    np.testing.assert_array_equal(shares[0], shares[1])


def test_what_is_no_classifier_is_refused() -> None:
    x, _ = blobs()
    message = "estimator must be a classifier, got LinearRegression"
    with pytest.raises(ValueError, match=message):
        SmoothedEstimator(LinearRegression()).fit(x, np.arange(len(x)) % 2)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert SmoothedEstimator(pipeline, copies=2).fit(*blobs()).estimator_ is not pipeline


@pytest.mark.parametrize("answer", [0.5, float("nan"), "1"])
def test_answers_that_are_no_classes_are_refused(answer: object) -> None:
    class Odd(LogisticRegression):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:  # noqa: N803
            return np.full(len(X), answer)

    estimator = fitted(estimator=Odd(), n=100)
    with pytest.raises(BaseClassifierError, match="must answer the classes it was trained on, who"):
        estimator.predict([[2.0, 2.0]])


@pytest.mark.parametrize("kind", [float, bool, object])
def test_classes_may_come_as_numbers_of_another_type(kind: type) -> None:
    class Odd(LogisticRegression):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:  # noqa: N803
            return super().predict(X).astype(kind)

    assert fitted(estimator=Odd()).predict([[2.0, 2.0], [0, 0]]).tolist() == ["yes", "no"]


def test_parameters_are_those_of_scikit_learn() -> None:
    tree = DecisionTreeClassifier(max_depth=2)
    estimator = SmoothedEstimator(tree, noise=Gaussian(0.1), n=50)
    copy = clone(estimator)
    assert copy.estimator is not tree
    assert copy.get_params()["estimator__max_depth"] == 2
    assert copy.set_params(estimator__max_depth=3).estimator.max_depth == 3
    copy.fit(*blobs())
    assert not hasattr(copy.estimator, "tree_")  # a clone of it was fitted
    with pytest.raises(NotFittedError):
        estimator.predict([[0.0, 0.0]])


def test_it_works_with_the_tools_of_scikit_learn() -> None:
    x, y = blobs(80)
    smoothed = SmoothedEstimator(
        LogisticRegression(), n=100, copies=2, abstain="label", abstain_label="?", random_state=0
    )
    assert cross_val_score(make_pipeline(StandardScaler(), smoothed), x, y, cv=3).mean() > 0.9
    search = GridSearchCV(smoothed, {"noise": [Gaussian(0.1), Gaussian(20.0)]}, cv=2).fit(x, y)
    assert search.best_params_ == {"noise": Gaussian(0.1)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"abstain": "no"}, "abstain must be one of raise, top, label, got 'no'"),
        ({"copies": 0}, "copies must be at least 1, got 0"),
        ({"abstain": "label", "abstain_label": "no"}, "abstain_label must be no class, got 'no'"),
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(**given)
