import numpy as np
import pytest
import torch

import radii
from radii.errors import BaseClassifierError
from radii.models import ScikitLearn, check_answers, load_base
from radii.models.estimators import is_estimator
from radii.noise import Gaussian


class Threshold:
    """An estimator by its methods alone."""

    def __init__(self, names=("cat", "dog")):
        self.names = names

    def fit(self, x, y):
        self.classes_ = np.array(self.names)
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x):
        assert x.dtype == np.float32
        return self.classes_[(x.sum(1) > 0).astype(int)]


class Probable(Threshold):
    def predict_proba(self, x):
        p = 1 / (1 + np.exp(-x.sum(1)))
        return np.stack([1 - p, p], axis=1)


X = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)


def test_labels_are_places_in_the_classes():
    base = ScikitLearn(Threshold().fit(X, None))
    assert (base.num_classes, base.class_names) == (2, ("cat", "dog"))
    x = torch.from_numpy(X)
    expected = (X.sum(1) > 0).astype(int).tolist()
    for shape in ((6,), (2, 3), (1, 6)):
        labels = base(x.reshape(20, *shape))
        assert labels.dtype == torch.int64
        assert labels.tolist() == expected


def test_probabilities_are_taken_where_there_are_some():
    scores = ScikitLearn(Probable().fit(X, None))(torch.from_numpy(X))
    assert scores.shape == (20, 2)
    assert scores.argmax(1).tolist() == (X.sum(1) > 0).astype(int).tolist()


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (object(), "must have the method predict or predict_proba, got object"),
        (Threshold(), "must be fitted, and this Threshold is not; call fit"),
        (Threshold(names=("cat",)).fit(X, None), "at least 2 classes of one output in classes_"),
        (Threshold(names=([1, 2], [1, 2])).fit(X, None), "at least 2 classes of one output"),
    ],
)
def test_what_is_no_fitted_classifier_is_refused(estimator, message):
    with pytest.raises(BaseClassifierError, match=message):
        ScikitLearn(estimator)


def test_answers_that_do_not_fit_are_refused():
    estimator = Probable().fit(X, None)
    base = ScikitLearn(estimator)
    with pytest.raises(BaseClassifierError, match=r"must have 6 features, .* got 5, of shape \(5,"):
        base(torch.zeros(2, 5))
    estimator.predict_proba = lambda x: np.zeros((len(x), 3))
    with pytest.raises(BaseClassifierError, match=r"each of 2 classes, got the shape \(4, 3\)"):
        base(torch.zeros(4, 6))
    other = Threshold().fit(X, None)
    base = ScikitLearn(other)
    other.classes_ = np.array(["cow", "dog"])
    with pytest.raises(BaseClassifierError, match=r"labels .* must be at least 0"):
        check_answers(base, (6,), 2)


def test_what_counts_as_an_estimator():
    class Callable(Threshold):
        def __call__(self, x):
            return x

    assert is_estimator(Threshold())
    assert not is_estimator(Threshold)
    assert not is_estimator(Callable())
    assert is_estimator(Callable().fit(X, None))
    assert not is_estimator(torch.nn.Linear(2, 2))
    assert not is_estimator(len)


FILE = """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 4)).astype(np.float32)
    y = np.array(["no", "yes"])[(x[:, 0] > 0).astype(int)]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    machine = SVC().fit(x, y)
    unfitted = LogisticRegression()
    unfitted_line = make_pipeline(StandardScaler(), LogisticRegression())
"""


@pytest.fixture
def file(tmp_path):
    import textwrap

    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    path = tmp_path / "own.py"
    path.write_text(textwrap.dedent(FILE))
    return path


@pytest.mark.parametrize(("name", "scores"), [("model", True), ("machine", False)])
def test_an_estimator_of_scikit_learn_in_a_file(file, name, scores):
    base = load_base(f"{file}:{name}")
    assert (base.num_classes, base.class_names) == (2, ("no", "yes"))
    smoothed = radii.SmoothedClassifier(base.module, Gaussian(0.25), 2)
    x = torch.tensor([[1.5, 0, 0, 0], [-1.5, 0, 0, 0]])
    assert base.module(x).is_floating_point() == scores
    results = smoothed.certify(x, radii.SamplingPlan(n0=50, n=1_000, seed=0))
    assert [result.prediction for result in results] == [1, 0]
    assert all(result.radius > 0.5 for result in results)


@pytest.mark.parametrize("name", ["unfitted", "unfitted_line"])
def test_an_estimator_that_was_not_fitted(file, name):
    with pytest.raises(BaseClassifierError, match="must be fitted"):
        load_base(f"{file}:{name}")


def test_columns_with_names_are_no_reason_to_warn(file):
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    estimator = linear.LogisticRegression().fit(X, X[:, 0] > 0)
    estimator.feature_names_in_ = np.array(list("abcdef"), dtype=object)
    assert ScikitLearn(estimator)(torch.from_numpy(X)).shape == (20, 2)


class Slotted:
    """An estimator without a `__dict__`."""

    __slots__ = ("classes_",)

    def fit(self, x, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, x):
        return (x.sum(1) > 0).astype(int)


def test_an_estimator_may_have_slots():
    expected = (X.sum(1) > 0).astype(int).tolist()
    assert ScikitLearn(Slotted().fit(X, None))(torch.from_numpy(X)).tolist() == expected
    with pytest.raises(BaseClassifierError, match="must be fitted, and this Slotted is not"):
        ScikitLearn(Slotted())
