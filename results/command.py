"""The command line, for the scripts beside it; a module, not a script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def radii(folder: Path, *arguments: object) -> None:
    """Runs `radii` in a folder, so that no path of a machine is recorded; a failure ends all."""
    subprocess.run([sys.executable, "-m", "radii", *map(str, arguments)], check=True, cwd=folder)
