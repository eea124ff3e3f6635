"""Optional dependencies: imported where they are used; the error names the extra."""

from __future__ import annotations

import importlib
from typing import Any

from radii.errors import RadiiError


def imported(module: str, extra: str, instead: str = "") -> Any:
    """A module of a package that an extra of radii installs.

    Args:
        module: Its full name.
        extra: The extra, as in `pip install "radii[extra]"`.
        instead: How to do without it, as in `or take the ending .csv`.

    Raises:
        RadiiError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        more = f", {instead}" if instead else ""
        raise RadiiError(
            f'radii[{extra}] is not installed: pip install "radii[{extra}]"{more}.'
        ) from None
