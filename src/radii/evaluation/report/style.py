"""How the figures look; nothing of it stays behind in matplotlib's settings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import matplotlib.style

INK = "#1c1d22"
FAINT = "#d9d9de"
PAPER = "#ffffff"

# Okabe and Ito 2008, "Color Universal Design": told apart by readers of every colour vision.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))

_SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "auto",
    "svg.fonttype": "none",
    "svg.hashsalt": "radii",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def settings() -> AbstractContextManager[None]:
    """The settings of the figures, whatever the user's are; those are put back at the end."""
    return matplotlib.style.context(["default", _SETTINGS])


def colour_of(position: int) -> str:
    """The colour of the run at this position."""
    return PALETTE[position % len(PALETTE)]


def dashes_of(position: int) -> Any:
    """Its line style: neighbours differ, for readers without colour; 12 runs differ in both."""
    return _DASHES[(position + position // len(PALETTE)) % len(_DASHES)]
