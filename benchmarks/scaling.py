"""What certifying costs, by number of images, n, input dimension and number of classes.

    python benchmarks/scaling.py [--only images n dimension classes memory ledgers] [--scale 1]
                                 [--rounds 3] [--device cpu]

The base classifier is tiny, so that what is measured is everything around it. Each setting has a
process of its own in each round, in which a short run comes first; printed are medians of the wall
time of the run and of draws per second, and the largest peak of resident memory, torch included.
The last row has a limit: one image of 224 x 224 at n = 100,000 has to stay under 2 GB.

Then a synthetic ledger of 50,000 inputs with 1,000 classes: seconds to open it and to report it,
each with the peak memory of a process of its own; under 1 GB, and opened in under 2 s. Under noise,
votes fall on few classes: in the ledger of `some` on 1 to 40 in each input. In that of `all` every
class of every input has one, the worst that can be.

`--scale 0.01` divides n and the ledger's inputs by 100, for a trial.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, machine
from torch import nn

from radii.evaluation import Ledger, LedgerWriter
from radii.evaluation.ledger import Row as LedgerRow
from radii.evaluation.report import Report
from radii.noise import Gaussian
from radii.smoothing import SamplingPlan, SmoothedClassifier

IMAGES, N, SHAPE, CLASSES = 10, 10_000, (1, 28, 28), 10  # where nothing else is said
N_LARGE, IMAGE_MB = 100_000, 2000
INPUTS, LEDGER_CLASSES, LEDGER_MB, OPEN_SECONDS = 50_000, 1000, 1000, 2.0
ROWS_A_COMMIT = 500
WHAT = ("images", "n", "dimension", "classes", "memory", "ledgers")


def settings() -> Iterator[Row]:
    """What is varied, its value, and the setting."""
    common: Row = {"images": IMAGES, "n": N, "shape": SHAPE, "classes": CLASSES}
    for images in (1, 10, 100, 1000):
        yield {**common, "varied": "images", "images": images}
    for n in (1_000, 10_000, 100_000, 1_000_000):
        yield {**common, "varied": "n", "n": n}
    for side in (32, 64, 128, 224):
        yield {**common, "varied": "dimension", "images": 1, "shape": (3, side, side)}
    for classes in (2, 10, 100, 1000, 10_000):
        yield {**common, "varied": "classes", "classes": classes}
    yield {**common, "varied": "memory", "images": 1, "n": N_LARGE, "shape": (3, 224, 224)}


def tiny(channels: int, classes: int) -> nn.Module:
    """A base classifier with one small convolution."""
    layers = (
        nn.Conv2d(channels, 4, 3, stride=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(64, classes),
    )
    return nn.Sequential(*layers).eval()


def peak_mb() -> float:
    """The most memory that this process had resident, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def certify(images: int, n: int, shape: tuple[int, ...], classes: int, device: str) -> Row:
    """One run in this process: seconds and memory."""
    base = tiny(shape[0], classes).to(device)
    smoothed = SmoothedClassifier(base, Gaussian(0.5), classes, input_shape=shape)
    generator = torch.Generator().manual_seed(0)

    def run(images: int, n: int) -> None:
        inputs = ((i, torch.rand(shape, generator=generator)) for i in range(images))
        for _ in smoothed.certify_each(inputs, SamplingPlan(n=n, seed=0)):
            pass

    run(1, 100)
    started = time.perf_counter()
    run(images, n)
    return {"seconds": time.perf_counter() - started, "peak_mb": peak_mb()}


def write_ledger(path: str, inputs: int, most_classes: int) -> Row:
    """A ledger whose votes are made up: each input has votes for so many classes at most."""
    random = np.random.default_rng(0)
    spec = {"noise": "gaussian:sigma=0.5", "norm": "l2", "n0": 100, "n": N_LARGE, "alpha": 0.001}
    spec |= {"bound": "clopper_pearson", "certificate": "gaussian_l2", "seed": 0}
    with LedgerWriter(path, spec, {"versions": {}}) as ledger:
        for first in range(0, inputs, ROWS_A_COMMIT):
            ledger.add(
                [
                    _row(random, index, most_classes)
                    for index in range(first, min(first + ROWS_A_COMMIT, inputs))
                ]
            )
    return {"file_mb": Path(path).stat().st_size / 1e6}


def _row(random: np.random.Generator, index: int, most_classes: int) -> LedgerRow:
    voted = LEDGER_CLASSES if most_classes == LEDGER_CLASSES else random.integers(1, most_classes)
    classes = random.choice(LEDGER_CLASSES, voted, replace=False)
    share = 0.5 / len(classes) * np.ones(len(classes))
    share[0] += 0.5
    votes = random.multinomial(N_LARGE - len(classes), share) + 1  # so that none has no vote
    top = int(classes[0])
    return LedgerRow(
        index=index,
        label=top,
        prediction=top,
        radius=float(random.uniform(0, 2)),
        pA_lower=0.9,
        pB_upper=0.1,
        n0_votes={top: 100},
        n_votes=dict(zip(classes.tolist(), votes.tolist(), strict=True)),
        samples=N_LARGE + 100,
        seconds=0.1,
    )


def open_ledger(path: str) -> Row:
    """Until its spec and its length are known."""
    return _timed(lambda: len(Ledger(path)))


def report_ledger(path: str) -> Row:
    """As `radii report` does, without drawing."""
    return _timed(lambda: Report.of([Path(path)]))


def _timed(work: Callable[[], object]) -> Row:
    started = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - started, "peak_mb": peak_mb()}


def in_a_process(work: Callable[..., Row], *arguments: object) -> Row:
    """What `work` gives in a process of its own, so that memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        return fresh.apply(work, arguments)


def middle(turns: list[Row]) -> Row:
    """Median seconds and the largest peak."""
    return {
        "seconds": round(statistics.median(turn["seconds"] for turn in turns), 3),
        "peak_mb": round(max(turn["peak_mb"] for turn in turns)),
    }


def verdict(value: float, limit: float, unit: str) -> str:
    """Whether it is under its limit."""
    return f"{'under' if value < limit else 'NOT under'} {limit:g} {unit}"


def certifying(only: list[str], scale: float, rounds: int, device: str) -> list[Row]:
    """The first table."""
    print(f"{'varied':12}{'images':>8}{'n':>10}{'dimension':>11}{'classes':>9}"
          f"{'seconds':>10}{'draws/s':>12}{'peak MB':>9}")  # fmt: skip
    rows = []
    for setting in settings():
        if setting["varied"] not in only:
            continue
        varied, images, shape = setting["varied"], setting["images"], setting["shape"]
        n, classes = max(100, round(setting["n"] * scale)), setting["classes"]
        turns = [in_a_process(certify, images, n, shape, classes, device) for _ in range(rounds)]
        row: Row = {"varied": varied, "images": images, "n": n, "dimension": math.prod(shape)}
        row |= {"classes": classes, **middle(turns)}
        rates = [images * (n + 100) / turn["seconds"] for turn in turns]
        row["draws_per_second"] = round(statistics.median(rates))
        line = "{varied:12}{images:>8}{n:>10}{dimension:>11}{classes:>9}"
        line += "{seconds:>10}{draws_per_second:>12}{peak_mb:>9}"
        limit = f"  {verdict(row['peak_mb'], IMAGE_MB, 'MB')}" if varied == "memory" else ""
        print(line.format(**row) + limit, flush=True)
        rows.append(row)
    return rows


def ledgers(scale: float, rounds: int) -> list[Row]:
    """The second table."""
    inputs = max(1, round(INPUTS * scale))
    print(f"\na ledger of {inputs:,} inputs with {LEDGER_CLASSES:,} classes")
    print(f"{'votes for':12}{'file MB':>10}{'work':>10}{'seconds':>10}{'peak MB':>10}")
    rows: list[Row] = []
    works = {"open": open_ledger, "report": report_ledger}
    with tempfile.TemporaryDirectory() as folder:
        for voted, most_classes in (("some", 41), ("all", LEDGER_CLASSES)):
            path = str(Path(folder) / f"{voted}.radii")
            size = in_a_process(write_ledger, path, inputs, most_classes)["file_mb"]
            for name, work in works.items():
                row: Row = {"votes_for": voted, "file_mb": round(size, 1), "work": name}
                row |= middle([in_a_process(work, path) for _ in range(rounds)])
                rows.append(row)
                limits = verdict(row["peak_mb"], LEDGER_MB, "MB")
                if name == "open":
                    limits += f", {verdict(row['seconds'], OPEN_SECONDS, 's')}"
                line = "{votes_for:12}{file_mb:>10}{work:>10}{seconds:>10}{peak_mb:>10}"
                print(f"{line.format(**row)}  {limits}", flush=True)
            Path(path).unlink()
    return rows


def main() -> None:
    """Measures, prints two tables, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--scale", type=float, default=1.0, help="of n and of the ledger's inputs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    about = machine(torch.device(options.device))
    print(json.dumps(about))
    kept: Row = {"machine": about, "scale": options.scale, "rounds": options.rounds}
    kept["certifying"] = certifying(options.only, options.scale, options.rounds, options.device)
    if "ledgers" in options.only:
        kept["ledgers"] = ledgers(options.scale, options.rounds)
    keep(options.results, f"scaling-{options.device.partition(':')[0]}.json", kept)


if __name__ == "__main__":
    main()
