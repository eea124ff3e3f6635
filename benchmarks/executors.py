"""What it costs to share a run out, and what it gains: each executor against one process.

    python benchmarks/executors.py [--executors processes:1 processes:2 ray:workers=2]
                                   [--images 500] [--n 10000] [--rounds 3] [--base DIR]

DIR holds a base classifier that `radii train` wrote; without it a LeNet is trained on `mnist5k` for
an epoch, into a folder that is thrown away. Everything has one thread a process: the reference is
`serial`, in this process, with one thread, and each executor takes turns with it. Every turn is a
whole run into a new ledger, the start of workers included; the rows of all must be equal.

Printed are medians over the rounds. `faster` is the seconds of serial over those of the executor.
`overhead` is the share of the workers' time that is no work: 1 - faster / workers. It counts the
start of the workers, whose seconds, until the first result, stand beside it, and the `rest`
without them. With more workers than free cores it also counts that they wait for each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it, and for the workers

import torch
from common import RESULTS, Row, keep, machine

from radii.data import Subset, load
from radii.evaluation import Ledger, Run
from radii.evaluation import Row as EvaluatedRow
from radii.executors import EXECUTORS, Executor, Serial
from radii.models import LeNet, load_base
from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.training import Training, TrainingPlan

SIGMA, SEED = 0.5, 1


@dataclass(frozen=True)
class Turn:
    """One run.

    Attributes:
        seconds: In all.
        start: Of them, until the first result.
        rows: All that must be the same.
    """

    seconds: float
    start: float
    rows: list[EvaluatedRow]


def run_of(directory: Path, images: int, n: int) -> Run:
    """The run that all executors do."""
    base = load_base(str(directory))
    return Run(
        smoothed=SmoothedClassifier(
            base.module, Gaussian(SIGMA), 10, input_shape=base.input_shape, device="cpu"
        ),
        base=base,
        dataset=load("mnist5k"),
        subset=Subset.parse(f"first:{images}"),
        plan=SamplingPlan(n=n, seed=SEED),
    )


def train(directory: Path) -> None:
    """A LeNet, trained under noise for an epoch."""
    plan = TrainingPlan(epochs=1, batch_size=64, lr=0.05)
    data, objective, noise = load("mnist5k@train"), GaussianAugmentation(), Gaussian(SIGMA)
    Training(LeNet(), data, noise, objective, plan, torch.device("cpu")).train(directory)


def turn(run: Run, executor: Executor, folder: Path) -> Turn:
    """Runs into a new ledger."""
    path = folder / f"{time.monotonic_ns()}.sqlite"
    first: list[float] = []
    started = time.perf_counter()

    def on_input() -> None:
        if not first:
            first.append(time.perf_counter() - started)

    ledger: Ledger = run.certify(path, executor=executor, on_input=on_input)
    seconds = time.perf_counter() - started
    rows = [replace(row, seconds=0.0) for row in ledger.rows()]
    return Turn(seconds, first[0], rows)


def workers_of(executor: Executor) -> int:
    """How many processes do the work."""
    count = getattr(executor, "workers", 1)
    if count is None:
        raise SystemExit("give the number of workers: ray:workers=2")
    return int(count)


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--executors", nargs="+", default=["processes:1", "processes:2", "ray:workers=2"]
    )
    parser.add_argument("--base", type=Path, help="directory that `radii train` wrote")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = {**machine(torch.device("cpu")), "cores": os.cpu_count()}
    print(json.dumps(about))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        directory = options.base or folder / "base"
        if options.base is None:
            train(directory)
        run = run_of(directory, options.images, options.n)
        print(f"{options.images} images of mnist5k, n = {options.n:,}, one thread a process")
        print(
            f"{'executor':20}{'serial s':>10}{'seconds':>10}{'start s':>10}{'faster':>10}"
            f"{'overhead':>10}{'rest':>10}"
        )
        for spec in options.executors:
            if spec.startswith("ray") and importlib.util.find_spec("ray") is None:
                print(f'{spec:20}left out: pip install "radii[ray]"')
                continue
            executor = EXECUTORS.build(spec)
            workers = workers_of(executor)
            pairs = []
            for _ in range(options.rounds):
                pair = turn(run, Serial(), folder), turn(run, executor, folder)
                if pair[0].rows != pair[1].rows:
                    raise SystemExit(f"the rows of {spec} are not those of serial")
                pairs.append(pair)
            faster = statistics.median(one.seconds / other.seconds for one, other in pairs)
            rest = statistics.median(
                1 - (one.seconds - one.start) / (other.seconds - other.start) / workers
                for one, other in pairs
            )
            row: Row = {
                "executor": spec,
                "serial_seconds": round(statistics.median(one.seconds for one, _ in pairs), 2),
                "seconds": round(statistics.median(other.seconds for _, other in pairs), 2),
                "start_seconds": round(statistics.median(other.start for _, other in pairs), 2),
                "faster": round(faster, 3),
                "overhead": round(1 - faster / workers, 4),
                "rest": round(rest, 4),
            }
            rows.append(row)
            print(
                "{:20}{:>10}{:>10}{:>10}{:>10}{:>10.1%}{:>10.1%}".format(*row.values()), flush=True
            )
    keep(
        options.results,
        "executors-cpu.json",
        {
            "machine": about,
            "data": "mnist5k",
            "images": options.images,
            "base": str(options.base or "lenet, trained for 1 epoch"),
            "n": options.n,
            "rounds": options.rounds,
            "held_equal": "rows, weights, images, threads a process, machine; in turns",
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
