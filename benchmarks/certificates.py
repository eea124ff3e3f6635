"""How long does a certificate take for 10,000 radii, and the calculator for all certificates?

    python benchmarks/certificates.py [--rounds 3] [--only NAME]

Each certificate is asked about every example of its noise, at two dimensions if it depends on the
dimension. One object gives 10,000 radii at once: the first call of a process, which makes the
tables that a certificate may need, and later calls; for two classes (`pB = 1 - pA`) and with a
third. A certificate is called numerical if it searches, integrates or keeps a table. Then the
wall time of `radii radius --certificate all --json`, import of the library included. All are
medians; first calls and command lines have a process of their own each time.

For comparison: published code needs 23 to 51 seconds to make one table.
"""

from __future__ import annotations

import argparse
import inspect
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
import typing
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np
from throughput import processor

from radii.certificates import CERTIFICATES, Certificate, covering, find
from radii.certificates.base import depends_on_dimension
from radii.noise import NOISES
from radii.provenance import versions
from radii.records import ClassBounds, Norm

DIMS = (784, 150_528)
RADII = 10_000
LATER = 5
COLUMNS = ("two classes, first", "later", "third class, first", "later")
NUMERICAL = ("_search import", "lru_cache", "leggauss")  # in the source of what it is made of
RESULTS = Path(__file__).parent / "results"
Row = dict[str, str | int | float]


def noises() -> list[str]:
    """Every example of every registered noise, as a spec."""
    return [
        NOISES.spec_of(NOISES.build({"name": name, **example}))
        for name in NOISES.names()
        for example in NOISES[name].examples
    ]


def cases() -> Iterator[tuple[str, Norm, str, int | None]]:
    """Noise, norm, certificate and dimension; None where the dimension does not matter."""
    for noise in noises():
        for norm in typing.get_args(Norm):
            for name, found in covering(NOISES.build(noise), norm, DIMS[0]).items():
                dims = DIMS if depends_on_dimension(type(found)) else (None,)
                yield from ((noise, norm, name, dim) for dim in dims)


def kind(certificate: type[Certificate]) -> str:
    """`closed form` or `numerical`, by what the modules that it is made of mention."""
    left = [sys.modules[cls.__module__] for cls in certificate.__mro__]
    seen: set[ModuleType] = set()
    while left:
        module = left.pop()
        if module in seen or not module.__name__.startswith("radii.certificates."):
            continue
        seen.add(module)
        homes = {getattr(value, "__module__", None) for value in vars(module).values()}
        left += [sys.modules[home] for home in homes if home in sys.modules]
    sources = [inspect.getsource(module) for module in seen]
    return "numerical" if any(w in s for w in NUMERICAL for s in sources) else "closed form"


def milliseconds(noise: str, norm: Norm, name: str, dim: int | None, third: bool) -> list[float]:
    """Of the first call in this process, and the median of later calls."""
    certificate = find(NOISES.build(noise), norm, name, dim=dim)
    pA = np.linspace(0.5, 1 - 1e-6, RADII + 1)[1:]
    bounds = ClassBounds(pA, 0.5 * (1 - pA)) if third else ClassBounds.one_sided(pA)
    taken = []
    for _ in range(1 + LATER):
        started = time.perf_counter()
        certificate.radius(bounds)
        taken.append(1e3 * (time.perf_counter() - started))
    return [taken[0], statistics.median(taken[1:])]


def measure(noise: str, norm: Norm, name: str, dim: int | None, rounds: int) -> Row:
    """One row of the table of certificates."""
    row: Row = {
        "certificate": name,
        "noise": noise,
        "dim": dim or "any",
        "kind": kind(CERTIFICATES[name]),
    }
    for third in (False, True):
        turns = []
        for _ in range(rounds):
            with multiprocessing.Pool(1) as fresh:
                turns.append(fresh.apply(milliseconds, (noise, norm, name, dim, third)))
        first, later = (statistics.median(each) for each in zip(*turns, strict=True))
        classes = "third_class" if third else "two_classes"
        row |= {f"{classes}_first_ms": round(first, 1), f"{classes}_later_ms": round(later, 1)}
    return row


def calculator(noise: str, norm: Norm, dim: int, rounds: int) -> Row:
    """One row of the table of command lines."""
    line = ["radius", "--noise", noise, "--norm", norm, "--dim", str(dim), "--pA", "0.9"]
    code = "from radii.cli.main import main; main()"
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code, *line, "--certificate", "all", "--json"],
            check=True,
            capture_output=True,
        )
        taken.append(time.perf_counter() - started)
    return {"noise": noise, "norm": norm, "dim": dim, "seconds": round(statistics.median(taken), 2)}


def main() -> None:
    """Measures, prints two tables, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="certificates whose name contains this; no file")
    options = parser.parse_args()
    machine = {"date": date.today().isoformat(), "processor": processor(), **versions()}
    print(json.dumps(machine))
    chosen = [case for case in cases() if options.only in case[2]]

    print(f"milliseconds for {RADII:,} radii{'':67}" + "".join(f"{name:>20}" for name in COLUMNS))
    rows = []
    for case in chosen:
        row = measure(*case, options.rounds)
        rows.append(row)
        *what, one, two, three, four = row.values()
        print("{:29}{:50}{!s:8}{:12}".format(*what), end="")
        print(f"{one:>20}{two:>20}{three:>20}{four:>20}", flush=True)

    print("\nseconds for radii radius --certificate all --json")
    calls = []
    for noise, norm in dict.fromkeys(case[:2] for case in chosen):
        for dim in DIMS:
            calls.append(calculator(noise, norm, dim, options.rounds))
            print("{:50}{:6}{:>8}{:>8}".format(*calls[-1].values()), flush=True)

    if not options.only:
        RESULTS.mkdir(exist_ok=True)
        kept = {
            "machine": machine,
            "rounds": options.rounds,
            "certificates": rows,
            "command_lines": calls,
        }
        (RESULTS / "certificates.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
