from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from radii.cli.main import run as run_command

Radii = Callable[..., "subprocess.CompletedProcess[str]"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from radii.cli.main import main; main()", *map(str, arguments)]


@pytest.fixture(scope="session")
def radii() -> Radii:
    """Runs the command line as a user would, in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment(),
            timeout=300,
        )

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
