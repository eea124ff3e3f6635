"""Published logs, imported, give the published tables in every digit."""

from __future__ import annotations

import re
import statistics
import tarfile
from pathlib import Path

import pytest

from radii.evaluation import Ledger, Outcomes
from radii.evaluation.importers import Pattern, Settings, import_results
from radii.evaluation.metrics import average_certified_radius, certified_accuracy

# Average certified radius of five seeds, mean and standard deviation: recomputed by others from
# the logs of Jeong and Shin 2020 (arXiv:2006.04062), on all 10,000 test images.
MNIST = {
    "cohen": ("0.9108 (0.0003)", "1.5581 (0.0016)", "1.6184 (0.0021)"),
    "stab/*": ("0.9152 (0.0007)", "1.5719 (0.0028)", "1.6341 (0.0018)"),
    "macer_deferred30/*/*/*/*": ("0.9201 (0.0006)", "1.5899 (0.0069)", "1.5950 (0.0051)"),
    "consistency/cohen/num_2/lbd_{lbd}/eta_0.5": (
        *("0.9282 (0.0002)", "1.6549 (0.0012)", "1.7376 (0.0019)"),
    ),
    "salman/*/*": ("0.9322 (0.0005)", "1.6872 (0.0007)", "1.7786 (0.0017)"),
    "consistency/salman_255.0_10_10/*/*/*": (
        *("0.9323 (0.0001)", "1.6957 (0.0006)", "1.8163 (0.0023)"),
    ),
}
LAMBDA = {0.25: "10.0", 0.5: "5.0", 1.0: "5.0"}  # of consistency, by sigma
CELLS = [
    (folder.format(lbd=LAMBDA[sigma]), sigma, printed)
    for folder, cells in MNIST.items()
    for sigma, printed in zip(LAMBDA, cells, strict=True)
]

# Certified accuracy as printed in the repository of Cohen et al. 2019 (locuslab/smoothing,
# analysis/latex), and the alpha under which the radii of the log are radii of 100,000 votes.
COHEN = {
    ("cifar10/resnet110", "0.12", 0.001): "0.59 0.00 0.00 0.00 0.00 0.00",
    ("cifar10/resnet110", "0.25", 0.01): "0.60 0.43 0.27 0.00 0.00 0.00",
    ("cifar10/resnet110", "0.50", 0.01): "0.55 0.41 0.32 0.23 0.15 0.09",
    ("cifar10/resnet110", "1.00", 0.01): "0.39 0.34 0.28 0.22 0.17 0.14",
    ("imagenet/resnet50", "0.25", 0.01): "0.49 0.00 0.00 0.00 0.00 0.00",
    ("imagenet/resnet50", "0.50", 0.01): "0.46 0.37 0.29 0.00 0.00 0.00",
    ("imagenet/resnet50", "1.00", 0.01): "0.38 0.33 0.26 0.19 0.15 0.12",
}
STEP = {"cifar10/resnet110": 0.25, "imagenet/resnet50": 0.5}


@pytest.fixture(scope="module")
def logs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for name in ("jeong2020-mnist", "cohen2019"):
        path = shared_data / "logs" / f"{name}.tar.gz"
        if not path.is_file():
            pytest.skip(f"the folder shared/data/logs has no {path.name}")
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


def outcomes(ledger: Path) -> Outcomes:
    return Outcomes.of(Ledger(ledger).rows(votes=False))


@pytest.mark.parametrize(("folder", "sigma", "printed"), CELLS)
def test_mean_and_deviation_over_seeds(logs, tmp_path, folder, sigma, printed):
    sources = [
        path
        for path in (logs / "mnist").glob(f"{folder}/noise_*")
        if re.fullmatch(rf"noise_{sigma}[0-9]?_[1-9][0-9]*", path.name)
    ]
    written = import_results(
        sources, tmp_path / "out", Settings(), pattern=Pattern("noise_{sigma}_{seed}")
    )
    ledgers = [path for path, _ in written.ledgers]
    assert len(ledgers) == 5
    assert all(imported.notes == () for _, imported in written.ledgers)
    acr = []
    for ledger in ledgers:
        assert Ledger(ledger).meta["noise"] == f"gaussian:sigma={sigma}"
        found = outcomes(ledger)
        assert len(found) == 10_000
        acr.append(average_certified_radius(found))
    assert f"{statistics.mean(acr):.4f} ({statistics.stdev(acr):.4f})" == printed


@pytest.mark.parametrize(("folder", "sigma", "alpha"), COHEN)
def test_certified_accuracy_of_cohen(logs, tmp_path, folder, sigma, alpha):
    log = logs / "certify" / folder / f"noise_{sigma}" / "test" / f"sigma_{sigma}"
    settings = Settings(f"gaussian:sigma={sigma}", alpha=alpha)
    written = import_results([log], tmp_path / "run", settings)
    assert written.ledgers[0][1].notes == ()  # so that each radius fits a count
    radii = [STEP[folder] * (column + 1) for column in range(6)]
    shares = certified_accuracy(outcomes(tmp_path / "run"), radii)
    assert " ".join(f"{share.value:.2f}" for share in shares) == COHEN[folder, sigma, alpha]


def test_logs_of_another_alpha_than_was_given_are_told(logs, tmp_path):
    log = logs / "certify/cifar10/resnet110/noise_0.25/test/sigma_0.25"
    written = import_results([log], tmp_path / "run", Settings("gaussian:sigma=0.25"))
    (note,) = written.ledgers[0][1].notes
    assert re.search(r"line 5: radius must .* 0\.952 at most, got '0\.941', .* 107 of 457", note)
    assert "all of its radii fit alpha 0.01." in note
    ledger = Ledger(tmp_path / "run")
    assert ledger.meta["imported"]["fit_no_count"] == 107
    none = [row for row in ledger.rows() if row.fits is None]
    assert len(none) == 107
    assert max(row.radius for row in none) == 0.978  # as published
    assert max(row.pA_lower for row in ledger.rows()) < 0.99994  # of 100,000 votes at alpha 0.001


def test_every_row_is_what_the_log_says(logs, tmp_path):
    log = logs / "mnist/macer_deferred30/num_16/lbd_6.0/gamma_8.0/beta_16.0/noise_1.00_505"
    import_results([log], tmp_path / "run", Settings("gaussian:sigma=1.0"))
    rows = {row.index: row for row in Ledger(tmp_path / "run").rows()}
    lines = log.read_text().splitlines()[1:]
    assert len(rows) == len(lines) == 10_000
    for line in lines:
        index, label, predict, radius, correct, _ = line.split("\t")
        row = rows[int(index)]
        assert row.label == int(label)
        assert row.prediction == (None if predict == "-1" else int(predict))
        assert row.radius == float(radius)
        assert (row.prediction == row.label) == (correct == "1")
    assert sum(row.prediction is None for row in rows.values()) == 575  # lines with -1
