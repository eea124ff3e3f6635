"""How much of a pure forward pass is left when noise is drawn and votes are counted?

    python benchmarks/throughput.py [--device cpu] [--rounds 9] [--seconds 2]

For each architecture and precision the two sides take turns in one process: `noisy` is the
sampling engine on one input (noise, forward pass, votes), `pure` is the same module, in the same
precision and memory layout, on batches of the same size that are filled with noise beforehand.
Printed are medians of the samples per second, and the median of the ratios of neighbouring turns.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import nn

from radii.models import ARCHITECTURES, InPrecision, initialise
from radii.noise import Gaussian
from radii.provenance import versions
from radii.smoothing import Request, Sampler

ARCHITECTURES_MEASURED = {"lenet": (1, 28, 28), "resnet20": (3, 32, 32)}
BLOCK = 100
RESULTS = Path(__file__).parent / "results"


def samples_per_second(work: Callable[[int], None], seconds: float, device: torch.device) -> float:
    """Of `work(samples)`, over at least so many seconds."""
    samples, elapsed = 20 * BLOCK, 0.0
    while True:
        started = time.perf_counter()
        work(samples)
        if device.type == "cuda":
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return samples / elapsed
        samples = BLOCK * max(20, round(1.2 * samples * seconds / elapsed / BLOCK))


def measure(
    name: str, precision: str, device: torch.device, rounds: int, seconds: float
) -> dict[str, float | str | int]:
    """One row of the table."""
    shape = ARCHITECTURES_MEASURED[name]
    module: nn.Module = initialise(ARCHITECTURES.build(name), shape, 10, seed=0).eval().to(device)
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bfloat16":
        module = InPrecision(module).eval()
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    sampler = Sampler(module, Gaussian(0.5), 10, seed=0, block=BLOCK, device=device)
    rows = BLOCK if device.type == "cpu" else sampler.rows(x)
    batch = x + 0.5 * torch.randn((rows, *shape), generator=torch.Generator().manual_seed(1)).to(
        device
    )

    def noisy(samples: int) -> None:
        for _ in sampler.run([Request(0, x, {"estimation": samples})]):
            pass

    @torch.no_grad()
    def pure(samples: int) -> None:
        for _ in range(-(-samples // rows)):
            module(batch)

    turns = []
    for _ in range(rounds + 1):  # the first warms up
        turns.append(tuple(samples_per_second(w, seconds, device) for w in (noisy, pure)))
    noisy_rates, pure_rates = zip(*turns[1:], strict=True)
    return {
        "architecture": name,
        "precision": precision,
        "rows": rows,
        "noisy": round(statistics.median(noisy_rates)),
        "pure": round(statistics.median(pure_rates)),
        "ratio": round(statistics.median(n / p for n, p in turns[1:]), 3),
    }


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn, at least")
    options = parser.parse_args()
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    machine = {
        "date": date.today().isoformat(),
        "processor": torch.cuda.get_device_name() if cuda else processor(),
        "threads": torch.get_num_threads(),
        **versions(),
    }
    print(json.dumps(machine))
    print(f"{'':12}{'':10}{'rows':>6}{'noisy/s':>10}{'pure/s':>10}{'ratio':>8}")
    rows = []
    for name in ARCHITECTURES_MEASURED:
        for precision in ("float32", "bfloat16"):
            row = measure(name, precision, device, options.rounds, options.seconds)
            rows.append(row)
            print(
                f"{name:12}{precision:10}{row['rows']:>6}{row['noisy']:>10}{row['pure']:>10}"
                f"{row['ratio']:>8}",
                flush=True,
            )
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"throughput-{device.type}.json"
    target.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
