"""The tables of the MNIST runs, beside the published one and by bound: prints Markdown.

    python results/mnist_table.py

Reads the exports `mnist/NAME-SIGMA[-eEPOCHS]-seedN.parquet`, which `mnist_runs.py` writes.
Published numbers are recomputed from the published logs (Jeong and Shin 2020, arXiv:2006.04062:
five runs of each; their radii have three digits), on all 10,000 test images and on every 20th of
them, so that a run on that subset is compared on the same images.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from radii.evaluation import Outcomes, read_export
from radii.evaluation.metrics import abstention_rate, average_certified_radius, standard_accuracy
from radii.evaluation.rereading import reread
from radii.rounding import floored

EXPORTS = Path(__file__).parent / "mnist"
NAME = re.compile(r"(?P<name>.+)-(?P<sigma>\d\.\d\d)(-e(?P<epochs>\d+))?-seed(?P<seed>\d+)")
ORDER = ["gaussian", "stability", "macer", "consistency", "smoothadv", "smoothadv-consistency"]
# Mean ACR and standard deviation: on 10,000 images, on every 20th of them.
PUBLISHED = {
    ("gaussian", "0.25"): ((0.9108, 0.0003), (0.8984, 0.0014)),
    ("gaussian", "0.50"): ((1.5581, 0.0016), (1.5370, 0.0046)),
    ("gaussian", "1.00"): ((1.6184, 0.0021), (1.6062, 0.0029)),
    ("stability", "0.25"): ((0.9152, 0.0007), (0.9044, 0.0012)),
    ("stability", "0.50"): ((1.5719, 0.0028), (1.5499, 0.0048)),
    ("stability", "1.00"): ((1.6341, 0.0018), (1.6238, 0.0030)),
    ("macer", "0.25"): ((0.9201, 0.0006), (0.9078, 0.0011)),
    ("macer", "0.50"): ((1.5899, 0.0069), (1.5712, 0.0060)),
    ("macer", "1.00"): ((1.5950, 0.0051), (1.5922, 0.0079)),
    ("consistency", "0.25"): ((0.9282, 0.0002), (0.9179, 0.0015)),
    ("consistency", "0.50"): ((1.6549, 0.0012), (1.6330, 0.0023)),
    ("consistency", "1.00"): ((1.7377, 0.0017), (1.7308, 0.0016)),
    ("smoothadv", "0.25"): ((0.9322, 0.0005), (0.9207, 0.0020)),
    ("smoothadv", "0.50"): ((1.6872, 0.0007), (1.6697, 0.0019)),
    ("smoothadv", "1.00"): ((1.7786, 0.0017), (1.7713, 0.0019)),
    ("smoothadv-consistency", "0.25"): ((0.9323, 0.0001), (0.9213, 0.0011)),
    ("smoothadv-consistency", "0.50"): ((1.6957, 0.0006), (1.6788, 0.0010)),
    ("smoothadv-consistency", "1.00"): ((1.8163, 0.0023), (1.8093, 0.0023)),
}
BOUNDS = (
    *("clopper_pearson", "runner_up_clopper_pearson"),
    *("randomized_clopper_pearson", "randomized_runner_up_clopper_pearson"),
)
COLUMNS = (
    *("objective", "sigma", "epochs", "runs", "images", "bound", "ACR", "published", "difference"),
    *("standard accuracy", "abstains"),
)


def published(name: str, sigma: str, subset: str) -> tuple[float, float] | None:
    """Mean and deviation on the same images, where they are known."""
    found = PUBLISHED.get((name, sigma))
    if found is None or subset not in ("all", "every:20"):
        return None
    return found[subset == "every:20"]


def row(name: str, sigma: str, epochs: str, paths: list[Path]) -> list[str]:
    """One line of the table."""
    runs = [read_export(path) for path in paths]
    outcomes = [Outcomes.of(run.rows(votes=False)) for run in runs]
    acr = [average_certified_radius(o) for o in outcomes]
    mean = statistics.mean(acr)
    spread = f" ({statistics.stdev(acr):.4f})" if len(acr) > 1 else ""
    theirs = published(name, sigma, str(runs[0].meta["subset"]))
    bound = str(runs[0].meta["bound"])
    cells = [name, sigma, epochs, str(len(runs)), str(len(outcomes[0])), bound]
    cells.append(floored(mean, 4) + spread)
    cells.append(f"{theirs[0]:.4f} ({theirs[1]:.4f})" if theirs else "")
    cells.append(f"{mean - theirs[0]:+.4f}" if theirs else "")
    for metric in (standard_accuracy, abstention_rate):
        cells.append(f"{np.mean([metric(o) for o in outcomes]):.3f}")
    return cells


def by_bound(name: str, sigma: str, path: Path) -> list[str]:
    """The ACR of one run through each bound."""
    run = read_export(path)
    readings = (Outcomes.of(reread(run, bound=bound).rows(votes=False)) for bound in BOUNDS)
    return [name, sigma, *(floored(average_certified_radius(each), 4) for each in readings)]


def print_table(names: Sequence[str], rows: Iterable[list[str]]) -> None:
    """Markdown."""
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Prints the tables."""
    groups: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path in sorted(EXPORTS.glob("*.parquet")):
        if found := NAME.fullmatch(path.stem):
            key = (found["sigma"], found["epochs"] or "full", found["name"])
            groups[key].append(path)
    order = sorted(
        groups, key=lambda k: (k[0], k[1] != "full", ORDER.index(k[2]) if k[2] in ORDER else 9)
    )
    print_table(
        COLUMNS,
        (row(name, sigma, epochs, groups[sigma, epochs, name]) for sigma, epochs, name in order),
    )
    print("\nThe same votes through other bounds, ACR:\n")
    print_table(
        ["objective", "sigma", *BOUNDS],
        (
            by_bound(name, sigma, path)
            for sigma, epochs, name in order
            for path in groups[sigma, epochs, name]
        ),
    )


if __name__ == "__main__":
    main()
