"""What exact noise and a cryptographic generator cost, as ratios to the ordinary noise.

    python benchmarks/exact.py [--networks lenet resnet20 ...] [--modes float32 ...]
                               [--rounds 9] [--seconds 2] [--device cpu]

First noise alone, in ns a number: blocks of 100 copies of an input of the first network, on one
core. Then, for each network and mode, sides that take turns in one process, each the sampling
engine on four inputs (noise, forward pass, votes):

- `gaussian`: noise added in float32, drawn by the fastest generator there is;
- `exact`: the Gaussian rounded to the grid of 8-bit images, drawn and added as whole numbers;
- `chacha`, `exact-chacha`: the same two, drawn from ChaCha20.

Printed are medians of samples per second, and medians of the ratios of neighbouring turns over
`gaussian`. Compiled modes take seconds to minutes to compile, which is not part of any turn.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from common import MODES, NETWORKS, RESULTS, Network, Row, Side, keep, machine, take_turns
from torch import Tensor, nn

from radii.noise import Gaussian, Generators, GridGaussian, Noise, Rng, Stream
from radii.smoothing import Request, Sampler

SIGMA = 0.5
BLOCK = 100
INPUTS = 4
SIDES: dict[str, tuple[Noise, Rng]] = {
    "gaussian": (Gaussian(SIGMA), "auto"),
    "exact": (GridGaussian(SIGMA), "auto"),
    "chacha": (Gaussian(SIGMA), "chacha"),
    "exact-chacha": (GridGaussian(SIGMA), "chacha"),
}
HELD_EQUAL = (
    "the network, its weights and mode, the inputs (8-bit images), sigma, the machine, the process "
    "and the moment: the sides take turns; all may use all cores"
)


def nanoseconds(x: Tensor, device: torch.device, rounds: int) -> dict[str, float]:
    """Nanoseconds for a number of noise, of the fastest turn."""
    blocks = max(1, 1_000_000 // (BLOCK * x.numel()))
    out = torch.empty((BLOCK, *x.shape), device=device)
    best = dict.fromkeys(SIDES, float("inf"))
    for turn in range(rounds + 1):
        for name, (noise, rng) in SIDES.items():
            generators = Generators(device, rng)
            started = time.perf_counter()
            for block in range(blocks):
                stream = Stream(0, 0, "estimation", block)
                noise.at(x.expand(BLOCK, *x.shape), stream, generators, out=out)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:  # in the first one tables are made
                spent = (time.perf_counter() - started) / (blocks * out.numel())
                best[name] = min(best[name], spent * 1e9)
    return {name: round(value, 3) for name, value in best.items()}


def engine(name: str, network: Network, base: nn.Module, inputs: Tensor) -> Side:
    """The sampling engine with one of the noises."""
    noise, rng = SIDES[name]
    sampler = Sampler(
        base=base,
        noise=noise,
        num_classes=network.num_classes,
        seed=0,
        block=BLOCK,
        device=inputs.device,
        rng=rng,
    )

    def work(samples: int) -> None:
        draws = samples // INPUTS
        for _ in sampler.run(Request(i, x, {"estimation": draws}) for i, x in enumerate(inputs)):
            pass

    blocks = -(-torch.get_num_threads() // INPUTS)
    return Side(name, work, INPUTS * BLOCK * blocks, {"block": BLOCK})


def eight_bit(network: Network, device: torch.device) -> Tensor:
    """Inputs on the grid."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (INPUTS, *network.shape), generator=generator)
    return (levels / 255).to(device)


def measure(
    name: str, modes: list[str], device: torch.device, rounds: int, seconds: float
) -> Iterator[Row]:
    """The rows of one network."""
    network = NETWORKS[name]
    module = network.build().to(device)
    if len(network.shape) == 3:
        module = copy.deepcopy(module).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = eight_bit(network, device)
    for mode in modes:
        base = MODES[mode](module)
        sides = [engine(side, network, base, inputs) for side in SIDES]
        rates = dict(zip(SIDES, zip(*take_turns(sides, rounds, seconds), strict=True), strict=True))
        row: Row = {"network": name, "mode": mode}
        row |= {f"{side}/s": round(statistics.median(rate), 1) for side, rate in rates.items()}
        for side in list(SIDES)[1:]:
            ratios = [a / b for a, b in zip(rates[side], rates["gaussian"], strict=True)]
            row[f"{side}/gaussian"] = round(statistics.median(ratios), 3)
        yield row


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["float32"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn, about")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    device = torch.device(options.device)
    about = machine(device)
    print(json.dumps(about))
    first = eight_bit(NETWORKS[options.networks[0]], device)[0]
    alone = nanoseconds(first, device, options.rounds)
    print("ns a number: " + ", ".join(f"{name} {value}" for name, value in alone.items()))
    columns = [f"{side}/gaussian" for side in list(SIDES)[1:]]
    print(f"{'':19}{'':18}{'gaussian/s':>12}" + "".join(f"{column:>23}" for column in columns))
    rows: list[Row] = []
    kept = {
        "machine": about,
        "held_equal": HELD_EQUAL,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "ns_a_number": alone,
        "rows": rows,
    }
    for name in options.networks:
        try:
            for row in measure(name, options.modes, device, options.rounds, options.seconds):
                rows.append(row)
                cells = "".join(f"{row[column]:>23}" for column in columns)
                print(f"{name:19}{row['mode']:18}{row['gaussian/s']:>12}{cells}", flush=True)
                keep(options.results, f"exact-{device.type}.json", kept)
        except ImportError as error:
            print(f"{name} is left out, since a package is not installed: {error}")


if __name__ == "__main__":
    main()
