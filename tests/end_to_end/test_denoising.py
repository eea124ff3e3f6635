from __future__ import annotations

import json
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from radii.data import load
from radii.evaluation import Ledger
from radii.models import load_base, load_denoiser
from tests.end_to_end.conftest import command, environment

NOISE = "gaussian:sigma=0.5"
LINE = (
    *("--denoiser", "dncnn:depth=3,width=8", "--noise", NOISE, "--epochs", 4),
    *("--batch-size", 32, "--lr", 0.005, "--optimiser", "adamw", "--ema", 0.9),
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    train = load("mnist5k@train")
    x, y = train.tensors()
    np.savez(path, x=x[:1000].numpy(), y=y[:1000].numpy())
    return f"npz:{path}"


@pytest.fixture(scope="module")
def denoised(radii, base, digits, tmp_path_factory):
    """A denoiser trained before the base classifier that all end-to-end tests share."""
    folder = tmp_path_factory.mktemp("denoised") / "denoised"
    done = radii("train", "--data", digits, "--base", base, *LINE, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    return folder


def behind(folder):
    """The weights of the classifier behind the denoiser, under the names of its own file."""
    state = load_file(folder / "model.safetensors")
    name = "body.base."
    return {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}


def errors_of(folder, sigma=0.5):
    """Mean squared errors without the denoiser, and with it."""
    x = torch.stack([load("mnist5k@test")[i][0] for i in range(100)])
    noisy = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        cleaned = load_denoiser(folder)(noisy)
    return [float((found - x).square().mean()) for found in (noisy, cleaned)]


def test_the_denoiser_learns_and_the_classifier_stays(denoised, base):
    noisy, cleaned = errors_of(denoised)
    assert cleaned < 0.25 * noisy
    kept, before = behind(denoised), load_file(base / "model.safetensors")
    assert kept.keys() == before.keys()
    assert all(torch.equal(kept[name], before[name]) for name in before)
    told, told_before = (json.loads((f / "model.json").read_text()) for f in (denoised, base))
    assert told["frozen"] == told_before["sha256"] != told["sha256"]
    assert told["objective"] == "denoising"
    assert told["architecture"] == "denoised:denoiser=dncnn(depth=3,width=8),base=mlp"


def test_the_folder_is_a_base_classifier(denoised, base, radii_inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no relative path leads to the classifier from here
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    alone, both = load_base(str(base)).module, load_base(str(denoised)).module
    torch.testing.assert_close(both(x), alone(load_denoiser(denoised)(x)))
    line = (
        *("certify", "--base", denoised, "--data", "mnist5k", "--subset", "first:6"),
        *("--n", 200, "--n0", 20, "--seed", 0),
    )
    for noise, noted in ((NOISE, False), ("gaussian:sigma=0.25", True)):
        run = tmp_path / f"{noted}.run"
        done = radii_inside(*line, "--noise", noise, "--out", run)
        assert done.returncode == 0, done.stderr
        said = f"trained for {NOISE}, and gaussian:sigma=0.25 is certified"
        assert (said in done.stderr) == noted
        meta = Ledger(run).meta
        assert meta["noise"] == noise
        assert meta["base_training"]["noise"] == NOISE
        assert meta["base_sha256"] == load_base(str(denoised)).sha256
        report = radii_inside("report", run, "--format", "md")
        assert ("its base classifier was trained for" in report.stdout) == noted
    done = radii_inside(*line, "--noise", "gaussian:sigma=0.25", "--base", base, "--out", "b.run")
    assert done.returncode == 0
    assert "denoiser" not in done.stderr


def test_killed_and_resumed_it_ends_with_the_same_weights(radii, denoised, base, digits, tmp_path):
    out = tmp_path / "broken"
    line = ("train", "--data", digits, "--base", base, *LINE, "--out", out, "--resume")
    process = subprocess.Popen(
        command(*line), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()
    )
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert 1 <= len(metrics.read_text().splitlines()) < 4
    done = radii(*line)
    assert done.returncode == 0, done.stderr
    told = [json.loads((folder / "model.json").read_text()) for folder in (out, denoised)]
    assert told[0] == told[1]
    weights = [(folder / "model.safetensors").read_bytes() for folder in (out, denoised)]
    assert weights[0] == weights[1]


def test_going_on_with_the_stability_loss(denoised, base, digits, radii_inside, tmp_path):
    more = ("--epochs", 1, "--lr", 0.0005, "--init", denoised)
    objective = ("--objective", "denoising:error=0,stability=1")
    line = ("train", "--data", digits, "--base", base, *LINE, *more, *objective)
    done = radii_inside(*line, "--out", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "second" / "model.json").read_text())
    assert told["init"] == json.loads((denoised / "model.json").read_text())["sha256"]
    noisy, cleaned = errors_of(tmp_path / "second")
    assert cleaned < 0.5 * noisy  # an untrained one is far from that after an epoch
    assert all(
        torch.equal(value, behind(denoised)[name])
        for name, value in behind(tmp_path / "second").items()
    )
    other = radii_inside(*line, "--denoiser", "unet", "--out", tmp_path / "third")
    assert other.returncode == 1
    assert "the denoiser to start from must be" in other.stderr
    none = radii_inside(*line, "--init", base, "--out", tmp_path / "third")
    assert none.returncode == 1
    assert "the denoiser to start from must be" in none.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--denoiser", "unet", "--base", "mlp"), 2, "base must be a directory that training"),
        (("--denoiser", "dncn"), 2, "Did you mean 'dncnn'?"),
        (("--denoiser", "unet", "--data", "TOY"), 1, "must have inputs of shape [1, 8, 8]"),
        (("--base", "mlp", "--objective", "denoising"), 1, "must be given together"),
        (("--base", "denoised:denoiser=unet,base=mlp"), 1, "must be given together"),
    ],
)
def test_wrong_options_give_one_clear_sentence(
    base, digits, radii_inside, tmp_path, options, code, said
):
    toy = tmp_path / "toy.npz"
    np.savez(toy, x=np.zeros((20, 1, 8, 8), np.uint8), y=np.arange(20) % 10)
    options = [f"npz:{toy}" if option == "TOY" else option for option in options]
    line = ("--data", digits, "--base", base, "--noise", NOISE, "--epochs", 1)
    done = radii_inside("train", *line, *options, "--out", tmp_path / "out")
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_denoisers_are_listed(radii_inside):
    done = radii_inside("list", "denoiser", "--json")
    assert {entry["name"] for entry in json.loads(done.stdout)} >= {"dncnn", "unet"}
