"""How long it takes to import the logs of a paper: 120 of them, with 10,000 rows each.

    python benchmarks/importing.py [--logs 120] [--rows 10000]

The logs are made up, in the layout of the published code: six methods at three sigmas, radii of
votes that follow a beta law, three significant digits. What is timed is `import_results`, from text
to ledgers on disk; it works in one thread. The limit for 120 logs is 60 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, machine

from radii.bounds import ClopperPearson
from radii.certificates import find
from radii.evaluation.importers import Pattern, Settings, import_results
from radii.noise import Gaussian
from radii.records import ClassBounds, FloatArray

METHODS, SIGMAS, N, ALPHA, LIMIT = 6, (0.25, 0.5, 1.0), 100_000, 0.001, 60.0


def radii_by_count(sigma: float) -> FloatArray:
    """`(N + 1,)` the radius that each count of votes certifies."""
    counts, bound = np.arange(N + 1), ClopperPearson()
    bounds = ClassBounds(bound.lower(counts, N, ALPHA), bound.upper(N - counts, N, ALPHA))
    return find(Gaussian(sigma), "l2").radius(bounds)


def write_logs(folder: Path, logs: int, rows: int) -> None:
    """Writes logs as the published code does."""
    generator = np.random.default_rng(0)
    tables = {sigma: radii_by_count(sigma) for sigma in SIGMAS}
    for number in range(logs):
        sigma = SIGMAS[number % len(SIGMAS)]
        method = number // len(SIGMAS) % METHODS
        votes = generator.binomial(N, generator.beta(8, 0.5, rows))
        radius = tables[sigma][votes]
        label = generator.integers(0, 10, rows)
        answer = np.where(radius == 0, -1, (label + (generator.random(rows) < 0.1)) % 10)
        seconds = generator.uniform(0.2, 0.4, rows)
        path = folder / f"method{method}" / f"noise_{sigma}_{number}"
        path.parent.mkdir(exist_ok=True)
        with path.open("w") as file:
            file.write("idx\tlabel\tpredict\tradius\tcorrect\ttime\n")
            for i in range(rows):
                file.write(
                    f"{i}\t{label[i]}\t{answer[i]}\t{radius[i]:.3}\t{int(label[i] == answer[i])}\t"
                    f"0:00:0{seconds[i]:.6f}\n"
                )


def main() -> None:
    """Prints seconds, and keeps them with the machine."""
    parser = argparse.ArgumentParser(description="Importing the logs of a paper, in seconds.")
    parser.add_argument("--logs", type=int, default=120)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        logs, out = Path(temporary) / "logs", Path(temporary) / "out"
        logs.mkdir()
        write_logs(logs, arguments.logs, arguments.rows)
        before, started = os.times(), time.perf_counter()
        written = import_results([logs], out, Settings(), pattern=Pattern("noise_{sigma}_{seed}"))
        wall, after = time.perf_counter() - started, os.times()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inputs = sum(len(imported.columns) for _, imported in written.ledgers)
    row: Row = {
        "logs": arguments.logs,
        "inputs": inputs,
        "seconds": round(wall, 2),
        "cpu_seconds": round(after.user + after.system - before.user - before.system, 2),
        "inputs/s": round(inputs / wall),
        "peak_mb": round(peak / (1e6 if sys.platform == "darwin" else 1e3)),
    }
    for name, value in row.items():
        print(f"{name:12}{value:>12}")
    print(f"limit for 120 logs of 10,000 rows: {LIMIT:.0f} s")
    keep(arguments.results, "importing.json", {"machine": machine(torch.device("cpu")), **row})


if __name__ == "__main__":
    main()
