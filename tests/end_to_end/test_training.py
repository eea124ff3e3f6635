from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from radii.models import load_base
from tests.end_to_end.conftest import command, environment

RECIPE = """
base = { name = "mlp", hidden = 32, depth = 1 }
noise = "gaussian:sigma=0.2"
epochs = 10
batch_size = 32
lr = 0.003
lr_warmup = 1
optimiser = { name = "adamw", weight_decay = 0.05 }
schedule = "one_cycle"
accumulate = 2
clip = 1.0
ema = 0.95
validate = 60
validate_n = 50
keep = "best"
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A data set of two classes, small enough for an epoch to take a fraction of a second."""
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    rng = np.random.default_rng(0)
    y = np.arange(1_200) % 2
    x = rng.integers(0, 160, (len(y), 1, 8, 8), dtype=np.uint8)
    x[y == 1, :, :, :4] += 60
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture
def line(pictures, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE + f'data = "npz:{pictures}"\n')

    def of(out: Path, *more: object) -> list[str]:
        return ["train", str(recipe), "--out", str(out), *map(str, more)]

    return of


def epochs_in(directory: Path) -> int:
    path = directory / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_killed_again_and_again_it_ends_with_the_weights_of_an_undisturbed_run(
    radii, line, tmp_path
):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    done = radii(*line(straight))
    assert done.returncode == 0, done.stderr
    kills = 0
    for more, delay in ((1, 0.0), (2, 0.07)):
        target = epochs_in(broken) + more
        process = subprocess.Popen(
            command(*line(broken, "--resume")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        deadline = time.monotonic() + 120
        while epochs_in(broken) < target and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        kills += 1
    assert kills == 2
    assert 3 <= epochs_in(broken) < 10
    resumed = radii(*line(broken, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    one, other = (json.loads((path / "model.json").read_text()) for path in (straight, broken))
    assert one == other  # with the hash of the weights, and the epoch that was exported
    assert one["exported_weights"] == "running average"
    weights = [(path / "model.safetensors").read_bytes() for path in (straight, broken)]
    assert weights[0] == weights[1]
    for key in ("epoch", "loss", "lr", "gradient_norm", "validation_acr", "validation_accuracy"):
        found = [
            [json.loads(text)[key] for text in (path / "metrics.jsonl").read_text().splitlines()]
            for path in (straight, broken)
        ]
        assert found[0] == found[1]
        assert len(found[0]) == 10
    assert max(found[0]) > 0.8  # it learnt something, so the weights were worth comparing


def here(*arguments: object) -> int:
    from radii.cli.main import run as main

    return main(list(map(str, arguments)))


def test_a_sweep_over_seeds_goes_on_where_it_ended(pictures, tmp_path, capsys):
    line = (
        *("train", "--data", f"npz:{pictures}", "--base", "mlp:hidden=8,depth=1"),
        *("--noise", "gaussian:sigma=0.2", "--epochs", 1, "--batch-size", 64, "--lr", 0.1),
    )
    out = tmp_path / "sweep"
    assert here(*line, "--out", out, "--seeds", "0,1") == 0
    assert "seed-0" in capsys.readouterr().out
    assert here(*line, "--out", out, "--seeds", "0,1,2") == 1
    assert "--resume" in capsys.readouterr().err
    assert here(*line, "--out", out, "--seeds", "0,1,2", "--resume") == 0
    assert here(*line, "--out", tmp_path / "one", "--seed", 2) == 0
    described = {
        path.parent.name: json.loads(path.read_text())
        for path in (*out.glob("*/model.json"), tmp_path / "one" / "model.json")
    }
    assert {name: details["seed"] for name, details in described.items()} == {
        "seed-0": 0,
        "seed-1": 1,
        "seed-2": 2,
        "one": 2,
    }
    assert described["seed-2"]["sha256"] == described["one"]["sha256"]
    assert len({details["sha256"] for details in described.values()}) == 3


def test_training_in_two_phases(pictures, tmp_path, capsys):
    line = (
        *("train", "--data", f"npz:{pictures}", "--base", "mlp:hidden=8,depth=1"),
        *("--noise", "gaussian:sigma=0.2", "--epochs", 1, "--lr", 0.1, "--batch-size", 64),
    )
    first, second = tmp_path / "first", tmp_path / "second"
    assert here(*line, "--out", first) == 0
    assert here(*line, "--out", second, "--init", first, "--validate", 100, "--keep", "best") == 0
    one, two = (json.loads((path / "model.json").read_text()) for path in (first, second))
    assert two["init"] == one["sha256"] != two["sha256"]
    capsys.readouterr()
    other = ("--base", "mlp:hidden=9,depth=1")
    assert here(*line, *other, "--out", tmp_path / "third", "--init", first) == 1
    assert "mlp:hidden=9,depth=1" in capsys.readouterr().err
    assert here(*line, "--out", tmp_path / "third", "--init", tmp_path) == 1
    assert "holds no model.json" in capsys.readouterr().err


TIED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, 2)

    def forward(self, x):
        return self.last(self.second(torch.relu(self.first(x.flatten(1)))))
"""


def test_a_network_with_tied_weights_is_trained_saved_and_resumed(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tied.py").write_text(TIED)
    line = (
        *("train", "--data", f"npz:{pictures}", "--base", "tied.py:Net", "--batch-size", 64),
        *("--noise", "gaussian:sigma=0.2", "--epochs", 2, "--lr", 0.05, "--ema", 0.9),
    )
    assert here(*line, "--out", "base") == 0
    assert here(*line, "--out", "base", "--resume") == 0
    (Path("base") / "model.safetensors").unlink()  # as a kill before it is written would
    assert here(*line, "--out", "base", "--resume") == 0
    module = load_base("tied.py:Net@base").module
    weights = load_file("base/model.safetensors")
    names = [name for name in weights if name.endswith(("first.weight", "second.weight"))]
    assert len(names) == 2
    assert np.array_equal(weights[names[0]], weights[names[1]])
    assert np.array_equal(module.state_dict()[names[0]].numpy(), weights[names[0]])


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--optimiser", "sdg"), 2, "Did you mean 'sgd'?"),
        (("--schedule", "one_cycle:rise=2"), 2, "rise must be in (0, 1)"),
        (("--clip", "tight"), 2, "clip of plan 'training' must be a number"),
        (("--keep", "best"), 2, "set validate"),
        (("--seeds", "one"), 2, "seeds must be whole numbers"),
        (("--seeds", "1", "--seed", "1"), 2, "not both"),
        (("--validate", 2_000), 1, "hold out fewer"),
        (("--validate", 10, "--validate-n", 5), 2, "n of at least 10"),
        (("--validate", 10, "--validate-norm", "l0"), 2, "certified norms for it"),
        (("--accumulate", 300), 2, "accumulate must be at most batch_size"),
    ],
)
def test_wrong_options_give_one_clear_sentence(pictures, tmp_path, capsys, options, code, said):
    line = (
        *("train", "--data", f"npz:{pictures}", "--base", "mlp:hidden=8,depth=1"),
        *("--noise", "gaussian:sigma=0.2", "--epochs", 1, "--out", tmp_path / "out"),
    )
    assert here(*line, *options) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=300)


def test_two_processes_give_the_losses_of_one(radii, line, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    done = radii(*line(one, "--epochs", 3))
    assert done.returncode == 0, done.stderr
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    arguments = line(two, "--epochs", 3)
    done = run([*torchrun, "--nproc-per-node", "2", "-m", "radii", *arguments])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("certifies with it") == 1
    found = [
        [json.loads(text) for text in (path / "metrics.jsonl").read_text().splitlines()]
        for path in (one, two)
    ]
    assert len(found[0]) == len(found[1]) == 3
    for alone, together in zip(*found, strict=True):
        for key in ("loss", "gradient_norm"):
            assert together[key] == pytest.approx(alone[key], rel=1e-5)
    weights = [load_file(path / "model.safetensors") for path in (one, two)]
    for name, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][name], rtol=1e-3, atol=1e-5)
