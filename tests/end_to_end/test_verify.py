"""`radii verify` and `radii seal` as a user runs them."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from radii.data import load
from radii.evaluation import Ledger

NOISE = "gaussian:sigma=0.5"


def certify(radii_inside, base, path, *more):
    done = radii_inside(
        *("certify", "--base", base, "--data", "mnist5k", "--noise", NOISE, "--n", 500),
        *("--n0", 50, "--subset", "first:12", "--seed", 1, "--out", path, *more),
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def run(radii_inside, base, tmp_path):
    return certify(radii_inside, base, tmp_path / "run.sqlite")


def edit(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def failed(radii_inside, *arguments):
    """Names of the checks that failed; the exit code must say the same."""
    done = radii_inside("verify", *arguments, "--json")
    found = json.loads(done.stdout)
    names = {check["name"] for check in found["checks"] if check["status"] == "failed"}
    assert done.returncode == bool(names)
    assert found["verdict"] == ("failed" if names else "passed")
    return names


def test_an_undisturbed_run_passes(radii_inside, base, run):
    done = radii_inside("verify", run, "--base", base, "--data", "mnist5k", "--sample", "0.5")
    assert done.returncode == 0, done.stdout
    lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "6 inputs got the same votes again" in lines["votes drawn again"]
    assert "FAILED" not in done.stdout
    assert "passed all 15 checks that were made; 1 not made: seal" in done.stdout
    assert failed(radii_inside, run, "--base", base, "--data", "mnist5k") == set()


@pytest.mark.parametrize(
    "more",
    [
        ("--stop", "radii:0.1,0.5"),
        ("--stop", "precision:rel=0.1"),
        ("--vote", "soft", "--bound", "hoeffding", "--certificate", "gaussian_l2_lipschitz"),
    ],
)
def test_other_runs_pass(radii_inside, base, tmp_path, more):
    path = certify(radii_inside, base, tmp_path / "run", *more)
    assert failed(radii_inside, path, "--base", base, "--data", "mnist5k", "--sample", 3) == set()


def test_enumerated_noise_passes(radii_inside, base, tmp_path):
    done = radii_inside(
        *("certify", "--base", base, "--data", "mnist5k", "--norm", "l1", "--subset", "first:5"),
        *("--noise", "splitting:half_width=0.5,deterministic=true", "--out", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr
    more = ("--base", base, "--data", "mnist5k", "--sample", 2)
    assert failed(radii_inside, tmp_path / "run", *more) == set()


def test_a_radius_that_is_one_unit_larger(radii_inside, run):
    row = next(row for row in Ledger(run).rows() if row.radius)
    more = math.nextafter(row.radius, 9)
    edit(run, 'UPDATE inputs SET radius = ? WHERE "index" = ?', more, row.index)
    assert failed(radii_inside, run) == {"row checksums"}
    done = radii_inside("verify", run)
    assert f"input {row.index} is not what was written" in done.stdout
    assert "FAILED 1 of 16 checks: row checksums." in done.stdout


def test_a_vote_that_is_another(radii_inside, run):
    row = next(row for row in Ledger(run).rows() if row.radius)
    votes = {**row.n_votes, row.prediction: row.n_votes[row.prediction] + 1}
    text = json.dumps(votes)
    edit(run, 'UPDATE inputs SET n_votes = ? WHERE "index" = ?', text, row.index)
    assert {"row checksums", "votes and labels"} <= failed(radii_inside, run)


def test_rows_that_changed_their_places(radii_inside, base, run):
    for old, new in ((0, -1), (1, 0), (-1, 1)):
        edit(run, 'UPDATE inputs SET "index" = ? WHERE "index" = ?', new, old)
    assert failed(radii_inside, run) == {"row checksums"}
    again = ("--base", base, "--data", "mnist5k", "--sample", "1.0")
    wrong = {"row checksums", "data set", "votes drawn again"}
    assert failed(radii_inside, run, *again) == wrong


def test_another_file_of_weights(radii_inside, base, run, tmp_path):
    other = tmp_path / "other"
    done = radii_inside(
        *("train", "--data", "mnist5k", "--base", "mlp", "--noise", NOISE, "--epochs", 1),
        *("--lr", 0.1, "--batch-size", 64, "--seed", 5, "--out", other),
    )
    assert done.returncode == 0, done.stderr
    found = failed(radii_inside, run, "--base", other, "--data", "mnist5k", "--sample", "1.0")
    assert found == {"weights of the base classifier", "votes drawn again"}
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + bytes(4))
    done = radii_inside("verify", run, "--base", other, "--data", "mnist5k")
    assert done.returncode == 1  # it is not what its model.json says


def test_another_order_of_the_data(radii_inside, base, run, tmp_path):
    data = load("mnist5k@test")
    inputs = data.tensors()[0].numpy()
    order = np.arange(len(data))[::-1].copy()
    np.savez(tmp_path / "other.npz", x=inputs[order], y=data.labels[order])
    reference = f"npz:{tmp_path / 'other.npz'}"
    found = failed(radii_inside, run, "--base", base, "--data", reference, "--sample", "1.0")
    assert {"data set", "votes drawn again"} <= found
    assert "weights of the base classifier" not in found


def test_logs_that_were_rounded_to_nearest(radii_inside, tmp_path):
    head = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
    log = head + "0\t7\t7\t{}\t1\t0:00:02\n1\t2\t2\t0.476\t1\t1\n"
    for name, radius, expected in (
        ("floored", "0.351", set()),
        ("nearest", "0.953", {"published radii"}),
    ):
        (tmp_path / f"{name}.tsv").write_text(log.format(radius))
        done = radii_inside(
            *("import", tmp_path / f"{name}.tsv", "--noise", "gaussian:sigma=0.25"),
            *("--out", tmp_path / name),
        )
        assert done.returncode == 0, done.stderr
        assert failed(radii_inside, tmp_path / name) == expected


def test_a_seal(radii_inside, base, run, tmp_path):
    pytest.importorskip("cryptography", reason="cryptography is not installed")
    key, seal = tmp_path / "key", tmp_path / "run.sqlite.seal.json"
    assert radii_inside("seal", "--new-key", key).returncode == 0
    done = radii_inside("seal", run, "--private-key", key)
    assert done.returncode == 0, done.stderr
    assert "For each of 12 inputs, with probability at least 0.999" in done.stdout
    public = ("--public-key", f"{key}.pub")
    assert failed(radii_inside, run, "--seal", seal, *public) == set()
    assert radii_inside("seal", "--new-key", tmp_path / "other").returncode == 0
    wrong = failed(radii_inside, run, "--seal", seal, "--public-key", tmp_path / "other.pub")
    assert wrong == {"signature of the seal"}
    content = json.loads(seal.read_text())
    content["claim"]["inputs"] = 10_000
    seal.write_text(json.dumps(content))
    wrong = failed(radii_inside, run, "--seal", seal, *public)
    assert wrong == {"seal", "signature of the seal"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "RUN", "--base", "x"), "--base needs --data"),
        (("verify", "RUN", "--public-key", "x"), "give --seal, too"),
        (("verify", "RUN", "--sample", "2.5"), "--sample must be a share"),
        (("verify", "RUN", "--sample", "some"), "--sample must be a share"),
        (("verify", "RUN", "--sample", "0"), "--sample must be a share"),
        (("seal",), "give a RUN to seal"),
        (("seal", "RUN", "--new-key", "x"), "give a RUN to seal"),
        (("seal", "RUN", "--private-key", "missing.pem"), "is no key in PEM"),
    ],
)
def test_wrong_usage(radii_inside, run, arguments, said):
    if "--private-key" in arguments:
        pytest.importorskip("cryptography", reason="cryptography is not installed")
    done = radii_inside(*(run if each == "RUN" else each for each in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_is_no_run(radii_inside, tmp_path):
    for command in ("verify", "seal"):
        done = radii_inside(command, tmp_path / "missing")
        assert done.returncode == 1
        assert "no run at" in done.stderr
    (tmp_path / "text").write_text("nothing")
    assert radii_inside("verify", tmp_path / "text").returncode == 1
