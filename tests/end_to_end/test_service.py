"""The example of a web service: its answers, its limits, and many clients at once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import radii
from radii.stopping import Precision
from tests.end_to_end.conftest import environment

SERVICE = Path(__file__).parents[2] / "examples" / "service"
SHAPE = (2,)

pytest.importorskip("fastapi", reason="needs the extra service")
pytest.importorskip("uvicorn", reason="needs the extra service")
pytest.importorskip("httpx", reason="needs the extra service")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette"),  # it works with either
]


def sign(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


SMOOTHED = radii.SmoothedClassifier(sign, radii.Gaussian(1.0), 2, input_shape=SHAPE)


@pytest.fixture(scope="module")
def app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("service_app", SERVICE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["service_app"] = module  # where pydantic looks for its annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(app: ModuleType) -> Iterator[Any]:
    from starlette.testclient import TestClient

    limits = app.Limits(n=10_000, budget=30.0, seeds=True)
    with TestClient(app.make_app(SMOOTHED, stop=Precision(rel=0.05), limits=limits)) as made:
        yield made


def test_answers_are_those_of_the_library(client: Any) -> None:
    for value in (-2.0, 0.0, 0.5, 2.0):
        asked = {"input": [value, 0.0], "n": 500, "seed": 3, "budget": 20}
        found = client.post("/predict", json=asked).json()
        expected = SMOOTHED.predict(torch.tensor([value, 0.0]), n=500, seed=3, budget=20)
        assert isinstance(expected, radii.Prediction)
        assert found == {
            "prediction": expected.prediction,
            "p_value": expected.p_value,
            "votes": expected.counts.votes.tolist(),
            "timed_out": False,
            "seed": "3",
        }
        asked["n"] = 2_000
        found = client.post("/certify", json=asked).json()
        plan = radii.SamplingPlan(n=2_000, seed=3, stop=Precision(rel=0.05))
        certified = SMOOTHED.certify(torch.tensor([value, 0.0]), plan)
        assert isinstance(certified, radii.Certification)
        assert (found["prediction"], found["radius"], found["timed_out"]) == (
            certified.prediction,
            certified.radius,
            False,
        )


def test_what_cannot_be_answered_in_its_budget_abstains(client: Any) -> None:
    asked = {"input": [5.0, 0.0], "budget": 1e-9}
    found = client.post("/predict", json=asked).json()
    assert (found["prediction"], found["timed_out"]) == (None, True)
    found = client.post("/certify", json=asked | {"n": 5_000}).json()
    assert (found["prediction"], found["radius"], found["timed_out"]) == (None, 0.0, True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"input": [1.0]}, r"the input must have shape (2,), got (1,)"),
        ({"input": [[1.0], [1.0, 2.0]]}, "input must be numbers of shape (2,)"),
        ({"input": ["a", "b"]}, "input must be numbers of shape (2,)"),
        ({"input": [1e300, 0.0]}, "the input must be finite"),
        ({"input": [1.0, 0.0], "n": 10_001}, "n must be at most 10000"),
        ({"input": [1.0, 0.0], "n": 0}, "greater than or equal to 1"),
        ({"input": [1.0, 0.0], "budget": 31}, "budget must be at most 30"),
        ({"input": [1.0, 0.0], "budget": 0}, "greater than 0"),
        ({"input": [1.0, 0.0], "samples": 7}, "Extra inputs are not permitted"),
        ({"input": [1.0, 0.0], "alpha": 2}, "less than 1"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/certify"])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_what_it_refuses(client: Any, path: str, asked: dict[str, Any], message: str) -> None:
    answer = client.post(path, json=asked)
    assert answer.status_code == 422
    assert message in answer.text


def test_limits_of_size_and_of_seeds(app: ModuleType, client: Any) -> None:
    from starlette.testclient import TestClient

    long = client.post("/predict", json={"input": [0.0] * 10_000})
    assert (long.status_code, "at most 4160 bytes" in long.text) == (413, True)
    few = client.post("/predict", json={"input": [1.0, 0.0], "n": 5})
    assert (few.status_code, "n=5 draws can never predict" in few.text) == (422, True)
    assert client.get("/health").json()["noise"] == "gaussian:sigma=1.0"
    with TestClient(app.make_app(SMOOTHED)) as other:
        answer = other.post("/predict", json={"input": [1.0, 0.0], "seed": 1})
        assert (answer.status_code, "seed must be left out" in answer.text) == (422, True)
        first, second = (
            other.post("/predict", json={"input": [0.1, 0.0]}).json()["seed"] for _ in range(2)
        )
        assert first != second


def test_many_clients_get_the_library_s_answers() -> None:
    done = subprocess.run(
        [sys.executable, SERVICE / "load_test.py", "--clients=8", "--seconds=2", "--checked=50"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requests a second" in done.stdout
    assert "errors: 0" in done.stdout
