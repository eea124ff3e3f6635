"""Tables of published papers, made again from their certification logs: prints Markdown.

    python results/published_tables.py LOGS

LOGS is a folder with `cohen2019.tar.gz`, the logs released with Cohen et al. 2019
(arXiv:1902.02918), and `jeong2020-mnist.tar.gz`, those released with Jeong and Shin 2020
(arXiv:2006.04062). They are unpacked into a temporary folder and imported into ledgers, as `radii
import` does; the numbers are those of the ledgers. They are rounded to nearest, as the papers do.
"""

from __future__ import annotations

import argparse
import statistics
import tarfile
import tempfile
from pathlib import Path

from radii.evaluation import Outcomes, open_run
from radii.evaluation.importers import Pattern, Settings, import_results
from radii.evaluation.metrics import (
    abstention_rate,
    average_certified_radius,
    certified_accuracy,
    standard_accuracy,
)

SEEDS = Pattern("noise_{sigma}_{seed}")
SIGMAS = ("0.25", "0.50", "1.00")
_LAMBDA = {"0.25": 10.0, "0.50": 5.0, "1.00": 5.0}  # consistency, by sigma
_MACER = {"0.25": 16.0, "0.50": 16.0, "1.00": 6.0}
# The folder of each method's logs, by sigma.
MNIST = {
    "Gaussian": dict.fromkeys(SIGMAS, "cohen"),
    "Stability": dict.fromkeys(SIGMAS, "stab/lbd_2"),
    "MACER": {
        sigma: f"macer_deferred30/num_16/lbd_{weight}/gamma_8.0/beta_16.0"
        for sigma, weight in _MACER.items()
    },
    "Consistency": {
        sigma: f"consistency/cohen/num_2/lbd_{weight}/eta_0.5" for sigma, weight in _LAMBDA.items()
    },
    "SmoothAdv": dict.fromkeys(SIGMAS, "salman/pgd_255.0_10_10/num_4"),
    "SmoothAdv + consistency": dict.fromkeys(
        SIGMAS, "consistency/salman_255.0_10_10/num_4/lbd_1.0/eta_0.5"
    ),
}
COHEN = {
    "CIFAR-10, ResNet-110": ("cifar10/resnet110", ("0.12", "0.25", "0.50", "1.00"), 0.25, 7),
    "ImageNet, ResNet-50": ("imagenet/resnet50", ("0.25", "0.50", "1.00"), 0.5, 7),
}
# Under which alpha the radii of a log are radii that counts of 100,000 votes give.
ALPHA = {"cifar10/resnet110 0.12": 0.001}


def logs_of(folder: Path, sigma: str) -> list[Path]:
    """The logs of five seeds; the run with seed 0 is one of a search over lambda."""
    found = []
    for path in sorted(folder.iterdir()):
        said = SEEDS.match(path.name)
        if said and float(said.fields["sigma"]) == float(sigma) and said.fields["seed"] != "0":
            found.append(path)
    return found


def imported(
    logs: list[Path], out: Path, settings: Settings, pattern: Pattern | None
) -> list[Path]:
    """The ledgers of some logs."""
    written = import_results(logs, out, settings, pattern=pattern)
    return [path for path, _ in written.ledgers]


def outcomes(run: Path) -> Outcomes:
    """What a ledger or an export shows."""
    return Outcomes.of(open_run(run).rows(votes=False))


def mnist(logs: Path, work: Path) -> list[list[str]]:
    """ACR, mean and standard deviation over five seeds: a line a method."""
    lines = []
    for method, folders in MNIST.items():
        cells = [method]
        for sigma, folder in folders.items():
            sources = logs_of(logs / "mnist" / folder, sigma)
            ledgers = imported(sources, work / f"{method}-{sigma}", Settings(), SEEDS)
            acr = [average_certified_radius(outcomes(each)) for each in ledgers]
            assert len(acr) == 5, (method, sigma, len(acr))
            cells.append(f"{statistics.mean(acr):.4f} ({statistics.stdev(acr):.4f})")
        lines.append(cells)
    return lines


def cohen(logs: Path, work: Path, table: str) -> list[list[str]]:
    """Certified accuracy by radius: a line a sigma."""
    folder, sigmas, step, columns = COHEN[table]
    radii = [step * column for column in range(columns)]
    lines = []
    for sigma in sigmas:
        log = logs / "certify" / folder / f"noise_{sigma}" / "test" / f"sigma_{sigma}"
        alpha = ALPHA.get(f"{folder} {sigma}", 0.01)
        settings = Settings(f"gaussian:sigma={sigma}", alpha=alpha)
        (ledger,) = imported([log], work / f"{table}-{sigma}", settings, None)
        found = outcomes(ledger)
        shares = [share.value for share in certified_accuracy(found, radii)]
        beside = [standard_accuracy(found), abstention_rate(found)]
        assert shares[0] == beside[0]
        cells = [f"{share:.2f}" for share in (*shares, beside[1])]
        lines.append([sigma, str(alpha), str(len(found)), *cells])
    return lines


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table."""
    rows = [head, [":--", *("--:" for _ in head[1:])], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Tables of papers, made again from their logs.")
    parser.add_argument("logs", type=Path, help="folder with the two archives")
    folder = parser.parse_args().logs
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for name in ("jeong2020-mnist", "cohen2019"):
            with tarfile.open(folder / f"{name}.tar.gz") as archive:
                archive.extractall(work, filter="data")
        print("## MNIST\n")
        print(markdown(["", *(f"sigma {sigma}" for sigma in SIGMAS)], mnist(work, work)))
        for table, (_, _, step, columns) in COHEN.items():
            radii = [f"{step * column:.2f}" for column in range(columns)]
            head = ["sigma", "alpha", "inputs", *radii, "abstains"]
            print(f"\n## {table}\n\n{markdown(head, cohen(work, work, table))}")


if __name__ == "__main__":
    main()
