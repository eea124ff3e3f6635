"""How many samples a second: this library, the pure forward pass, the published loop and ART.

    python benchmarks/throughput.py [--networks lenet resnet20 ...] [--modes float32 bfloat16 ...]
                                    [--rounds 9] [--seconds 2] [--device cpu]

For each network and mode the sides take turns, the last three in processes of their own, with the
allocator as it comes:

- `noisy`: the sampling engine on four inputs: noise, forward pass, votes;
- `pure`: the same module in the same mode and memory layout (channels_last) on a batch of noisy
  copies that is there beforehand, nothing else. (Without noise it would be faster: ReLUs and
  poolings would decide alike for every row.) Its batch size, the layout of its input and its way
  to use the cores (torch's own threads in each pass, or one single-threaded pass a core) are the
  fastest that a probe finds; in compiled modes it tries every other batch size, and NCHW input
  only;
- `loop`: the published per-image loop in float32, NCHW, at the best batch that a probe finds;
- `usual`: the same loop at the batch of published scripts, 400 (64 for EfficientNet-Lite0);
- `art`: the randomized smoothing of adversarial-robustness-toolbox, float32, at its best batch.

Printed are medians of samples per second and medians of the ratios of neighbouring turns:
`noisy` over each other side, and `loop` over `pure`. Compiled modes take seconds to minutes to
compile, which is not part of any turn.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from common import (
    BATCHES_ELSEWHERE,
    MODES,
    NETWORKS,
    RESULTS,
    Apart,
    Network,
    Row,
    Side,
    fastest,
    is_compiled,
    keep,
    machine,
    take_turns,
)
from common import processor as processor
from published_loop import PublishedLoop, as_published
from torch import Tensor, nn

from radii.noise import Gaussian
from radii.smoothing import Request, Sampler

SIGMA = 0.5
BLOCK = 100
INPUTS = 4
Layouts = list[torch.memory_format]
ART = "art.estimators.certification.randomized_smoothing"
ITS_INTERVALS = "statsmodels.stats.proportion"  # imported when it certifies
MOST_BYTES = 1 << 30  # of a batch of inputs
HELD_EQUAL = (
    "the network and its weights, the inputs, sigma, the number of classes, the machine and the "
    "moment: the sides take turns; all sides may use all cores. noisy and pure share the module, "
    "the process and its allocator; loop, usual and art have a copy in float32, NCHW and the order "
    "of layers of the published scripts, in a process of its own with the allocator as it comes"
)


def noisy(network: Network, base: nn.Module, inputs: Tensor, device: torch.device) -> Side:
    """The sampling engine."""
    sampler = Sampler(
        base=base,
        noise=Gaussian(SIGMA),
        num_classes=network.num_classes,
        seed=0,
        block=BLOCK,
        device=device,
    )

    def work(samples: int) -> None:
        draws = samples // INPUTS
        for _ in sampler.run(Request(i, x, {"estimation": draws}) for i, x in enumerate(inputs)):
            pass

    blocks = -(-torch.get_num_threads() // INPUTS)  # of an input, so that each core gets as many
    return Side("noisy", work, INPUTS * BLOCK * blocks, {"block": BLOCK})


def pure(
    prepare: Callable[[], nn.Module], x: Tensor, batches: tuple[int, ...], layouts: Layouts
) -> Iterator[Side]:
    """Every way to run the pure forward pass."""
    for layout in layouts:
        for rows in batches:
            batch = noisy_copies(x, rows).contiguous(memory_format=layout)
            about = {"batch": rows, "input": str(layout).removeprefix("torch.")}
            yield Side("pure", passes(prepare(), batch), rows, about | {"cores": "torch's threads"})
            cores = torch.get_num_threads()
            if not x.is_cuda and cores > 1:
                work = passes_on_cores(prepare(), batch)
                yield Side("pure", work, rows * cores, about | {"cores": "one pass a core"})


def noisy_copies(x: Tensor, rows: int) -> Tensor:
    """What the engine gives the module in a pass."""
    copies = x.repeat(rows, 1, 1, 1)
    return copies + Gaussian(SIGMA).draw(copies.shape, generator=torch.Generator(x.device))


def passes(base: nn.Module, x: Tensor) -> Callable[[int], None]:
    """Forward passes one after the other."""

    @torch.no_grad()
    def work(samples: int) -> None:
        for _ in range(-(-samples // len(x))):
            base(x)

    return work


def passes_on_cores(base: nn.Module, x: Tensor) -> Callable[[int], None]:
    """As many forward passes at a time as there are cores, each in a thread on one core."""
    one = passes(base, x)

    def work(samples: int) -> None:
        cores = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as p:
                list(p.map(one, [samples // cores] * cores))
        finally:
            torch.set_num_threads(cores)

    return work


def loop_at(loop: Apart, batch: int) -> Side:
    """The published loop at a batch size."""
    return Side("loop", lambda n: loop(n, batch), batch, {"batch": batch})


def votes_apart(base: nn.Module, num_classes: int, x: Tensor) -> Apart:
    """The votes of the published loop for one input, in a process of its own."""
    return Apart(partial(PublishedLoop(base, num_classes, SIGMA).votes, x))


@dataclass
class Toolbox:
    """adversarial-robustness-toolbox."""

    module: nn.Module
    num_classes: int
    x: Tensor

    def __call__(self, samples: int, batch: int) -> None:
        """Certifies the input; its selection takes a batch, its estimation the rest."""
        self._smoothing(batch).certify(self._values, n=samples - batch, batch_size=batch)

    @cached_property
    def _values(self) -> npt.NDArray[np.float32]:
        return self.x.cpu().numpy()[None].astype(np.float32)

    @cached_property
    def _made(self) -> dict[int, Any]:
        return {}

    def _smoothing(self, batch: int) -> Any:
        if batch not in self._made:
            toolbox = importlib.import_module(ART)
            self._made[batch] = toolbox.PyTorchRandomizedSmoothing(
                model=self.module,
                loss=nn.CrossEntropyLoss(),
                input_shape=tuple(self.x.shape),
                nb_classes=self.num_classes,
                device_type="gpu" if self.x.is_cuda else "cpu",
                sample_size=batch,
                scale=SIGMA,
            )
        return self._made[batch]


def art(network: Network, module: nn.Module, x: Tensor, batches: tuple[int, ...]) -> list[Side]:
    """adversarial-robustness-toolbox at every batch size; empty if it is not installed."""
    try:
        importlib.import_module(ART)
        importlib.import_module(ITS_INTERVALS)
    except ImportError as error:
        print(f"art is left out, since it is not installed or lacks a package: {error}")
        return []
    toolbox = Apart(Toolbox(module, network.num_classes, x))
    return [
        Side("art", partial(lambda batch, n: toolbox(n, batch), batch), 2 * batch, {"batch": batch})
        for batch in batches
    ]


def measure(
    name: str, modes: list[str], device: torch.device, rounds: int, seconds: float
) -> Iterator[Row]:
    """The rows of one network."""
    network = NETWORKS[name]
    cpu = device.type == "cpu"
    plain = network.build().to(device)
    module: nn.Module = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = as_published(plain)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((INPUTS, *network.shape), generator=generator).to(device)
    largest = MOST_BYTES // (4 * inputs[0].numel())
    batches = tuple(b for b in (network.batches if cpu else BATCHES_ELSEWHERE) if b <= largest)
    x = inputs[0]
    layouts = [torch.contiguous_format, *([torch.channels_last] if len(x) > 1 else [])]
    loop = votes_apart(plain, network.num_classes, x)
    best_loop = fastest([loop_at(loop, batch) for batch in batches], seconds)
    usual = loop_at(loop, network.usual_batch)
    others = [best_loop, usual]
    toolbox = art(network, plain, x, batches)
    if toolbox:
        others.append(fastest(toolbox, seconds))
    for mode in modes:
        prepare = partial(MODES[mode], module)
        ways = (
            pure(prepare, x, batches[::2], layouts[:1])  # each is compiled, which takes long
            if is_compiled(mode)
            else pure(prepare, x, batches, layouts)
        )
        best_pure = fastest(list(ways), seconds)
        sides = [noisy(network, prepare(), inputs, device), best_pure, *others]
        rates = list(zip(*take_turns(sides, rounds, seconds), strict=True))
        names = ["noisy", "pure", "loop", "usual", "art"][: len(rates)]
        row: Row = {"network": name, "mode": mode}
        row |= {f"{n}/s": round(statistics.median(r), 1) for n, r in zip(names, rates, strict=True)}
        row |= {
            f"noisy/{other}": ratio(rates[0], r)
            for other, r in zip(names[1:], rates[1:], strict=True)
        }
        row["loop/pure"] = ratio(rates[2], rates[1])
        row["chosen"] = {n: s.about for n, s in zip(names, sides, strict=True)}
        yield row


def ratio(over: tuple[float, ...], under: tuple[float, ...]) -> float:
    """The median of the ratios of neighbouring turns."""
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 3)


COLUMNS = [
    *("noisy/s", "pure/s", "loop/s", "usual/s", "art/s"),
    *("noisy/pure", "noisy/loop", "noisy/usual", "noisy/art", "loop/pure"),
]


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn, about")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    device = torch.device(options.device)
    about = machine(device)
    print(json.dumps(about))
    print(f"{'':19}{'':18}" + "".join(f"{column:>12}" for column in COLUMNS))
    rows: list[Row] = []
    kept = {
        "machine": about,
        "held_equal": HELD_EQUAL,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rows": rows,
    }
    for name in options.networks:
        try:
            for row in measure(name, options.modes, device, options.rounds, options.seconds):
                rows.append(row)
                cells = "".join(f"{row.get(column, 'no art'):>12}" for column in COLUMNS)
                print(f"{name:19}{row['mode']:18}{cells}", flush=True)
                print(f"{'':19}{json.dumps(row['chosen'])}", flush=True)
                keep(options.results, f"throughput-{device.type}.json", kept)
        except ImportError as error:
            print(f"{name} is left out, since a package is not installed: {error}")


if __name__ == "__main__":
    main()
