"""Two figures of Jeong and Shin 2020, made again from their certification logs.

    python results/published_figures.py LOGS [--png]

LOGS is a folder with `jeong2020-mnist.tar.gz`, the logs released with the paper (arXiv:2006.04062),
which are imported as in `published_tables.py`. Writes two files into `docs/figures`:

- `published_lambda.svg`: ACR against standard accuracy at sigma 1.00, as the weight of consistency
  regularization grows; a run for each weight, and the five of Gaussian augmentation.
- `published_pA.svg`: how often the base classifier errs under noise, at most: the share of test
  inputs whose `1 - pA_lower` for the true class is below a number. Five runs a method.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from published_tables import MNIST, SEEDS, SIGMAS, imported, logs_of, outcomes

from radii.evaluation import open_run
from radii.evaluation.importers import Settings
from radii.evaluation.metrics import average_certified_radius, standard_accuracy
from radii.records import FloatArray

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
SWEPT = "1.00"  # the sigma at which the authors searched over lambda
COLOURS = ("#000000", "#E69F00", "#CC79A7", "#0072B2", "#009E73", "#D55E00")
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), "-", (0, (5, 1.5)))
LEAST = 6.9e-5  # 1 - pA_lower where all of 100,000 votes agree: 1 - 0.001 ** (1 / 100_000)


def searched(logs: Path) -> dict[float, Path]:
    """The logs of the search over lambda, one run each, by lambda."""
    found = {}
    for folder in (logs / "mnist" / "consistency" / "cohen" / "num_2").iterdir():
        log = folder / "eta_0.5" / f"noise_{SWEPT}_0"
        if log.is_file():
            found[float(folder.name.removeprefix("lbd_"))] = log
    return dict(sorted(found.items()))


def place(run: Path) -> tuple[float, float]:
    """Standard accuracy and ACR of a run."""
    found = outcomes(run)
    return standard_accuracy(found), average_certified_radius(found)


def draw_lambda(
    panels: Sequence[Axes], sweep: dict[float, tuple[float, float]], plain: FloatArray
) -> None:
    """ACR against standard accuracy: of all runs, and of those above Gaussian augmentation.

    Args:
        panels: Two.
        sweep: Standard accuracy and ACR by lambda.
        plain: `(runs, 2)` the same of Gaussian augmentation.
    """
    better = {
        weight: spot for weight, spot in sweep.items() if spot[1] > plain[:, 1].max()
    } or sweep
    for axes, shown in zip(panels, (sweep, better), strict=True):
        path = np.array([plain.mean(axis=0), *shown.values()])
        axes.plot(*path.T, "-", color=COLOURS[3], linewidth=0.8)
        axes.plot(
            *path[1:].T, "o", color=COLOURS[3], markersize=4.5, label="consistency, by lambda"
        )
        runs = "" if len(plain) == 1 else f", {len(plain)} runs"
        axes.plot(*plain.T, "x", color=COLOURS[0], label=f"Gaussian augmentation{runs}")
        for weight, spot in shown.items():
            if weight not in better or shown is better:
                axes.annotate(
                    f"{weight:g}", spot, xytext=(5, -11), textcoords="offset points", fontsize=8
                )
        axes.set_xlabel("standard accuracy")
        axes.margins(x=0.1, y=0.1)
    panels[0].set_title("all runs")
    panels[1].set_title(f"lambda up to {max(better):g}")
    panels[0].set_ylabel("average certified radius")
    panels[0].legend(loc="upper left")


def errors(runs: list[Path]) -> FloatArray:
    """`(inputs of all runs,)` `1 - pA_lower` of the true class, rising; 1 for wrong answers."""
    found = [
        1 - row.pA_lower if row.prediction == row.label else 1.0
        for run in runs
        for row in open_run(run).rows(votes=False)
    ]
    return np.sort(np.array(found))


def draw_errors(axes: Axes, found: dict[str, FloatArray]) -> None:
    """The share of inputs below each number, a line a method that has inputs; of six at most."""
    for (method, values), colour, dashes in zip(found.items(), COLOURS, DASHES, strict=False):
        if not len(values):
            continue  # the next keep their colours
        at = np.geomspace(LEAST, 0.5, 400)
        share = np.searchsorted(values, at, "right") / len(values)
        axes.plot(at, share, label=method, color=colour, linestyle=dashes)
    axes.set_xscale("log")
    axes.set_xlim(LEAST, 0.5)
    axes.set_ylim(0, 1)
    axes.set_xlabel("1 - pA_lower")


def saved(figure: mpl.figure.Figure, name: str, *, png: bool) -> None:
    """Writes a figure."""
    figure.tight_layout()
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None, "Creator": None})
    if png:
        figure.savefig(FIGURES / f"{name}.png", dpi=110)


def styled() -> Any:
    """The module `pyplot`, without a screen and in the style of the documentation."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.style.use(FIGURES / "style.mplstyle")
    return plt


def main() -> None:
    """Draws both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, help="folder with the archive")
    parser.add_argument("--png", action="store_true", help="write a PNG beside each SVG")
    options = parser.parse_args()
    plt = styled()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        with tarfile.open(options.logs / "jeong2020-mnist.tar.gz") as archive:
            archive.extractall(work, filter="data")
        ledgers = {
            (method, sigma): imported(
                logs_of(work / "mnist" / folder, sigma),
                work / f"{method}-{sigma}",
                Settings(),
                SEEDS,
            )
            for method, folders in MNIST.items()
            for sigma, folder in folders.items()
        }
        sweep = {
            weight: place(imported([log], work / f"lambda-{weight:g}", Settings(), SEEDS)[0])
            for weight, log in searched(work).items()
        }
        plain = np.array([place(each) for each in ledgers["Gaussian", SWEPT]])
        found = {key: errors(each) for key, each in ledgers.items()}
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 3.2))
    draw_lambda(panels, sweep, plain)
    saved(figure, "published_lambda", png=options.png)
    for weight, (accuracy, acr) in sweep.items():
        print(f"lambda {weight:g}: standard accuracy {accuracy:.4f}, ACR {acr:.4f}")
    figure, panels = plt.subplots(1, len(SIGMAS), figsize=(7.6, 3.0), sharey=True)
    for axes, sigma in zip(panels, SIGMAS, strict=True):
        axes.set_title(f"sigma {sigma}")
        draw_errors(axes, {method: found[method, sigma] for method in MNIST})
    panels[0].set_ylabel("share of test inputs")
    panels[1].legend(loc="lower right", fontsize=7)
    saved(figure, "published_pA", png=options.png)


if __name__ == "__main__":
    main()
