from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from radii.cli.main import main
from radii.cli.main import run as run_command

Radii = Callable[..., "subprocess.CompletedProcess[str]"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from radii.cli.main import main; main()", *map(str, arguments)]


def _command_line(
    arguments: list[str], cwd: str, variables: dict[str, str], out: str, err: str
) -> None:
    """In the new process: what the shell would do, then the command line."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = ["radii", *arguments]
    main()


@pytest.fixture(scope="session")
def radii(tmp_path_factory: pytest.TempPathFactory) -> Radii:
    """Runs the command line in a process of its own, forked from one that has imported it.

    Importing torch costs more than most commands do. A test that must start Python itself takes
    `command`.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["radii.cli.main", "radii.evaluation", "radii.training"])
    streams = tmp_path_factory.mktemp("streams")

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        line = [str(argument) for argument in arguments]
        out, err = streams / "out", streams / "err"
        process = processes.Process(
            target=_command_line,
            args=(line, str(cwd or Path.cwd()), environment(), str(out), str(err)),
        )
        process.start()
        process.join(300)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(line, 300, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(line, process.exitcode, out.read_text(), err.read_text())

    return run


@pytest.fixture
def radii_inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Radii:
    """The same in this process: several times faster, where a test needs many commands."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [str(argument) for argument in arguments]
        capsys.readouterr()
        code = run_command(line)
        return subprocess.CompletedProcess(line, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def base(radii: Radii, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base classifier trained on mnist5k by the command line."""
    directory = tmp_path_factory.mktemp("trained") / "base"
    done = radii(
        *("train", "--data", "mnist5k", "--base", "mlp", "--noise", "gaussian:sigma=0.5"),
        *("--epochs", 2, "--lr", 0.1, "--batch-size", 64, "--out", directory),
    )
    assert done.returncode == 0, done.stderr
    return directory
