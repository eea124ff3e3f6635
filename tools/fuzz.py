"""Reads malformed inputs of every kind: specs, recipes, logs, data, checkpoints, runs.

python tools/fuzz.py --examples 2000
python tools/fuzz.py --examples 20000 -- -k ledger
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from pathlib import Path

DEFAULT = 1_000  # examples at factor 1, with a little to spare


def main() -> int:
    """Runs the tests of `tests/fuzz` with more examples; further arguments are those of pytest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=2_000, help="at least so many")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest, after --")
    given = parser.parse_args()
    factor = max(1, math.ceil(given.examples / DEFAULT))
    environment = {**os.environ, "RADII_FUZZ_FACTOR": str(factor)}
    command = [sys.executable, "-m", "pytest", "tests/fuzz", "-q", *given.pytest]
    return subprocess.run(  # noqa: S603
        command, cwd=Path(__file__).parents[1], env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
