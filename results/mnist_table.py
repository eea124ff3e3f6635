"""The tables of the MNIST runs: prints Markdown.

    python results/mnist_table.py

Reads the exports `mnist/NAME-SIGMA[-eEPOCHS]-seedN.parquet`, which `mnist_runs.py` writes. Whole
recipes are shown beside the published numbers and through several bounds; shortened ones beside
Gaussian augmentation of as many epochs, certified with as many draws.

Published numbers are recomputed from the published logs (Jeong and Shin 2020, arXiv:2006.04062:
five runs of each; their radii have three digits), on all 10,000 test images and on every 20th of
them, so that a run on that subset is compared on the same images.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from radii.evaluation import Export, Outcomes, read_export
from radii.evaluation.metrics import abstention_rate, average_certified_radius, standard_accuracy
from radii.evaluation.rereading import reread
from radii.rounding import floored

EXPORTS = Path(__file__).parent / "mnist"
NAME = re.compile(r"(?P<name>.+)-(?P<sigma>\d\.\d\d)(-e(?P<epochs>\d+))?-seed(?P<seed>\d+)")
ORDER = ["gaussian", "stability", "macer", "consistency", "smoothadv", "smoothadv-consistency"]
PUBLISHED_N = 100_000
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
WHOLE = (
    *("objective", "sigma", "runs", "images", "n", "bound", "ACR", "published", "difference"),
    *("standard accuracy", "abstains"),
)
SHORTENED = (
    *("objective", "sigma", "epochs", "runs", "images", "n", "bound", "ACR", "over gaussian"),
    *("standard accuracy", "abstains"),
)


@dataclass(frozen=True)
class Group:
    """Runs of one recipe that differ in their seeds.

    Attributes:
        name: Of the objective.
        sigma: Of the noise.
        epochs: Of a recipe that was shortened, else 0.
        runs: Their exports.
    """

    name: str
    sigma: str
    epochs: int
    runs: list[Export]

    @property
    def place(self) -> tuple[str, int, int, str]:
        """Where it stands in a table."""
        rank = ORDER.index(self.name) if self.name in ORDER else len(ORDER)
        return self.sigma, self.epochs, rank, self.name

    @property
    def made(self) -> tuple[str, ...]:
        """How the runs were certified, as the cells `images`, `n` and `bound`."""
        meta = self.runs[0].meta
        return str(len(self.outcomes[0])), f"{meta['n']:,}", str(meta["bound"])

    @cached_property
    def outcomes(self) -> list[Outcomes]:
        """Of each run."""
        return [Outcomes.of(run.rows(votes=False)) for run in self.runs]

    @cached_property
    def acr(self) -> list[float]:
        """Of each run."""
        return [average_certified_radius(each) for each in self.outcomes]

    def row(self, *beside: str) -> list[str]:
        """From `runs` to the end of the line, with what stands beside the ACR."""
        spread = f" ({statistics.stdev(self.acr):.4f})" if len(self.acr) > 1 else ""
        shares = [
            f"{statistics.mean(metric(each) for each in self.outcomes):.3f}"
            for metric in (standard_accuracy, abstention_rate)
        ]
        acr = floored(statistics.mean(self.acr), 4) + spread
        return [str(len(self.runs)), *self.made, acr, *beside, *shares]


def beside_published(group: Group) -> list[str]:
    """One line of the table of whole recipes; the published mean is that on the same images."""
    found, meta = PUBLISHED.get((group.name, group.sigma)), group.runs[0].meta
    beside = ["", ""]
    if found is not None and meta["subset"] in ("all", "every:20") and meta["n"] == PUBLISHED_N:
        mean, deviation = found[meta["subset"] == "every:20"]
        beside = [f"{mean:.4f} ({deviation:.4f})", f"{statistics.mean(group.acr) - mean:+.4f}"]
    return [group.name, group.sigma, *group.row(*beside)]


def beside_gaussian(group: Group, groups: Iterable[Group]) -> list[str]:
    """One line of the table of shortened recipes."""
    wanted = ("gaussian", group.sigma, group.epochs, group.made)
    over = ""
    for each in groups:
        if (each.name, each.sigma, each.epochs, each.made) == wanted and each is not group:
            over = f"{statistics.mean(group.acr) - statistics.mean(each.acr):+.4f}"
    return [group.name, group.sigma, str(group.epochs), *group.row(over)]


def by_bound(group: Group) -> list[str]:
    """The mean ACR of its runs through each bound."""
    readings = (
        [Outcomes.of(reread(run, bound=bound).rows(votes=False)) for run in group.runs]
        for bound in BOUNDS
    )
    means = (statistics.mean(map(average_certified_radius, each)) for each in readings)
    return [group.name, group.sigma, *(floored(mean, 4) for mean in means)]


def print_table(names: Sequence[str], rows: Iterable[list[str]]) -> None:
    """Markdown."""
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Prints the tables."""
    found: dict[tuple[str, str, int], list[Export]] = defaultdict(list)
    for path in sorted(EXPORTS.glob("*.parquet")):
        if parts := NAME.fullmatch(path.stem):
            key = parts["name"], parts["sigma"], int(parts["epochs"] or 0)
            found[key].append(read_export(path))
    groups = sorted((Group(*key, runs) for key, runs in found.items()), key=lambda g: g.place)
    whole = [group for group in groups if not group.epochs]
    shortened = [group for group in groups if group.epochs]
    print_table(WHOLE, map(beside_published, whole))
    if shortened:
        print("\nShortened recipes:\n")
        print_table(SHORTENED, (beside_gaussian(group, shortened) for group in shortened))
    print("\nThe votes of whole recipes through other bounds, ACR:\n")
    print_table(["objective", "sigma", *BOUNDS], map(by_bound, whole))


if __name__ == "__main__":
    main()
