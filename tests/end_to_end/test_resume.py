from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from tests.end_to_end.conftest import command, environment

COLUMNS = (
    '"index", label, prediction, radius, pA_lower, pB_upper, n0_votes, n_votes, samples, claim'
)


def rows(path: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(f'SELECT {COLUMNS} FROM inputs ORDER BY "index"').fetchall()
    finally:
        connection.close()


def arguments(base: Path | str, out: Path, *more: object) -> list[str]:
    line = (
        *("certify", "--base", base, "--data", "mnist5k", "--noise", "gaussian:sigma=0.5"),
        *("--subset", "first:60", "--n", 6_000, "--seed", 11, "--out", out, *more),
    )
    return list(map(str, line))


def started(line: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*line), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )


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


def kill_in_the_middle(line: list[str], path: Path) -> None:
    process = started(line)
    wait_for_a_row(path, process)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_in_the_middle_it_ends_as_an_undisturbed_run(radii, base, tmp_path):
    straight, broken = tmp_path / "straight.sqlite", tmp_path / "broken.sqlite"
    assert radii(*arguments(base, straight)).returncode == 0
    process = started(arguments(base, broken))
    wait_for_a_row(broken, process)
    process.send_signal(signal.SIGSTOP)
    refused = radii(*arguments(base, broken))
    assert refused.returncode == 1
    assert "written by another process" in refused.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(rows(broken)) < 60
    # Another batch size draws the same noise and gets the same votes.
    resumed = radii(*arguments(base, broken, "--batch-size", 700))
    assert resumed.returncode == 0, resumed.stderr
    assert rows(broken) == rows(straight)
    assert len(rows(broken)) == 60


EARLY = ("--subset", "first:100", "--n", 8_000)
GRID = "radii:0,0.25,0.5,0.75,1"


def test_a_run_that_stops_early_is_resumed(radii, base, tmp_path, capsys):
    from radii.cli.main import run as here

    straight, broken = tmp_path / "straight.sqlite", tmp_path / "broken.sqlite"
    stop = (*EARLY, "--stop", GRID)
    assert radii(*arguments(base, straight, *stop)).returncode == 0
    kill_in_the_middle(arguments(base, broken, *stop), broken)
    held = len(rows(broken))
    assert 0 < held < 100

    for other in ("radii:0,0.25,0.5,0.75", "at_radius:0.5", "never"):
        assert here(arguments(base, broken, *EARLY, "--stop", other)) == 1
        said = capsys.readouterr().err
        assert "holds a run with stop 'radii:radii=0/0.25/0.5/0.75/1', not" in said
        assert len(rows(broken)) == held

    resumed = radii(*arguments(base, broken, *stop, "--batch-size", 700))
    assert resumed.returncode == 0, resumed.stderr
    found = rows(broken)
    assert found == rows(straight)
    assert len(found) == 100
    samples = [row[-2] for row in found]
    assert len(set(samples)) > 3
    assert max(samples) <= 8_100
    claims = [json.loads(row[-1]) for row in found]
    assert all(0 <= votes <= draws for draws, votes in claims)
    assert all(draws < spent for (draws, _), spent in zip(claims, samples, strict=True))

    assert here(["report", str(broken), "--format", "json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["runs"]
    assert summary["stop"] == "radii:radii=0/0.25/0.5/0.75/1"
    assert summary["samples_total"] == sum(samples) < 0.7 * 100 * 8_100
    for form in ("md", "html"):
        page = tmp_path / f"report.{form}"
        assert here(["report", str(broken), "--out", str(page)]) == 0
        assert "ACR is a lower bound of the one at n=8,000" in page.read_text()
        assert "radii=0/" in page.read_text()
    capsys.readouterr()
    assert here(["report", str(broken)]) == 0
    table = " ".join(capsys.readouterr().out.split())
    assert "stopped early (radii:" in table
    assert "so its ACR is a lower bound" in table
