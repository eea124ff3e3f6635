"""Commands that are stopped, or meet a disk that is full, end with a sentence and go on later."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radii.cli.console import Bar
from radii.cli.main import run as run_here
from tests.end_to_end.conftest import environment
from tests.end_to_end.test_resume import arguments, rows

ROOT = Path(__file__).parents[2]
SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
# Of Python 3.12, where a test before has left a thread.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def certification(base: Path, out: Path, *more: object) -> list[str]:
    line = arguments(base, out, "--n", 3_000, "--batch-size", 1_000, *more)
    return line[line.index("certify") :]


def attack(base: Path, out: Path) -> list[str]:
    return list(
        map(
            str,
            (
                *("attack", "--base", base, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
                *("--attack", "pgd_l2:epsilon=0.3,steps=2", "--draws", 4, "--n", 100, "--seed", 3),
                *("--subset", "first:12", "--batch-inputs", 2, "--out", out),
            ),
        )
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    y = np.arange(300) % 2
    x = np.random.default_rng(0).integers(0, 160, (len(y), 1, 8, 8), dtype=np.uint8)
    x[y == 1, :, :, :4] += 60
    np.savez(path, x=x, y=y)
    return path


def training(pictures: Path, out: Path, *more: object) -> list[str]:
    line = (
        *("train", "--data", f"npz:{pictures}", "--base", "mlp:hidden=8,depth=1"),
        *("--noise", "gaussian:sigma=0.2", "--epochs", 4, "--batch-size", 50, "--lr", 0.1),
        *("--out", out, *more),
    )
    return list(map(str, line))


@pytest.fixture
def at_step(monkeypatch):
    """Lets something happen after so many steps of a progress bar."""

    def arrange(count: int, happens: Callable[[], object]) -> None:
        advance, left = Bar.advance, [count]

        def advanced(bar: Bar, steps: int) -> None:
            advance(bar, steps)
            left[0] -= 1
            if left[0] == 0:
                happens()

        monkeypatch.setattr(Bar, "advance", advanced)

    return arrange


def attacked(path: Path) -> list[tuple[object, ...]]:
    from radii.evaluation import AttackLedger

    return [(*row.values()[:-3], row.x.tobytes()) for row in AttackLedger(path).rows(inputs=True)]


@SIGNALS
def test_a_certification_is_stopped_and_goes_on(base, tmp_path, capsys, at_step, number, code):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run_here(certification(base, straight)) == 0
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    capsys.readouterr()
    at_step(60, lambda: signal.raise_signal(number))
    assert run_here(certification(base, broken)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"error: interrupted; every finished input is in {broken}; the same command goes on with "
        f"the others."
    ]
    held = rows(broken)
    assert 10 < len(held) < 30  # all that the rounds before have finished
    assert set(held) < set(rows(straight))
    assert not broken.with_name("broken-wal").exists()
    assert run_here(certification(base, broken)) == 0
    assert rows(broken) == rows(straight)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@SIGNALS
def test_an_attack_is_stopped_and_goes_on(base, tmp_path, capsys, at_step, number, code):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run_here(attack(base, straight)) == 0
    capsys.readouterr()
    at_step(4, lambda: signal.raise_signal(number))
    assert run_here(attack(base, broken)) == code
    (said,) = capsys.readouterr().err.splitlines()
    assert "interrupted; every finished input is in" in said
    assert len(attacked(broken)) == 4
    assert run_here(attack(base, broken)) == 0
    one, other = attacked(straight), attacked(broken)
    assert len(one) == 12
    assert [row[-1] for row in one] == [row[-1] for row in other]  # the perturbed inputs


@SIGNALS
def test_a_training_is_stopped_and_goes_on(pictures, tmp_path, capsys, at_step, number, code):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run_here(training(pictures, straight)) == 0
    capsys.readouterr()
    at_step(15, lambda: signal.raise_signal(number))  # in the third epoch of six steps
    assert run_here(training(pictures, broken)) == code
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith("the same command with --resume goes on after the last of them.")
    assert len((broken / "metrics.jsonl").read_text().splitlines()) == 2
    assert run_here(training(pictures, broken, "--resume")) == 0
    weights = [(path / "model.safetensors").read_bytes() for path in (straight, broken)]
    assert weights[0] == weights[1]


def test_before_the_work_a_signal_ends_at_once(base, tmp_path, capsys, monkeypatch):
    from radii.evaluation import Run

    monkeypatch.setattr(
        "radii.cli.certify.dataset_of", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    monkeypatch.setattr(Run, "certify", None)
    assert run_here(certification(base, tmp_path / "run")) == 143
    assert capsys.readouterr().err == "error: interrupted; run the same command again.\n"
    assert not (tmp_path / "run").exists()


def in_fork(line: list[str], err: Path) -> int:
    """The exit code of a command line in a fork of this process."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            file = os.open(err, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 2)
            os.dup2(file, 1)
            code = run_here(line)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_a_second_signal_ends_at_once(base, tmp_path, at_step, monkeypatch):
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it must have ended")

    straight, broken, err = tmp_path / "straight", tmp_path / "broken", tmp_path / "err"
    assert run_here(certification(base, straight)) == 0
    at_step(60, twice)
    assert in_fork(certification(base, broken), err) == 130
    assert err.read_text() == ""
    monkeypatch.undo()
    assert run_here(certification(base, broken)) == 0
    assert rows(broken) == rows(straight)


def test_a_round_without_end_is_waited_for_only_so_long(
    base, tmp_path, capsys, at_step, monkeypatch
):
    def hangs() -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr("radii.cli.interrupts.PATIENCE", 0.2)
    at_step(60, hangs)
    start = time.monotonic()
    assert run_here(certification(base, tmp_path / "run")) == 143
    assert time.monotonic() - start < 50
    (said,) = capsys.readouterr().err.splitlines()
    assert "every finished input is in" in said
    assert len(rows(tmp_path / "run")) > 10


def test_a_full_disk_is_said_in_training(pictures, tmp_path, capsys, monkeypatch):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert run_here(training(pictures, straight)) == 0
    fsync, left = os.fsync, [9]

    def full(file: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        capsys.readouterr()
        assert run_here(training(pictures, broken)) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "No space left on device; the 1 epochs before stay in it, and the same command" in said
    assert not list(broken.glob(".*"))
    assert run_here(training(pictures, broken, "--resume")) == 0
    weights = [(path / "model.safetensors").read_bytes() for path in (straight, broken)]
    assert weights[0] == weights[1]


def test_a_changed_checkpoint_is_refused(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_here(training(pictures, out)) == 0
    path = out / "checkpoint.safetensors"
    content = path.read_bytes()
    capsys.readouterr()
    for at in (-1, -500, -len(content) // 2):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert run_here(training(pictures, out, "--resume")) == 1
        (said,) = capsys.readouterr().err.splitlines()
        assert "is damaged" in said or "is no checkpoint" in said
    path.write_bytes(content[:-100])
    assert run_here(training(pictures, out, "--resume")) == 1
    path.write_bytes(content)
    assert run_here(training(pictures, out, "--resume")) == 0


def test_a_full_disk_is_said_of_a_report(base, tmp_path, capsys, monkeypatch):
    run, page = tmp_path / "run", tmp_path / "page.html"
    assert run_here(certification(base, run, "--subset", "first:3")) == 0
    page.write_text("the report before")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(page))

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert run_here(["report", str(run), "--out", str(page)]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "No space left on device; nothing half-written stays" in said
    assert page.read_text() == "the report before"


def test_a_damaged_ledger_is_refused_in_one_sentence(base, tmp_path, capsys):
    run = tmp_path / "run"
    assert run_here(certification(base, run, "--subset", "first:8")) == 0
    content = run.read_bytes()
    capsys.readouterr()
    for length in (50, 5_000, len(content) - 3_000):
        run.write_bytes(content[:length])
        for line in (
            certification(base, run, "--subset", "first:8"),
            ["report", str(run)],
            ["compare", str(run), str(run)],
            ["export", str(run), "--out", str(tmp_path / "run.csv")],
        ):
            assert run_here(line) == 1
            (said,) = capsys.readouterr().err.splitlines()
            assert "is damaged" in said or "is not a ledger" in said
    assert not (tmp_path / "run.csv").exists()


def kills(number: int) -> list[str]:
    line = [sys.executable, str(ROOT / "tools" / "kill_test.py"), "--kills", str(number)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=1_800)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are run in forks")


@needs_fork
@pytest.mark.slow
def test_killed_at_random_moments_every_command_ends_as_undisturbed():
    said = kills(4)
    assert [line.split(":")[0] for line in said] == ["certify", "train", "attack", "import"]
    assert all("1 kills" in line and "0 differences" in line for line in said)


@needs_fork
@pytest.mark.slow
def test_killed_200_times_every_command_ends_as_undisturbed():
    assert all("50 kills" in line and "0 differences" in line for line in kills(200))
