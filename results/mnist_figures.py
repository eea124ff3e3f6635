"""Figures as those of Jeong and Shin 2020, of our own runs.

    python results/mnist_figures.py [--png]

Reads the exports that `mnist_runs.py` wrote. Writes into `docs/figures`, as far as there are runs:

- `mnist_pA.svg`: how often the base classifier errs under noise, at most; a panel a sigma, a line
  an objective trained by its whole recipe;
- `mnist_pA_short.svg`: the same of recipes shortened to as many epochs;
- `mnist_strengths.svg`: ACR against standard accuracy at sigma 1.00, as the weight of consistency
  regularization grows, beside Gaussian augmentation.

`published_figures.py` draws the same of the published runs.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from published_figures import draw_errors, draw_lambda, errors, place, saved, styled

RESULTS = Path(__file__).parent / "mnist"
METHODS = {
    "gaussian": "Gaussian",
    "stability": "Stability",
    "macer": "MACER",
    "consistency": "Consistency",
    "smoothadv": "SmoothAdv",
    "smoothadv-consistency": "SmoothAdv + consistency",
    "catrs": "CAT-RS",
    "smoothmix": "SmoothMix",
}
STRENGTH = re.compile(r"consistency-1\.00-strength(?P<strength>[\d.]+)-")


def found(short: bool) -> dict[str, dict[str, list[Path]]]:
    """Runs of whole recipes or of shortened ones: by sigma, and by method in legend order."""
    runs: dict[str, dict[str, list[Path]]] = {}
    for name, method in METHODS.items():
        for path in sorted(RESULTS.glob(f"{name}-?.??-{'e*-' if short else ''}seed*.parquet")):
            sigma = path.stem.removeprefix(f"{name}-").partition("-")[0]
            runs.setdefault(sigma, {}).setdefault(method, []).append(path)
    return dict(sorted(runs.items()))


def draw_panels(panels: Sequence[Axes], runs: dict[str, dict[str, list[Path]]]) -> None:
    """How often the base classifier errs, a panel a sigma."""
    drawn = [method for method in METHODS.values() if any(method in each for each in runs.values())]
    lines: dict[str, Line2D] = {}
    for axes, (sigma, methods) in zip(panels, runs.items(), strict=True):
        axes.set_title(f"sigma {sigma}")
        draw_errors(axes, {method: errors(methods.get(method, [])) for method in drawn})
        lines |= {str(line.get_label()): line for line in axes.lines}
    panels[0].set_ylabel("share of test inputs")
    panels[-1].legend(handles=[lines[method] for method in drawn], loc="upper left", fontsize=7)


def main() -> None:
    """Draws what there are runs for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--png", action="store_true", help="write a PNG beside each SVG")
    png = parser.parse_args().png
    plt = styled()
    for short, name in ((False, "mnist_pA"), (True, "mnist_pA_short")):
        if runs := found(short):
            size = (1.1 + 2.2 * max(2, len(runs)), 3.0)
            figure, panels = plt.subplots(1, len(runs), figsize=size, sharey=True, squeeze=False)
            draw_panels(panels[0], runs)
            saved(figure, name, png=png)
    sweep = {
        float(parts["strength"]): place(path)
        for path in (RESULTS / "strengths").glob("*.parquet")
        if (parts := STRENGTH.match(path.name))
    }
    plain = [place(path) for path in (RESULTS / "strengths").glob("gaussian-1.00-*.parquet")]
    if sweep and plain:
        figure, panels = plt.subplots(1, 2, figsize=(7.6, 3.2))
        draw_lambda(panels, dict(sorted(sweep.items())), np.array(plain))
        saved(figure, "mnist_strengths", png=png)


if __name__ == "__main__":
    main()
