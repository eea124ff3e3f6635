"""Each benchmark runs with tiny settings, and the loop that they measure against is CERTIFY."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from radii.bounds import ClopperPearson
from radii.certificates import GaussianL2
from radii.noise import Gaussian
from radii.records import ClassBounds
from tests.end_to_end.conftest import environment

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, tmp_path, *arguments):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--results", str(tmp_path), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    kept = json.loads(file.read_text())
    assert {"processor", "threads", "torch", "radii"} <= kept["machine"].keys()
    return done.stdout, kept


@pytest.mark.slow
def test_throughput_compares_all_sides(tmp_path):
    out, kept = run(
        *("throughput.py", tmp_path, "--networks", "lenet", "--modes", "float32", "bfloat16"),
        *("--rounds", "1", "--seconds", "0.02", "--device", "cpu"),
    )
    assert [row["mode"] for row in kept["rows"]] == ["float32", "bfloat16"]
    for row in kept["rows"]:
        assert row["noisy/pure"] == pytest.approx(row["noisy/s"] / row["pure/s"], rel=1e-2)
        assert row["chosen"]["usual"] == {"batch": 400}
        assert f"{row['network']:19}{row['mode']:18}{row['noisy/s']:>12}" in out


@pytest.mark.slow
def test_end_to_end_decides_as_the_fixed_n_does(tmp_path):
    out, kept = run(
        *("end_to_end.py", tmp_path, "--images", "5", "--n", "1000", "--rounds", "1"),
        *("--epochs", "1", "--loop-images", "1", "--loop-batches", "100", "--device", "cpu"),
    )
    rules = {row["rule"]: row for row in kept["rows"]}
    assert {"at_radius:0.5", "at_radius:1.0", "never"} <= rules.keys()
    assert rules["at_radius:0.5"]["draws"] < rules["never"]["draws"] == 1100
    assert "at_radius:1.5" not in rules  # out of the reach of 1,000 draws
    assert "left out: radius must be at most" in out
    assert "timed on 1 of the images in each turn, and scaled to 5" in out
    assert len(rules["at_radius:0.5"]["accuracy"]) == 1


@pytest.mark.slow
def test_the_rules_of_stopping_are_tried_on_a_run_of_the_fixed_n(tmp_path, radii):
    data, noise = ("--data", "mnist5k"), ("--noise", "gaussian:sigma=0.5")
    network = ("--base", "mlp:hidden=16,depth=1", "--epochs", 2, "--lr", 0.1)
    base, fixed = tmp_path / "base", tmp_path / "fixed.sqlite"
    results = tmp_path / "results"
    results.mkdir()
    made = radii("train", *data, *noise, *network, "--out", base)
    assert made.returncode == 0, made.stderr
    sampling = ("--n", 100_000, "--subset", "every:200", "--seed", 3, "--compile", "off")
    made = radii("certify", "--base", base, *data, *noise, *sampling, "--out", fixed)
    assert made.returncode == 0, made.stderr
    arguments = ("--run", str(fixed), "--base", str(base), "--work", str(tmp_path / "work"))
    _, kept = run("samples_live.py", results, *arguments, "--device", "cpu")
    rules = {row["rule"]: row for row in kept["rows"]}
    assert len(rules) == 9  # 0, 0.25, ..., 1.75, and the grid
    assert kept["inputs"] == 5
    assert max(row["draws"] for row in rules.values()) < 100_100
    assert kept["largest_drop"] <= 20  # one input of five
    assert rules["at_radius:0.0"]["accuracy"][0]["fixed"] > 0
    assert kept["at_radius over the grid"]["wald"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("only", ["memory", "ledgers"])
def test_scaling_tells_time_and_memory(only, tmp_path):
    out, kept = run(
        *("scaling.py", tmp_path, "--only", only, "--scale", "0.001", "--rounds", "1"),
        *("--device", "cpu"),
    )
    rows = kept["certifying"] + kept.get("ledgers", [])
    assert len(rows) == {"memory": 1, "ledgers": 4}[only]
    for row in rows:
        assert row["seconds"] > 0
        assert row["peak_mb"] > 50  # torch alone is larger
        assert str(row["peak_mb"]) in out


@pytest.mark.slow
def test_training_compares_the_loop_with_the_scripts(tmp_path):
    out, kept = run(
        *("training.py", tmp_path, "--networks", "lenet", "--batch", "8", "--workers", "1"),
        *("--objectives", "gaussian", "smoothadv-pgd", "--rounds", "1", "--seconds", "0.02"),
        *("--device", "cpu"),
    )
    gaussian, smoothadv = kept["rows"]
    assert (gaussian["inputs"], smoothadv["inputs"]) == (8, 2)  # a step has 8 noisy copies
    for row in kept["rows"]:
        assert row["loss float64"] < 1e-5
        assert row["bfloat16/script"] == pytest.approx(
            row["bfloat16/s"] / row["script/s"], rel=1e-2
        )
        assert json.dumps(row) in out
    assert smoothadv["inputs float64"] < 1e-5
    assert "float32/unfrozen cpu" in smoothadv
    assert "float32/unfrozen" not in gaussian


@pytest.mark.slow
def test_training_compares_what_was_trained(tmp_path):
    out, kept = run(
        *("training.py", tmp_path, "--accuracy", "--objectives", "gaussian", "--epochs", "1"),
        *("--images", "5", "--seeds", "1", "--batch", "100", "--workers", "1", "--device", "cpu"),
    )
    (row,) = kept["rows"]
    for side in ("script", "bfloat16"):
        assert row[f"{side} clean"] > 30  # 10 by chance
        assert 0 <= row[f"{side} acr"] < 2
    assert json.dumps(row) in out


@pytest.fixture
def published_loop(monkeypatch):
    """The module; it draws from torch's global generator, as the published scripts do."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield importlib.import_module("published_loop")


def half_space(x):
    """Class 1 where the first pixel is positive, as scores."""
    first = x[:, 0, 0, 0]
    return torch.stack([-first, first], dim=1)


@pytest.mark.parametrize("batch", [1, 70, 400])
def test_the_published_loop_is_certify(published_loop, batch, monkeypatch):
    counted = []
    loop = published_loop.PublishedLoop(half_space, 2, 0.5)
    votes = published_loop.PublishedLoop.votes

    def remembered(self, x, n, batch):
        counted.append(votes(self, x, n, batch))
        return counted[-1]

    monkeypatch.setattr(published_loop.PublishedLoop, "votes", remembered)
    x = torch.full((1, 1, 1), 0.4)
    answer = loop.certify(x, n0=100, n=1000, alpha=0.001, batch=batch)
    assert [int(each.sum()) for each in counted] == [100, 1000]
    pA_lower = ClopperPearson().lower(counted[1][1], 1000, 0.001)
    radius = GaussianL2(Gaussian(0.5)).radius(ClassBounds.one_sided(pA_lower))
    assert answer.prediction == 1
    assert answer.radius == pytest.approx(float(radius), rel=1e-9)
    assert 0.3 < answer.radius < 0.4  # the distance to the boundary


def test_the_published_loop_abstains_at_the_boundary(published_loop):
    loop = published_loop.PublishedLoop(half_space, 2, 0.5)
    answer = loop.certify(torch.zeros(1, 1, 1), n0=10, n=100, alpha=1e-9, batch=50)
    assert answer == (None, 0.0)
    assert loop.votes(torch.zeros(1, 1, 1), 7, 3).sum() == 7


def test_exact_noise_is_compared_with_ordinary_noise(tmp_path):
    out, kept = run(
        *("exact.py", tmp_path, "--networks", "lenet", "--rounds", "1", "--seconds", "0.02"),
        *("--device", "cpu"),
    )
    assert set(kept["ns_a_number"]) == {"gaussian", "exact", "chacha", "exact-chacha"}
    (row,) = kept["rows"]
    assert row["exact/gaussian"] == pytest.approx(row["exact/s"] / row["gaussian/s"], abs=1e-3)
    assert f"{row['exact/gaussian']:>23}" in out
