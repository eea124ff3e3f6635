from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from tests.end_to_end.conftest import command, environment

COLUMNS = '"index", label, prediction, radius, pA_lower, pB_upper, n0_votes, n_votes, samples'


def rows(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(f'SELECT {COLUMNS} FROM inputs ORDER BY "index"').fetchall()
    finally:
        connection.close()


def arguments(base: Path, out: Path, *more: object) -> list[str]:
    return command(
        *("certify", "--base", base, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
        *("--subset", "first:60", "--n", 20_000, "--seed", 11, "--out", out, *more),
    )


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=300)


def wait_for_a_row(path: Path, process: subprocess.Popen[bytes]) -> int:
    """Inputs in the ledger, once there is one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            found = len(rows(path))
        except sqlite3.OperationalError:  # not made yet
            found = 0
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("no row was written while the process ran")


def test_killed_in_the_middle_it_ends_as_an_undisturbed_run(base, tmp_path):
    straight, broken = tmp_path / "straight.sqlite", tmp_path / "broken.sqlite"
    assert run(arguments(base, straight)).returncode == 0
    process = subprocess.Popen(
        arguments(base, broken),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    wait_for_a_row(broken, process)
    refused = run(arguments(base, broken))
    assert refused.returncode == 1
    assert "written by another process" in refused.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(rows(broken)) < 60
    # Another batch size draws the same noise and gets the same votes.
    resumed = run(arguments(base, broken, "--batch-size", 700))
    assert resumed.returncode == 0, resumed.stderr
    assert rows(broken) == rows(straight)
    assert len(rows(broken)) == 60
