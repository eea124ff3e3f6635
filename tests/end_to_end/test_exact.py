"""`--exact` and `--rng chacha`, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from radii.data import load
from radii.evaluation import Ledger
from radii.evaluation.run import noisy_copies
from radii.noise import key_hash
from tests.end_to_end.conftest import Radii

NOISE = ("--noise", "gaussian:sigma=0.5")
SMALL = ("--n", 200, "--n0", 20, "--subset", "first:4")
OWN = """
import torch

def brightest(x):
    return x.flatten(1).sum(1).remainder(10).abs().long().clamp(max=9)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return f"{path}:brightest"


def test_exact_noise_takes_the_place_of_gaussian_noise(
    radii_inside: Radii, own: str, tmp_path: Path
) -> None:
    out = tmp_path / "run.sqlite"
    line = ("certify", "--base", own, "--data", "mnist5k", *NOISE, *SMALL, "--exact")
    done = radii_inside(*line, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "multiples of 1/255" in done.stdout + done.stderr
    meta = Ledger(out).meta
    assert meta["noise"] == "grid_gaussian:sigma=0.5"
    assert meta["domain"] == "inputs whose coordinates are all multiples of 1/255"
    assert meta["key_sha256"] == key_hash(meta["seed"])
    assert "every input" in radii_inside(*line, "--out", out).stdout
    shown = noisy_copies(Ledger(out), load("mnist5k")[0][0], 0, 10) * 255
    assert np.abs(shown - shown.round()).max() < 1e-3
    refused = radii_inside(*line[:-1], "--out", out)
    assert refused.returncode == 1
    assert "holds a run with noise 'grid_gaussian:sigma=0.5'" in refused.stderr


def test_a_dry_run_says_what_exact_noise_costs(radii_inside: Radii, own: str) -> None:
    line = ("certify", "--base", own, "--data", "mnist5k", *NOISE, *SMALL, "--dry-run")
    done = radii_inside(*line, "--exact")
    assert done.returncode == 0, done.stderr
    assert "grid_gaussian:sigma=0.5 in place of gaussian:sigma=0.5" in done.stdout
    assert "% fewer samples/s" in done.stdout
    assert "exact noise" not in radii_inside(*line).stdout


def test_data_off_the_grid_are_refused_before_anything_starts(
    radii_inside: Radii, own: str, tmp_path: Path
) -> None:
    x = torch.rand(6, 1, 4, 4).numpy()
    x[:, :, 0, 0] = 0.5
    np.savez(
        tmp_path / "off.npz", x=x, y=np.arange(6) % 10, class_names=np.array(list("0123456789"))
    )
    out = tmp_path / "run.sqlite"
    line = ("certify", "--base", own, "--data", f"npz:{tmp_path / 'off.npz'}", *NOISE)
    done = radii_inside(*line, "--n", 200, "--exact", "--out", out)
    assert done.returncode == 1
    assert "must be multiples of 1/255 for exact noise" in done.stderr
    assert not out.exists()


def test_splitting_noise_is_drawn_exactly_and_verified(
    radii_inside: Radii, own: str, tmp_path: Path
) -> None:
    out = tmp_path / "run.sqlite"
    done = radii_inside(
        *("certify", "--base", own, "--data", "mnist5k", "--noise", "splitting:half_width=0.5"),
        *("--norm", "l1", *SMALL, "--exact", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    meta = Ledger(out).meta
    assert meta["noise"] == "grid_splitting:half_width=0.5"
    assert meta["domain"] == "inputs whose coordinates are all multiples of 1/255"
    shown = noisy_copies(Ledger(out), load("mnist5k")[0][0], 0, 10) * 1020
    assert np.abs(shown - shown.round()).max() < 1e-3
    verified = radii_inside("verify", out, "--base", own, "--data", "mnist5k")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("laplace:b=0.5", "gaussian, splitting, uniform to be drawn exactly, got laplace"),
        ("splitting:half_width=0.25", "1/510 with levels=255, got 0.25; take 0.250980"),
    ],
)
def test_noise_without_an_exact_form_is_refused(
    radii_inside: Radii, own: str, tmp_path: Path, noise: str, message: str
) -> None:
    line = ("certify", "--base", own, "--data", "mnist5k", "--noise", noise, "--norm", "l1")
    done = radii_inside(*line, "--exact", "--out", tmp_path / "run.sqlite")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_a_cryptographic_generator_is_named_and_resumed(
    radii_inside: Radii, own: str, tmp_path: Path
) -> None:
    out = tmp_path / "run.sqlite"
    line = ("certify", "--base", own, "--data", "mnist5k", *NOISE, *SMALL, "--out", out)
    assert radii_inside(*line, "--rng", "chacha").returncode == 0
    meta = Ledger(out).meta
    assert meta["generator"].startswith("chacha20-shake256/1")
    assert meta["seed"] > 2**128  # fails with probability 2^-128
    assert meta["key_sha256"] == key_hash(meta["seed"])
    assert "every input" in radii_inside(*line, "--rng", "chacha").stdout
    refused = radii_inside(*line)
    assert refused.returncode == 1
    assert "generator 'chacha20" in refused.stderr
    refused = radii_inside(*line, "--rng", "aes")
    assert refused.returncode == 2


def test_attacks_on_exact_noise_are_refused(radii_inside: Radii, own: str, tmp_path: Path) -> None:
    done = radii_inside(
        *("attack", "--base", own, "--data", "mnist5k", "--noise", "grid_gaussian:sigma=0.5"),
        *("--attack", "boundary", "--subset", "first:1", "--out", tmp_path / "run.sqlite"),
    )
    assert done.returncode == 2
    assert "noise that is not exact" in done.stderr
