"""How long reports take: a browser of 120 runs of 10,000 inputs, and one run of a million.

    python benchmarks/reporting.py [--runs 120] [--inputs 10000] [--large 1000000]

The ledgers are made up: six objectives at four sigmas, votes that follow a beta law. What is timed
are the command lines `radii report FOLDER --out SITE`, `radii report FOLDER --out ALL.html` and
`radii report LARGE --out LARGE.html`, each in a process of its own, start included. Peak memory is
that of the process. The limits are 10 s for the browser, and 20 s and 2 GB for the large run.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, machine

from radii.bounds import ClopperPearson
from radii.certificates import find
from radii.evaluation import LedgerWriter
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray

OBJECTIVES = ("gaussian", "stability", "macer", "consistency", "smoothadv", "smoothmix")
SIGMAS, N, N0, ALPHA = (0.12, 0.25, 0.5, 1.0), 100_000, 100, 0.001
INSERT = "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)"
MEASURED = """
import resource, sys
from pathlib import Path
from radii.cli.main import run
code = run(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")  # the peak of usage counts who started the process, too
if status.exists():
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0])
print(peak, file=sys.stderr)
sys.exit(code)
"""


def tables() -> tuple[FloatArray, FloatArray, FloatArray]:
    """`(N + 1,)` what each count of votes gives: bounds on pA and pB, and the radius at sigma 1."""
    counts, bound = np.arange(N + 1), ClopperPearson()
    lower, upper = bound.lower(counts, N, ALPHA), bound.upper(N - counts, N, ALPHA)
    return lower, upper, find(Gaussian(1.0), "l2").radius(ClassBounds(lower, upper))


def write_ledger(
    path: Path, inputs: int, number: int, table: tuple[FloatArray, FloatArray, FloatArray]
) -> None:
    """Writes a ledger as `radii certify` would leave it."""
    generator = np.random.default_rng(number)
    sigma, objective = SIGMAS[number % 4], OBJECTIVES[number // 4 % 6]
    spec = {
        **{"noise": f"gaussian:sigma={sigma}", "norm": "l2", "certificate": "gaussian_l2"},
        **{"bound": "clopper_pearson", "stop": "never", "alpha": ALPHA, "n0": N0, "n": N},
        **{"subset": "all", "data_fingerprint": "ab" * 32, "data_examples": inputs},
        **{"base_sha256": f"{number:064x}", "seed": number, "base_seed": number // 24},
        "base_training": {"objective": objective, "epochs": 90},
    }
    with LedgerWriter(path, spec, {}):
        pass
    votes = generator.binomial(N, generator.beta(8, 0.5, inputs))
    lower, upper, radius = (each[votes].tolist() for each in table)
    label = generator.integers(0, 10, inputs).tolist()
    right = (generator.random(inputs) < 0.95).tolist()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            INSERT,
            (
                (
                    *(i, y, (y if right[i] else (y + 1) % 10) if radius[i] > 0 else None),
                    *(sigma * radius[i], lower[i], upper[i], json.dumps({y: N0})),
                    *(json.dumps({y: k, (y + 2) % 10: N - k}), N0 + N, 0.1),
                )
                for i, (y, k) in enumerate(zip(label, votes.tolist(), strict=True))
            ),
        )


def measured(arguments: Sequence[str]) -> Row:
    """Seconds, processor seconds and peak memory of a command line."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True
    )
    wall, after = time.perf_counter() - started, os.times()
    spent = after.children_user + after.children_system - before.children_user
    peak = int(done.stderr.split()[-1])
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(spent - before.children_system, 2),
        "peak_mb": round(peak / (1e6 if sys.platform == "darwin" else 1e3)),
    }


def main() -> None:
    """Prints seconds and megabytes, and keeps them with the machine."""
    parser = argparse.ArgumentParser(description="Reports of many runs, and of a large one.")
    parser.add_argument("--runs", type=int, default=120)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    table = tables()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "runs").mkdir()
        for number in range(arguments.runs):
            path = folder / "runs" / f"{number:03}.sqlite"
            write_ledger(path, arguments.inputs, number, table)
        write_ledger(folder / "large.sqlite", arguments.large, 0, table)
        lines = {
            "browser": [str(folder / "runs"), "--out", str(folder / "site")],
            "one page": [str(folder / "runs"), "--out", str(folder / "all.html")],
            "large run": [str(folder / "large.sqlite"), "--out", str(folder / "large.html")],
        }
        rows = {name: measured(["report", *line]) for name, line in lines.items()}
        rows["browser"]["mb"] = round(
            sum(each.stat().st_size for each in (folder / "site").rglob("*.html")) / 1e6, 1
        )
        for name, file in (("one page", "all.html"), ("large run", "large.html")):
            rows[name]["mb"] = round((folder / file).stat().st_size / 1e6, 2)
    print(f"{arguments.runs} runs of {arguments.inputs:,} inputs, and one of {arguments.large:,}")
    print(f"{'':10}{'s':>8}{'cpu s':>8}{'peak MB':>9}{'MB out':>8}")
    for name, row in rows.items():
        print(
            f"{name:10}{row['seconds']:>8}{row['cpu_seconds']:>8}{row['peak_mb']:>9}{row['mb']:>8}"
        )
    print("limits: 10 s for the browser; 20 s and 2,000 MB for the large run")
    content: Row = {"machine": machine(torch.device("cpu"))}
    content |= {each: getattr(arguments, each) for each in ("runs", "inputs", "large")}
    keep(arguments.results, "reporting.json", {**content, "measured": rows})


if __name__ == "__main__":
    main()
