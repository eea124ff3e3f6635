"""Kills commands again and again at random moments, and compares what they end with.

    python tools/kill_test.py --kills 200

Each command of `certify`, `train`, `attack` and `import` is run undisturbed once. Then it is
started, killed with SIGKILL after a random time and started again, until it ends; then from the
beginning. After each kill what was finished before must still be there, and nothing else than what
the undisturbed run has. Commands are forks of one process that has imported everything, so that a
kill costs a fraction of a second, and inputs are committed one by one, so that many kills come
while a file is written. Prints a line a command; exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import radii.evaluation.run as run_module
from radii.cli.main import run as run_command

_UNEVEN = ("seconds", "checksum")  # of a row; the latter is over the former, too
_NOTES = ("created", "git_revision")


@dataclass(frozen=True)
class Command:
    """A command that resumes.

    Attributes:
        name: Of it.
        line: From what it is to write to its arguments.
        held: From what it wrote, if anything, to what of it must not change.
        whole: Whether what it writes appears at once, and it refuses to go on with it.
    """

    name: str
    line: Callable[[Path], list[str]]
    held: Callable[[Path], Mapping[Any, Any]]
    whole: bool = False


@dataclass
class Outcome:
    """What was found for a command."""

    kills: int = 0
    finished: int = 0
    in_work: int = 0  # kills after which something, but not all, was there
    differences: int = 0


def rows_of(path: Path) -> dict[Any, Any]:
    """The rows of a ledger by index, and its spec, but for times."""
    if not path.is_file() or not path.stat().st_size:
        return {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        found: dict[Any, Any] = {
            key: value
            for key, value in connection.execute("SELECT key, value FROM meta")
            if key not in _NOTES
        }
        table = "attacks" if '"radii-attack' in found["format"] else "inputs"
        cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608
        names = [column[0] for column in cursor.description]
        for row in cursor:
            kept = zip(names, row, strict=True)
            found[row[0]] = [value for name, value in kept if name not in _UNEVEN]
    return found


def tree_of(folder: Path) -> dict[Any, Any]:
    """The rows of all ledgers in a folder."""
    return {
        (path.name, key): value
        for path in sorted(folder.glob("*"))
        for key, value in rows_of(path).items()
    }


def epochs_of(folder: Path) -> dict[Any, Any]:
    """The metrics of all epochs, and at the end the weights."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines()]
    found: dict[Any, Any] = {
        record["epoch"]: [value for key, value in record.items() if "second" not in key]
        for record in records
    }
    described = json.loads((folder / "model.json").read_text())
    if described["epochs_done"] == described["epochs"]:
        found["weights"] = (folder / "model.safetensors").read_bytes()
        found["description"] = described
    return found


def commands(folder: Path) -> list[Command]:
    """The four commands, over data that is made in the folder."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    x = rng.integers(0, 160, (len(y), 1, 8, 8), dtype=np.uint8)
    x[y == 1, :, :, :4] += 60
    np.savez(folder / "toy.npz", x=x, y=y)
    data = ("--data", f"npz:{folder / 'toy.npz'}", "--noise", "gaussian:sigma=0.2")
    trained = ("train", *data, "--base", "mlp:hidden=16,depth=1", "--batch-size", "32")
    _must_work([*trained, "--epochs", "2", "--lr", "0.1", "--out", str(folder / "base")])
    logs = folder / "logs"
    logs.mkdir()
    for number in range(8):
        lines = [f"{i}\t{i % 3}\t{i % 3}\t{0.5 + i / 999:.3}\t1\t0:00:01.5" for i in range(100)]
        text = "\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *lines])
        (logs / f"noise_0.5_{number}").write_text(text + "\n")
    based = ("--base", str(folder / "base"), *data, "--seed", "3")
    certified = ("certify", *based, "--subset", "first:60", "--n", "6000", "--batch-size", "1000")
    attacked = ("attack", *based, "--subset", "first:60", "--n", "300", "--batch-inputs", "2")
    steps = ("--attack", "pgd_l2:epsilon=0.3,steps=4", "--draws", "8")
    long = ("--epochs", "15", "--lr", "0.01", "--validate", "20", "--ema", "0.9", "--resume")
    imported = ("import", str(logs), "--noise", "gaussian:sigma=0.5")

    def to(*line: str) -> Callable[[Path], list[str]]:
        return lambda out: [*line, "--out", str(out)]

    return [
        Command("certify", to(*certified), rows_of),
        Command("train", to(*trained, *long), epochs_of),
        Command("attack", to(*attacked, *steps), rows_of),
        Command("import", to(*imported), tree_of, whole=True),
    ]


def _must_work(line: list[str]) -> None:
    process = started(line)
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"this must work: radii {' '.join(line)}")


def started(line: list[str], modules: Path | None = None) -> int:
    """The number of a process that runs a command line.

    Args:
        line: What comes after `radii`.
        modules: Where to write the names of all modules that were imported.
    """
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        run_module._SECONDS_BETWEEN_COMMITS = -1.0
        code = run_command(line)
        if modules is not None:
            modules.write_text("\n".join(sys.modules))
    finally:
        os._exit(code)


def _import_all_of(line: list[str], listed: Path) -> None:
    """Imports here what a command imports, so that its forks need no time for it."""
    os.waitpid(started(line, listed), 0)
    for name in listed.read_text().splitlines():
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def killed(command: Command, kills: int, folder: Path, rng: random.Random) -> Outcome:
    """Kills a command so many times, and lets it end after the last of them."""
    folder.mkdir()
    _import_all_of(command.line(folder / "first"), folder / "modules")
    straight = folder / "straight"
    start = time.monotonic()
    _must_work(command.line(straight))
    seconds = time.monotonic() - start
    expected = command.held(straight)
    result = Outcome()
    out, before, under_way = folder / "0", set[Any](), False
    while result.kills < kills or under_way:
        process = started(command.line(out))
        if result.kills < kills:
            time.sleep(rng.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        code = os.waitstatus_to_exitcode(status)
        found = command.held(out)
        wrong = [key for key, value in found.items() if expected.get(key) != value]
        lost = before - found.keys()
        result.differences += bool(wrong or lost)
        if wrong or lost:
            print(f"{command.name}: {out} differs in {wrong[:5]}, lost {list(lost)[:5]}")
        before = set(found)
        if code == -signal.SIGKILL:
            result.kills += 1
            result.in_work += 0 < len(found) < len(expected)
            under_way = not (command.whole and found)
            if under_way:
                continue
        if code not in (0, -signal.SIGKILL) or found != expected:
            print(f"{command.name}: {out} ended with code {code}, equal {found == expected}")
            result.differences += 1
        result.finished += 1
        out, before, under_way = folder / str(result.finished), set(), False
    return result


def main(arguments: list[str] | None = None) -> int:
    """Kills all commands; the exit code is 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", help="one command")
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    rng = random.Random(given.seed)  # noqa: S311
    differences = 0
    with tempfile.TemporaryDirectory() as name:
        chosen = [c for c in commands(Path(name)) if given.only in (None, c.name)]
        for i, command in enumerate(chosen):
            share = given.kills // len(chosen) + (i < given.kills % len(chosen))
            found = killed(command, share, Path(name) / command.name, rng)
            differences += found.differences
            print(
                f"{command.name}: {found.kills} kills, {found.in_work} of them in the middle of "
                f"the work, {found.finished} runs to their end, {found.differences} differences",
                flush=True,
            )
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
