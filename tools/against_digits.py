"""Compares every bound, certificate and special function with 50 digits, at many points.

python tools/against_digits.py --points 10000 --out results/digits/digits.json
python tools/against_digits.py --points 200 --only pareto_l1 ndtri
python tools/against_digits.py --table results/digits/digits.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

_HEADINGS = {
    "bound": "bound",
    "certificate": "certificate",
    "function": "function in double precision",
}


def main() -> int:
    """Prints a line a name and a table at the end; 1 if any number is on the wrong side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000, help="for each name")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these names and no others")
    parser.add_argument("--seed", type=int, default=0, help="of the random points")
    parser.add_argument("--out", type=Path, help="JSON file; names that it has are made anew")
    parser.add_argument("--table", type=Path, help="print the table of such a file, and end")
    given = parser.parse_args()
    if given.table:
        print(table(json.loads(given.table.read_text())))
        return 0
    if given.points < 1:
        parser.error(f"--points must be at least 1, got {given.points}")
    return run(given.points, given.only, given.seed, given.out)


def run(points: int, only: list[str] | None, seed: int, out: Path | None) -> int:
    """Compares, and writes the file after each name."""
    import numpy as np

    from tests.reference.digits import CHECKS, figures

    unknown = set(only or ()) - set(CHECKS)
    if unknown:
        print(f"no check is called {', '.join(sorted(unknown))}; known: {', '.join(CHECKS)}")
        return 2
    kept: dict[str, Any] = json.loads(out.read_text()) if out and out.exists() else {"rows": {}}
    kept |= {"seed": seed, "points": points, "versions": _versions()}
    wrong = 0
    for name in only or CHECKS:
        start = time.time()
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        found = figures(name, CHECKS[name], rng, points)
        kept["rows"][name] = found.row()
        wrong += found.wrong
        print(
            f"{name}: {found.wrong} of {found.points} on the wrong side, {found.silent} silent, "
            f"loss {found.median:.1e} in the median, {found.largest:.1e} at most "
            f"({found.anywhere:.1e} anywhere); {found.milliseconds} ms a point, "
            f"{time.time() - start:.0f} s",
            flush=True,
        )
        for example in found.examples:
            print(f"    {example}", flush=True)
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            part = out.with_suffix(".part")
            part.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
            os.replace(part, out)
    print(table(kept))
    return min(wrong, 1)


def table(kept: dict[str, Any]) -> str:
    """The figures as tables in Markdown, in the order of the names."""
    lines = []
    for kind, heading in _HEADINGS.items():
        rows = [row for row in kept["rows"].values() if row["kind"] == kind]
        if not rows:
            continue
        lines += [*_header(kind, heading), *(_line(row) for row in sorted(rows, key=_by_name)), ""]
    return "\n".join(lines)


def _header(kind: str, heading: str) -> list[str]:
    against = "margin, and share of it" if kind == "function" else "exact value"
    cells = [heading, against, "points", "wrong side", "silent", *_losses(kind), "ms a point"]
    return [f"| {' | '.join(cells)} |", f"|{'---|' * len(cells)}"]


def _losses(kind: str) -> list[str]:
    if kind == "function":
        return ["left: median", "least"]
    return ["loss: median", "largest", "stated"]


def stated(row: dict[str, Any]) -> str:
    """The loss that is promised at ordinary points: a power of ten above the largest one seen."""
    return f"1e{math.ceil(math.log10(1.5 * max(row['largest'], 1e-17)))}"


def _line(row: dict[str, Any]) -> str:
    losses = [f"{row['median']:.1e}", f"{row['largest']:.1e}", stated(row)]
    if row["kind"] == "function":
        losses = [f"{row['median']:.2f}", f"{row['least']:.2f}"]
    cells = [
        f"`{row['name']}`",
        row["against"],
        f"{row['points']:,}",
        f"{row['wrong']}",
        f"{row['silent']:,}",
        *losses,
        f"{row['milliseconds']:.2g}",
    ]
    return f"| {' | '.join(cells)} |"


def _by_name(row: dict[str, Any]) -> str:
    return str(row["name"])


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    packages = {name: version(name) for name in ("numpy", "scipy", "mpmath")}
    return {"python": platform.python_version(), **packages}


if __name__ == "__main__":
    sys.exit(main())
