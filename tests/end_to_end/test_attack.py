from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import numpy as np
import pytest

from radii.data import load
from radii.evaluation import AttackLedger
from tests.end_to_end.conftest import command, environment

NOISE = ("--noise", "gaussian:sigma=0.5")
SMALL = ("--n", 200, "--draws", 8, "--seed", 5)
COLUMNS = (
    '"index", label, clean, prediction, clean_votes, votes, l1, l2, linf, queries, samples, '
    "facts, x"  # all but the seconds
)


def rows(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            f'SELECT {COLUMNS}, facts FROM attacks ORDER BY "index"'
        ).fetchall()


def arguments(base, out, *more):
    return [
        *("attack", "--base", str(base), "--data", "mnist5k", *NOISE),
        *map(str, (*SMALL, "--out", out, *more)),
    ]


@pytest.fixture(scope="module")
def attacked(radii, base, tmp_path_factory):
    path = tmp_path_factory.mktemp("attacked") / "run.sqlite"
    done = radii(
        *arguments(base, path, "--attack", "ddn:steps=20", "--subset", "first:20", "--json")
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bar where stdout is no terminal
    return path, json.loads(done.stdout)


def test_the_ledger_holds_what_the_summary_says(attacked):
    path, summary = attacked
    ledger = AttackLedger(path)
    found = list(ledger.rows(inputs=True))
    assert [row.index for row in found] == list(range(20))
    right = [row for row in found if row.clean == row.label]
    changed = [row for row in right if row.prediction not in (None, row.label)]
    assert summary == {
        "run": str(path),
        "attack": "ddn:steps=20",
        "norm": "l2",
        "noise": "gaussian:sigma=0.5",
        "estimator": "plug_in",
        "draws": 8,
        "examples": 20,
        "clean_accuracy": len(right) / 20,
        "clean_abstention_rate": sum(row.clean is None for row in found) / 20,
        "accuracy_under_attack": sum(row.prediction == row.label for row in right) / 20,
        "abstention_rate_under_attack": sum(row.prediction is None for row in found) / 20,
        "successes": len(changed),
        "median_norm": float(np.median([row.l2 for row in changed])),
        "queries_total": sum(row.queries for row in found),
        "samples_total": sum(row.samples for row in found),
        "seconds_total": sum(row.seconds for row in found),
    }
    assert len(right) > 5
    assert len(changed) > len(right) / 2
    dataset = load("mnist5k")
    for row in found:
        x = dataset[row.index][0].numpy().astype(np.float64)
        assert row.label == dataset.labels[row.index]
        assert row.l2 == np.sqrt(np.square(row.x.astype(np.float64) - x).sum())
        assert sum(row.votes.values()) == 200


def test_killed_in_the_middle_it_ends_as_an_undisturbed_run(radii, base, tmp_path):
    straight, broken = tmp_path / "straight.sqlite", tmp_path / "broken.sqlite"
    # 40 inputs, 2 at a time, from random starts.
    more = ("--attack", "pgd_l2:epsilon=2.0,steps=40,random_start=true", "--subset", "first:40")
    more = (*more, "--batch-inputs", 2)

    def run(out, *others):
        return radii(*arguments(base, out, *more, *others))

    process = subprocess.Popen(
        command(*arguments(base, broken, *more)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if rows(broken):
                break
        except sqlite3.OperationalError:  # not made yet
            pass
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    refused = run(broken)
    assert refused.returncode == 1
    assert "written by another process" in refused.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(rows(broken)) < 40

    other = run(broken, "--draws", 9)
    assert other.returncode == 1
    assert "holds a run with draws 8, not 9" in other.stderr

    resumed = run(broken, "--batch-size", 300)  # the same votes in other rounds
    assert resumed.returncode == 0, resumed.stderr
    assert run(straight).returncode == 0
    assert rows(broken) == rows(straight)
    assert len(rows(broken)) == 40


def test_a_table_and_a_bar(radii, base, tmp_path):
    out = tmp_path / "run.sqlite"
    line = arguments(base, out, "--attack", "pgd_linf:epsilon=0.2,steps=3", "--subset", "first:5")
    done = radii(*line, "--no-keep")
    assert done.returncode == 0, done.stderr
    for part in ("under attack", "abstained", "median linf", "pgd_linf:epsilon=0.2,steps=3"):
        assert part in done.stdout
    assert all(row.x is None for row in AttackLedger(out).rows(inputs=True))
    again = radii(*line, "--no-keep")
    assert again.returncode == 0
    assert again.stdout == done.stdout


def test_options_without_effect_are_named(radii_inside, base, tmp_path):
    def said(name, *more):
        done = radii_inside(*arguments(base, tmp_path / name, "--subset", "first:2", *more))
        assert done.returncode == 0, done.stderr
        return " ".join(done.stderr.split())

    assert said("a", "--attack", "pgd_l2:epsilon=1.0,steps=2") == ""
    without = ("--attack", "pgd_l2:epsilon=1.0,steps=2", "--estimator", "base", "--fresh")
    assert "--draws, --fresh without effect" in said("b", *without)
    stein = ("--attack", "stein:epsilon=1.0,sigma=0.5,steps=2,draws=20", "--estimator", "logits")
    assert "--estimator, --draws without effect: this attack draws noise of its own" in said(
        "c", *stein
    )
    transfer = (
        f"transfer:attack=pgd_l2(epsilon=1.0,steps=2),source={base},noise=gaussian(sigma=0.5)"
    )
    transfer = transfer.replace("noise=gaussian(sigma=0.5)", "noise=gaussian:sigma=0.5")
    assert "--draws without effect: transfer says its own" in said("d", "--attack", transfer)


def test_list_shows_attacks(radii):
    listed = json.loads(radii("list", "attack", "--json").stdout)
    assert {"pgd_l2", "pgd_linf", "ddn"} <= {entry["name"] for entry in listed}


LABELS = """
def label(x):
    return (x.flatten(1).sum(1) > 100).long()
"""
WRONG = [
    (("--attack", "pgd_l2:epsilon=0"), 2, "epsilon must be positive and finite, got 0.0"),
    (("--attack", "pgd_l2:epsilon=1.0,steps=0"), 2, "steps must be at least 1, got 0"),
    (("--attack", "pgd_l0:epsilon=1.0"), 2, "no attack is called 'pgd_l0'; known:"),
    (("--attack", "pgd_l2:epsilon=1.0,norm=l0"), 2, "The norm goes with the name of an attack"),
    (("--attack", "pgd_l2"), 2, "needs epsilon"),
    (("--draws", 0), 2, "draws must be at least 1, got 0"),
    (("--batch-inputs", 0), 2, "attacked together must be at least 1, got 0"),
    (("--n", 10), 2, "n of at least 11"),
    (("--alpha", 2), 2, "alpha must be in (0, 1)"),
    (("--subset", "some"), 2, "every:K"),
    (("--estimator", "median"), 2, "'plug_in'"),
    (("--noise", "splitting:half_width=0.3"), 2, "needs noise that is added"),
    (("--attack", "stein:epsilon=1.0,sigma=0.25"), 2, "sigma of the attack must be 0.5"),
    (("--attack", "stein:epsilon=1,sigma=1", "--noise", "laplace:b=1"), 2, "under Gaussian noise"),
    (("--attack", "transfer:attack=ddn,source=nowhere"), 1, "'nowhere'"),
    (("--base", "labels.py:label"), 1, "take stein, which needs its answers alone, or boundary"),
    (("--base", "nowhere"), 1, "nowhere"),
    (("--data", "npz:labels.npz"), 1, "label of input 1 must be in [0, 10)"),
]


@pytest.mark.parametrize(("given", "code", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_input_gives_one_clear_sentence(
    given, code, said, base, tmp_path, monkeypatch, capsys
):
    from radii.cli.main import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.py").write_text(LABELS)
    np.savez(tmp_path / "labels.npz", x=np.zeros((2, 1, 28, 28), np.uint8), y=np.array([0, 12]))
    line = arguments(base, "run.sqlite", "--attack", "ddn", "--subset", "first:2", *given)
    assert run(line) == code
    captured = capsys.readouterr()
    assert said in " ".join(captured.err.split())
    assert len(captured.err.strip().splitlines()) <= 2
    assert captured.out == ""
    assert not list(tmp_path.glob("run.sqlite*"))


def test_runs_of_the_two_kinds_are_told_apart(attacked, base, tmp_path, capsys):
    from radii.cli.main import run

    path, _ = attacked
    line = ("certify", "--base", base, "--data", "mnist5k", *NOISE, "--n", 100, "--out", path)
    assert run([*map(str, line)]) == 1
    assert "holds a run of `radii attack`" in capsys.readouterr().err
