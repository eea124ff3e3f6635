"""One LeNet in four forms: a module, an ONNX file, a function on arrays, a service over HTTP."""

from __future__ import annotations

import json
import textwrap
import threading
import warnings
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import radii
from radii import data
from radii.evaluation import Ledger
from radii.models import LeNet, initialise, load_base, save_base
from radii.noise import Gaussian

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPE = (1, 28, 28)
INPUTS, N0, N, SEED = 4, 100, 1_000, 7
# Scores of onnxruntime and torch differ by less than this on every noisy copy; it is checked.
APART = 1e-4


def trained() -> torch.nn.Module:
    """A LeNet that has seen some noisy digits, enough for its votes to differ."""
    inputs, labels = data.load("mnist5k@train").tensors()
    x = inputs[:1_500].float() / 255 if inputs.dtype == torch.uint8 else inputs[:1_500]
    module = initialise(LeNet(), SHAPE, 10, mean=[0.13], std=[0.31], seed=0)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    for _ in range(2):
        for part in torch.randperm(len(x), generator=generator).split(50):
            noisy = x[part] + 0.5 * torch.randn(x[part].shape, generator=generator)
            loss = torch.nn.functional.cross_entropy(module(noisy), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return module.eval()


OWN = """
    import importlib.util
    import sys

    import torch
    from radii.models import ArrayFunction, Remembered, load_base

    module = load_base("{base}").module

    @torch.no_grad()
    def scores(x):
        return module(torch.from_numpy(x)).numpy()

    predict = ArrayFunction(scores)
    limited = ArrayFunction(scores, batch_limit=200, threads=2)

    spec = importlib.util.spec_from_file_location("remote", "{example}")
    remote = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(remote)
    asked = remote.Remote("{url}", pause=0.01, most_a_second=1e6)
    kept = Remembered(asked, "{folder}/answers.sqlite", key="lenet")
    service = ArrayFunction(kept, batch_limit=200, threads=2)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The files, and a service that fails some of the time: with 503, or without a word."""
    folder = tmp_path_factory.mktemp("own")
    module = trained()
    names = tuple(map(str, range(10)))
    save_base(
        folder / "base",
        module,
        {
            **{"architecture": "lenet", "input_shape": SHAPE, "num_classes": 10},
            **{"class_names": names, "mean": [0.13], "std": [0.31]},
        },
    )
    module = load_base(str(folder / "base")).module
    state = SimpleNamespace(requests=0, failed=0, rows=0, lock=threading.Lock())

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with state.lock:
                state.requests += 1
                fate = state.requests % 5
                state.failed += fate in (2, 4)
            if fate == 2:
                self.send_error(503)
                return
            if fate == 4:
                return  # the connection is dropped
            x = torch.tensor(json.loads(content)["inputs"], dtype=torch.float32)
            with torch.no_grad():
                scores = module(x)
            with state.lock:
                state.rows += len(x)
            body = json.dumps({"scores": scores.tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        code = textwrap.dedent(OWN).format(
            base=folder / "base",
            example=EXAMPLES / "remote.py",
            url=f"http://127.0.0.1:{server.server_address[1]}",
            folder=folder,
        )
        (folder / "own.py").write_text(code)
        yield SimpleNamespace(folder=folder, module=module, state=state)
        server.shutdown()
        thread.join()


def certified(radii_inside, reference, out):
    done = radii_inside(
        *("certify", "--base", reference, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
        *("--subset", f"first:{INPUTS}", "--n0", N0, "--n", N, "--seed", SEED, "--out", out),
        *("--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    return [replace(row, seconds=0) for row in Ledger(out).rows()]


@pytest.fixture
def rows_of_module(served, radii_inside, tmp_path):
    return certified(radii_inside, served.folder / "base", tmp_path / "module.sqlite")


def test_the_module_wavers(rows_of_module):
    assert len(rows_of_module) == INPUTS
    assert any(0 < row.radius < 1.5 and len(row.n_votes) > 1 for row in rows_of_module)


@pytest.mark.parametrize("name", ["module", "predict", "limited"])
def test_a_function_on_arrays_gets_the_same_votes(
    served, radii_inside, tmp_path, rows_of_module, name
):
    reference = f"{served.folder / 'own.py'}:{name}"
    assert certified(radii_inside, reference, tmp_path / "run.sqlite") == rows_of_module


def test_a_service_gets_the_same_votes_and_is_asked_once(
    served, radii_inside, tmp_path, rows_of_module
):
    if not EXAMPLES.is_dir():
        pytest.skip("the examples are not there: these tests run in a copy of the repository")
    reference = f"{served.folder / 'own.py'}:service"
    rows = certified(radii_inside, reference, tmp_path / "first.sqlite")
    assert rows == rows_of_module
    assert served.state.failed > 5
    paid = served.state.rows
    assert paid >= INPUTS * (N0 + N)
    assert certified(radii_inside, reference, tmp_path / "again.sqlite") == rows
    assert served.state.rows == paid


@pytest.fixture(scope="module")
def onnx_file(served):
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    path = served.folder / "lenet.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its two exporters
        torch.onnx.export(
            served.module,
            (torch.rand(4, *SHAPE),),
            path,
            dynamo=False,
            input_names=["x"],
            output_names=["scores"],
            dynamic_axes={"x": {0: "rows"}, "scores": {0: "rows"}},
        )
    return path


def test_onnx_votes_differ_by_what_rounding_explains(
    served, radii_inside, tmp_path, rows_of_module, onnx_file
):
    """A label can differ only where the two highest scores are closer than 2 * APART."""
    rows = certified(radii_inside, onnx_file, tmp_path / "onnx.sqlite")
    module, onnx = served.module, load_base(str(onnx_file)).module

    def apart(x):
        return ((module(x) - onnx(x)).abs().amax(1) >= APART).long()

    def close(x):
        best = module(x).topk(2, dim=1).values
        return (best[:, 0] - best[:, 1] <= 2 * APART).long()

    dataset = data.load("mnist5k@test")
    plan = radii.SamplingPlan(n0=N0, n=N, seed=SEED)

    def counted(base):
        smoothed = radii.SmoothedClassifier(base, Gaussian(0.5), 2, input_shape=SHAPE)
        inputs = ((index, dataset[index][0]) for index in range(INPUTS))
        found = smoothed.votes_each(inputs, N, plan, stage="estimation")
        return {request: int(votes.votes[1]) for request, votes in found}

    with torch.no_grad():
        assert set(counted(apart).values()) == {0}
        explained = counted(close)
    for theirs, ours in zip(rows, rows_of_module, strict=True):
        classes = set(theirs.n_votes) | set(ours.n_votes)
        gaps = [abs(theirs.n_votes.get(c, 0) - ours.n_votes.get(c, 0)) for c in classes]
        assert sum(gaps) / 2 <= explained[ours.index]
        if not explained[ours.index]:
            assert theirs.radius == ours.radius


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--precision", "bfloat16"), "which onnxruntime computes in the types of its file"),
        (("--compile", "on"), "computed by onnxruntime and cannot be compiled by torch"),
    ],
)
def test_an_onnx_file_is_computed_as_it_is(radii_inside, tmp_path, onnx_file, options, message):
    done = radii_inside(
        *("certify", "--base", onnx_file, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
        *("--out", tmp_path / "run.sqlite", *options),
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "run.sqlite").exists()


def test_an_attack_without_gradients_on_an_onnx_file(radii_inside, tmp_path, onnx_file):
    line = (
        *("attack", "--base", onnx_file, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
        *("--subset", "first:1", "--n", 200, "--seed", 0, "--out", tmp_path / "attack.sqlite"),
    )
    done = radii_inside(*line, "--attack", "pgd_l2:epsilon=1.0,steps=2")
    assert done.returncode == 1
    assert "gradient" in done.stderr
    done = radii_inside(*line, "--attack", "stein:epsilon=1.0,sigma=0.5,steps=2", "--draws", 64)
    assert done.returncode == 0, done.stderr


BAD = """
    import numpy as np
    from radii.models import ArrayFunction

    classes = ArrayFunction(lambda x: np.zeros((len(x), 4)))
    numbers = ArrayFunction(lambda x: np.full((len(x), 10), np.nan))
    ranks = ArrayFunction(lambda x: (x.mean((1, 2, 3)) > x.mean()).astype(int))
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("classes", "scores of shape (4, 10)"),
        ("numbers", "got NaN for 4 inputs"),
        ("ranks", "must look at each row by itself, or no certificate holds"),
    ],
)
def test_what_is_no_classifier_is_refused_before_anything_is_written(
    radii_inside, tmp_path, name, message
):
    (tmp_path / "bad.py").write_text(textwrap.dedent(BAD))
    done = radii_inside(
        *("certify", "--base", f"{tmp_path / 'bad.py'}:{name}", "--data", "mnist5k"),
        *("--noise", "gaussian:sigma=0.5", "--out", tmp_path / "run.sqlite"),
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run.sqlite").exists()


OTHERS = """
    import torch
    from radii.models import MLP, initialise

    net = initialise(MLP(hidden=8, depth=1), {shape}, 3, seed=0).eval()

    def labels(x):
        return x.flatten(1)[:, :3].argmax(1)
"""


@pytest.mark.parametrize("shape", [(5,), (1,), (1, 64), (2, 3), (2, 3, 4, 5)])
def test_inputs_of_any_shape(radii_inside, tmp_path, shape):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, *shape)).astype(np.float32)
    np.savez(tmp_path / "own.npz", x=x, y=np.array([0, 1, 2, 0]))
    (tmp_path / "own.py").write_text(textwrap.dedent(OTHERS).format(shape=shape))
    for name in ("net", "labels"):
        base = ("--base", f"{tmp_path / 'own.py'}:{name}", "--data", f"npz:{tmp_path / 'own.npz'}")
        noise = ("--noise", "gaussian:sigma=0.5")
        run, attacked = tmp_path / f"{name}.sqlite", tmp_path / f"{name}-attack.sqlite"
        done = radii_inside("certify", *base, *noise, "--n", 200, "--seed", 0, "--out", run)
        assert done.returncode == 0, done.stderr
        assert [row.index for row in Ledger(run).rows()] == [0, 1, 2, 3]
        done = radii_inside("predict", *base, *noise, "--n", 200, "--seed", 0)
        assert done.returncode == 0, done.stderr
        attack = (
            "pgd_l2:epsilon=0.5,steps=2" if name == "net" else "stein:epsilon=0.5,sigma=0.5,steps=2"
        )
        done = radii_inside(
            *("attack", *base, *noise, "--n", 200, "--seed", 0, "--draws", 8, "--attack", attack),
            *("--out", attacked),
        )
        assert done.returncode == 0, done.stderr
        for ledger in (run, attacked):
            page = tmp_path / f"{ledger.stem}.html"
            done = radii_inside("report", ledger, "--out", page)
            assert done.returncode == 0, done.stderr
            assert page.stat().st_size > 1_000
