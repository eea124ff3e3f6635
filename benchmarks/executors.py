"""What it costs to share a run out, and what it gains: each executor against none.

    python benchmarks/executors.py [--executors processes:2 ray:workers=2]
                                   [--images 500] [--n 10000] [--rounds 3] [--base DIR]

DIR holds a base classifier that `radii train` wrote; without it a LeNet is trained on `mnist5k` for
an epoch, into a folder that is thrown away. Everything has one thread a process, and every turn is
a run into a new ledger. In a round these take turns:

- `serial`: the whole run in this process;
- `apart`: as many processes as the executor has workers, that know nothing of each other; each
  does its share of the images by `serial`. They start together when all have loaded everything,
  and the last to end counts. No executor can do better on this machine: cores slow each other down
  where they share caches and memory;
- the executor, the start of its workers included. Its rows must be those of `serial`.

Printed are medians over the rounds. `faster` is the seconds of serial over those of the executor,
`at most` the same of `apart`, `longer` what the executor took longer than `apart`. `overhead` is
the share of the workers' time that no input got, by the seconds that stand in the ledger: it does
not depend on how fast the cores are at the moment. Most of it is the start of the workers, whose
seconds until the first result stand beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
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
        busy: Of all workers together, spent on inputs.
        rows: All that must be the same.
    """

    seconds: float
    start: float
    busy: float
    rows: list[EvaluatedRow]


@dataclass(frozen=True)
class Round:
    """What took turns.

    Attributes:
        serial: One process.
        alone: Seconds of processes apart, by their number.
        turns: Of each executor.
    """

    serial: Turn
    alone: dict[int, float]
    turns: dict[str, Turn]


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
    rows = list(ledger.rows())
    busy = sum(row.seconds for row in rows)
    return Turn(seconds, first[0], busy, [replace(row, seconds=0.0) for row in rows])


def one_apart(directory: Path, images: int, n: int, folder: Path, ready: Barrier) -> None:
    """One of several processes: loads everything, waits for the others, does its run."""
    torch.set_num_threads(1)
    run = run_of(directory, images, n)
    run.smoothed.base(run.dataset[0][0][None])  # what the first pass alone must load
    ready.wait()
    run.certify(folder / f"apart-{os.getpid()}-{time.monotonic_ns()}.sqlite")


def apart(count: int, directory: Path, images: int, n: int, folder: Path) -> float:
    """Seconds of so many runs side by side, of a share of the images each."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(count + 1)
    about = (directory, images // count, n, folder, ready)
    processes = [context.Process(target=one_apart, args=about) for _ in range(count)]
    for process in processes:
        process.start()
    ready.wait(timeout=300)
    started = time.perf_counter()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a run of its own has failed")
    return time.perf_counter() - started


def workers_of(executor: Executor) -> int:
    """How many processes do the work."""
    count = getattr(executor, "workers", 1)
    if count is None:
        raise SystemExit("give the number of workers: ray:workers=2")
    return int(count)


def summary(spec: str, workers: int, rounds: list[Round]) -> Row:
    """Medians over the rounds."""
    turns = [(one.serial.seconds, one.alone[workers], one.turns[spec]) for one in rounds]

    def median(values: Iterable[float], digits: int) -> float:
        return round(statistics.median(values), digits)

    return {
        "executor": spec,
        "serial_seconds": median((serial for serial, _, _ in turns), 2),
        "apart_seconds": median((alone for _, alone, _ in turns), 2),
        "seconds": median((turn.seconds for _, _, turn in turns), 2),
        "start_seconds": median((turn.start for _, _, turn in turns), 2),
        "faster": median((serial / turn.seconds for serial, _, turn in turns), 3),
        "at_most": median((serial / alone for serial, alone, _ in turns), 3),
        "longer": median((turn.seconds / alone - 1 for _, alone, turn in turns), 4),
        "overhead": median((1 - turn.busy / turn.seconds / workers for _, _, turn in turns), 4),
    }


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executors", nargs="+", default=["processes:2", "ray:workers=2"])
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
            f"{'executor':20}{'serial s':>10}{'apart s':>10}{'seconds':>10}{'start s':>10}"
            f"{'faster':>10}{'at most':>10}{'longer':>10}{'overhead':>10}"
        )
        executors = {}
        for spec in options.executors:
            if spec.startswith("ray") and importlib.util.find_spec("ray") is None:
                print(f'{spec:20}left out: pip install "radii[ray]"')
            else:
                executors[spec] = EXECUTORS.build(spec)
        counts = {workers_of(executor) for executor in executors.values()}
        if any(options.images % count for count in counts):
            raise SystemExit("the number of images must be a multiple of the number of workers")
        rounds = []
        for _ in range(options.rounds):
            serial = turn(run, Serial(), folder)
            alone = {
                count: apart(count, directory, options.images, options.n, folder)
                for count in counts
            }
            turns = {spec: turn(run, executor, folder) for spec, executor in executors.items()}
            if wrong := [spec for spec, other in turns.items() if other.rows != serial.rows]:
                raise SystemExit(f"the rows of {wrong[0]} are not those of serial")
            rounds.append(Round(serial, alone, turns))
        for spec, executor in executors.items():
            row = summary(spec, workers_of(executor), rounds)
            rows.append(row)
            print(
                "{:20}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10.1%}{:>10.1%}".format(*row.values()),
                flush=True,
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
