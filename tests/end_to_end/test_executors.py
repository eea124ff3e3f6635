"""Runs in several processes: the rows of `serial`, whoever dies in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from radii.cli.main import run as run_here
from radii.data import Subset, load
from radii.errors import BaseClassifierError
from radii.evaluation import Ledger, Run
from radii.executors import Processes
from radii.models import Base, load_base
from radii.noise import Gaussian
from radii.smoothing import SamplingPlan, SmoothedClassifier
from tests.end_to_end.conftest import command, environment
from tests.end_to_end.test_resume import arguments, rows, wait_for_a_row

_MARK = "RADII_TEST_RUN"
in_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def certify(base: Path, out: Path, *more: object) -> list[tuple[object, ...]]:
    """The rows of a run in this process."""
    assert run_here(arguments(base, out, *more)) == 0
    return rows(out)


SMALL = ("--subset", "first:12", "--n", 400)
KINDS = {
    "early": (
        *("--subset", "first:40", "--n", 3_000, "--stop", "radii:0,0.25,0.5"),
        *("--precision", "bfloat16", "--batch-size", 300),
    ),
    "soft": (*SMALL, "--vote", "soft", "--bound", "hoeffding"),
    "enumerated": (
        *("--subset", "first:12", "--norm", "l1"),
        *("--noise", "splitting:half_width=0.5,deterministic=true"),
    ),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "early" else pytest.mark.slow) for kind in KINDS],
)
def test_rows_are_those_of_serial(base, tmp_path, kind):
    straight = certify(base, tmp_path / "serial", *KINDS[kind])
    assert certify(base, tmp_path / "two", *KINDS[kind], "--executor", "processes:2") == straight
    assert len(straight) in (12, 40)
    assert Ledger(tmp_path / "two").meta["executor"] == "processes:workers=2"
    assert Ledger(tmp_path / "serial").meta["executor"] == "serial"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method.* is deprecated:DeprecationWarning")
def test_rows_of_a_compiled_classifier_are_those_of_serial(base, tmp_path):
    kind = (*KINDS["early"], "--compile", "on")
    straight = certify(base, tmp_path / "serial", *kind)
    assert certify(base, tmp_path / "two", *kind, "--executor", "processes:2") == straight


def test_a_run_changes_its_executor_in_the_middle(base, tmp_path):
    straight = certify(base, tmp_path / "serial", *SMALL)
    with pytest.raises(KeyboardInterrupt):
        _of_a_directory(base).certify(
            tmp_path / "broken", executor=Processes(2), on_input=_interrupts_after(3)
        )
    assert 0 < len(rows(tmp_path / "broken")) < 12
    assert certify(base, tmp_path / "broken", *SMALL) == straight


def _interrupts_after(count: int) -> Callable[[], None]:
    left = [count]

    def on_input() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return on_input


def _of_a_directory(base: Path) -> Run:
    loaded = load_base(str(base))
    return Run(
        smoothed=SmoothedClassifier(
            loaded.module, Gaussian(0.5), 10, input_shape=loaded.input_shape
        ),
        base=loaded,
        dataset=load("mnist5k"),
        subset=Subset.parse("first:12"),
        plan=SamplingPlan(n=400, seed=11),
    )


OWN = """
import torch
from torch import nn

class Own(nn.Module):
    def forward(self, x):
        return torch.stack([x.flatten(1)[:, at::10].sum(1) for at in range(10)], dim=1)

def function(x):
    return Own()(x).argmax(1)
"""


def test_what_a_python_file_defines_is_loaded_in_each_worker(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    straight = certify("own.py:function", tmp_path / "serial", *SMALL)
    two = certify("own.py:function", tmp_path / "two", *SMALL, "--executor", "processes:2")
    assert two == straight
    assert len({row[7] for row in straight}) > 1  # votes


def test_a_base_classifier_that_cannot_be_sent_is_refused_by_name(base, tmp_path):
    made = _of_a_directory(base)

    def local(x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x), dtype=torch.int64)

    unknown = Base(local, "nowhere.py:local", "00ff", None, None, None, {})
    made = replace(made, smoothed=replace(made.smoothed, base=local), base=unknown)
    with pytest.raises(BaseClassifierError, match=r"neither pickled .* take the executor serial"):
        made.certify(tmp_path / "run", executor=Processes(2))
    assert not (tmp_path / "run").exists()


class Fails(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("it does not like this input")


def test_what_a_worker_raises_is_said_at_once(base, tmp_path):
    made = _of_a_directory(base)
    failing = Fails().eval()
    made = replace(
        made,
        smoothed=replace(made.smoothed, base=failing),
        base=Base(failing, "fails", "00ff", None, None, None, {}),
    )
    with pytest.raises(BaseClassifierError, match="it does not like this input"):
        made.certify(tmp_path / "run", executor=Processes(2))


# Processes of their own, of which some are killed.

LONG = ("--n", 8_000)


def started(line: list[str], mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*line),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**environment(), _MARK: mark},
    )


def marked(mark: str) -> dict[int, str]:
    """Processes with the mark in their environment, and their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"{_MARK}={mark}\0".encode() in (folder / "environ").read_bytes():
                    line = (folder / "cmdline").read_bytes()
                    if line:  # a zombie has none
                        found[int(folder.name)] = line.replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def workers_of(mark: str, word: str) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := [pid for pid, line in marked(mark).items() if word in line]:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no process called {word!r}: {marked(mark)}")


def assert_none_left(mark: str) -> None:
    """No driver and no worker; the agents of a Ray whose driver was killed stay for a while."""
    deadline = time.monotonic() + 30
    while left := [line for line in marked(mark).values() if "Agent" not in line]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    for pid in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


RAY = pytest.param("ray:workers=2", "ray::_Actor", marks=pytest.mark.slow)
each_executor = pytest.mark.parametrize(
    ("executor", "word"), [("processes:2", "spawn_main"), RAY], ids=["processes", "ray"]
)


def _needs(executor: str) -> None:
    if executor.startswith("ray"):
        pytest.importorskip("ray", reason='the extra "ray" is not installed')


@pytest.mark.slow
@in_proc
@each_executor
def test_the_driver_is_killed_and_the_run_resumed(base, tmp_path, executor, word):
    _needs(executor)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    expected = certify(base, straight, *LONG)
    mark = uuid.uuid4().hex
    driver = started(arguments(base, broken, *LONG, "--executor", executor), mark)
    wait_for_a_row(broken, driver)
    assert workers_of(mark, word)
    driver.kill()
    driver.wait()
    assert_none_left(mark)
    assert 0 < len(rows(broken)) < 60
    assert certify(base, broken, *LONG, "--executor", executor) == expected


@pytest.mark.slow
@in_proc
@each_executor
def test_a_worker_is_killed_in_the_middle(base, tmp_path, executor, word):
    _needs(executor)
    straight, run = tmp_path / "straight", tmp_path / "run"
    expected = certify(base, straight, *LONG)
    mark = uuid.uuid4().hex
    driver = started(arguments(base, run, *LONG, "--executor", executor), mark)
    wait_for_a_row(run, driver)
    os.kill(workers_of(mark, word)[0], signal.SIGKILL)
    assert driver.wait(timeout=120) == 0
    assert rows(run) == expected
    assert_none_left(mark)


@in_proc
@each_executor
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_an_interrupt_leaves_nobody_behind(base, tmp_path, executor, word, number, code):
    _needs(executor)
    run, mark = tmp_path / "run", uuid.uuid4().hex
    line = arguments(base, run, *LONG, "--executor", executor)
    driver = subprocess.Popen(
        command(*line),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment(), _MARK: mark},
        start_new_session=True,
        text=True,
    )
    wait_for_a_row(run, driver)
    if executor.startswith("ray") and number == signal.SIGTERM:
        driver.send_signal(number)  # the daemons of Ray would die of it
    else:
        os.killpg(driver.pid, number)  # as Ctrl-C does: to all of the group
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == code
    assert said.count("interrupted; every finished input is in") == 1
    assert "Traceback" not in said
    assert_none_left(mark)
    assert 0 < len(rows(run)) < 60


def test_the_executor_is_checked_before_anything_else(radii_inside, base, tmp_path):
    done = radii_inside(*arguments(base, tmp_path / "run", "--executor", "processes:0"))
    assert (done.returncode, "workers must be at least 1, got 0" in done.stderr) == (2, True)
    done = radii_inside(*arguments(base, tmp_path / "run", "--executor", "procesess:2"))
    assert "Did you mean 'processes'?" in done.stderr
    listed = json.loads(radii_inside("list", "executor", "--json").stdout)
    assert [entry["name"] for entry in listed] == ["processes", "ray", "serial"]
